// What is known of a picture, in words: what people ask for first, the rest below a fold.

import { together } from "./conditions.js";
import { byId, element } from "./dom.js";

/** Fields in their order, as people call them; others follow, by their own names. */
const NAMES = {
  label: "label",
  folder: "folder",
  taken_at: "taken",
  camera: "camera",
  lens: "lens",
  gps: "place",
  format: "format",
  bytes: "size",
  source: "from",
  ingested_at: "added",
  copies: "copies",
  warning: "warning",
};
/** Fields below the fold. */
const REST = {
  name: "name",
  original_name: "added as",
  uri: "address",
  modified: "file changed",
  width: "width",
  height: "height",
  index: "number",
  sha256: "SHA-256",
  border_brightness: "brightness of the edge",
};
/** Fields that are asked for by a click on their value. */
const ASKED_FOR = new Set(["label", "folder", "camera", "lens", "format", "source", "sha256"]);
const HIDDEN = new Set(["inode", "changed", "code"]);

/** Show fields; `copies`: the paths of further copies; `size`: the file's, in words. */
export function tell(fields, copies, size) {
  const known = { ...fields, bytes: size ?? fields.bytes, copies: copies.join("\n") };
  const own = Object.keys(fields).filter((name) => !(name in NAMES || name in REST || HIDDEN.has(name)));
  const rows = (names) => names.filter((name) => known[name] !== undefined && (name !== "copies" || copies.length));
  byId("large-fields").replaceChildren(...rows([...Object.keys(NAMES), ...own]).map((name) => row(name, known[name])));
  const rest = rows(Object.keys(REST)).map((name) => row(name, known[name]));
  byId("large-rest").replaceChildren(...rest);
  byId("large-rest").closest("details").hidden = !rest.length;
}

function row(name, content) {
  const text = said(name, content);
  const cell = element("td");
  if (ASKED_FOR.has(name) && content !== "") {
    const asked = together(new URLSearchParams(location.search), name, [content]);
    cell.append(element("a", { href: `?${asked}`, "data-go": true, title: `only ${name} ${text}` }, text));
  } else cell.append(text);
  // a condition takes the field's own name
  return element("tr", {}, element("th", { scope: "row", title: name }, NAMES[name] ?? REST[name] ?? name), cell);
}

function said(name, content) {
  if (name === "sha256") return `${content.slice(0, 16)}…`;
  if (name === "modified") return date(content / 1e6);
  if (name === "ingested_at") return date(content);
  if (name === "taken_at") return String(content).replace("T", " ").replace(/(\.0+)?(Z|\+00:00)$/, "");
  if (name === "gps" && content?.lat !== undefined) return `${content.lat}, ${content.lon}`;
  if (name === "border_brightness") return Number(content).toFixed(2);
  if (name === "folder" && content === "") return "(the top)";
  return typeof content === "object" ? JSON.stringify(content) : String(content);
}

const date = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
