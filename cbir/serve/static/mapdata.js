// A map's data: places as numbers, ids as bytes, colours.

import { ask, json } from "./problem.js";

/** Colours that can be told apart, also by those who see few of them, on light and on dark; then: another value, none. */
const LIGHT = ["#0072b2", "#d55e00", "#008f6b", "#c0568f", "#a07800", "#3f9fd8", "#7a4fb5", "#8c2d19", "#4d7c0f", "#14505c", "#e0479e", "#9a968e", "#b9b5ad"];
const DARK = ["#4ba6e8", "#ff8a3c", "#2fd0a3", "#e98fbd", "#f0c53d", "#9bd3f7", "#b79af0", "#e06b55", "#a5cf5b", "#56b3c4", "#ff7fc4", "#77736c", "#55524d"];
const OTHER = 254;
const BYTES = 16;

export const address = (name) => `/api/collections/${encodeURIComponent(name)}`;

/** Get the places of a method, in a square of side 1 around 0, 0, and the ids. */
export async function points(name, method) {
  const answer = await ask(`${address(name)}/map/points?method=${method}`);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `The server answered ${answer.status}.`);
  const content = await answer.arrayBuffer();
  const count = content.byteLength / (8 + BYTES);
  const places = new Float32Array(content.slice(0, 8 * count));
  const [least, most] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  places.forEach((value, index) => {
    least[index % 2] = Math.min(least[index % 2], value);
    most[index % 2] = Math.max(most[index % 2], value);
  });
  const widths = [0, 1].map((axis) => most[axis] - least[axis]);
  const side = Math.max(...widths) || 1;
  for (let index = 0; index < places.length; index += 1) {
    places[index] = (places[index] - (least[index % 2] + most[index % 2]) / 2) / side;
  }
  const ids = new Uint8Array(content, 8 * count);
  return { places, ids, count, wide: Math.max(0.05, widths[0] / side), high: Math.max(0.05, widths[1] / side), tag: answer.headers.get("ETag") };
}

export function idOf(ids, point) {
  const text = [...ids.subarray(BYTES * point, BYTES * (point + 1))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Get what each point counts as: a place in `entries`, whose last two are other values and none. */
export async function groups(name, field, count) {
  const found = field ? await json(`${address(name)}/map/colours?field=${encodeURIComponent(field)}`) : { values: [], groups: "", other: 0, without: 0 };
  const entries = found.values.map(({ value, count: many }, index) => ({ title: value === "" && field === "folder" ? "(the top)" : String(value), many, colour: index }));
  const places = new Uint8Array(count).fill(field ? LIGHT.length - 1 : 0);
  const bytes = atob(found.groups);
  for (let point = 0; point < Math.min(count, bytes.length); point += 1) {
    const group = bytes.charCodeAt(point);
    places[point] = group < OTHER ? group : LIGHT.length - (group === OTHER ? 2 : 1);
  }
  if (found.other) entries.push({ title: "others", many: found.other, colour: LIGHT.length - 2 });
  if (found.without) entries.push({ title: field === "folder" ? "(no folder)" : "(none)", many: found.without, colour: LIGHT.length - 1 });
  return { places, entries };
}

export function palette() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const css = dark ? DARK : LIGHT;
  const packed = (hex) => (0xff000000 | (parseInt(hex.slice(5, 7), 16) << 16) | (parseInt(hex.slice(3, 5), 16) << 8) | parseInt(hex.slice(1, 3), 16)) >>> 0;
  const own = getComputedStyle(document.documentElement);
  return { css, colours: css.map(packed), paper: packed(own.getPropertyValue("--raised").trim()), accent: own.getPropertyValue("--accent").trim(), line: own.getPropertyValue("--line").trim(), plain: false };
}
