// The values of a field with their counts: each is a link to what it leaves. Folders and times open step by step.

import { together, values } from "./conditions.js";
import { collection, element } from "./dom.js";
import { json } from "./problem.js";

/** Values asked for, and shown at once. */
const MOST = 200;
const FEW = 8;

/** How fields are counted, by what is chosen of them already; all others value by value. */
const WAYS = { folder: folders, taken_at: times };

/** Fill a facet. */
export async function facet(box) {
  const { field } = box.dataset;
  const asked = new URLSearchParams(location.search);
  const way = (WAYS[field] ?? each)(field, asked.getAll("where"));
  const query = new URLSearchParams([["field", field], ["limit", MOST], ...Object.entries(way.query)]);
  for (const condition of way.others) query.append("where", condition);
  let found;
  try {
    found = await json(`/api/collections/${encodeURIComponent(collection())}/facets?${query}`);
  } catch {
    box.hidden = true; // a condition that is wrong is told beside it
    return;
  }
  const items = way.items(found.values).map(({ name, count, is, where }) => {
    const next = new URLSearchParams(asked);
    next.delete("where");
    next.delete("offset");
    for (const condition of [...way.others, ...(where ? [where] : [])]) next.append("where", condition);
    const number = element("span", { class: "number" }, count === undefined ? "" : count.toLocaleString());
    return element("li", {}, element("a", { href: `?${next}`, "data-go": true, "aria-current": is && "true" }, element("span", {}, name), number));
  });
  const chosen = items.some((item) => item.querySelector("[aria-current]"));
  box.hidden = items.length < 2 && !chosen && !box.querySelector("form"); // nothing to choose from
  list(box.querySelector("ul"), items, found.more);
}

function list(place, items, more) {
  place.replaceChildren(...items);
  if (items.length > FEW + 2) {
    for (const item of items.slice(FEW)) item.hidden = !item.querySelector("[aria-current]");
    const all = element("button", { type: "button", class: "quiet" }, `All ${(items.length + more).toLocaleString()}`);
    const last = element("li", {}, all);
    all.addEventListener("click", () => {
      for (const item of items) item.hidden = false;
      items[FEW].querySelector("a").focus();
      last.remove();
    });
    place.append(last);
  }
}

/** Several values may be chosen: one of them must be right. */
function each(field, conditions) {
  const own = conditions.filter((condition) => values(condition, field));
  const chosen = own.flatMap((condition) => values(condition, field));
  return {
    query: {},
    others: conditions.filter((condition) => !own.includes(condition)),
    items: (found) =>
      ordered(found).map(({ value, count }) => {
        const is = chosen.includes(value);
        const wanted = is ? chosen.filter((one) => one !== value) : [...chosen, value];
        return { name: String(value), count, is, where: together(new URLSearchParams(), field, wanted).get("where") };
      }),
  };
}

/** Numbers of classes in their order; all else as often as it is there. */
const ordered = (found) =>
  found.every(({ value }) => typeof value === "number") ? found.toSorted((one, other) => one.value - other.value) : found;

/** A folder, and those in it. */
function folders(field, conditions) {
  const at = conditions.map((condition) => [condition, below(condition)]).find(([, folder]) => folder !== null);
  const here = at?.[1] ?? "";
  return {
    query: { by: "part", ...(here && { below: here }) },
    others: conditions.filter((condition) => condition !== at?.[0]),
    items: (found) => {
      const inside = found
        .filter(({ value }) => !at || (here && value !== here))
        .map(({ value, count, where }) => ({ name: value === "" ? "(the top)" : value.slice(here ? here.length + 1 : 0), count, where }));
      if (!at) return inside;
      const above = here.includes("/") ? here.replace(/\/[^/]*$/, "") : "";
      const sum = found.reduce((total, { count }) => total + count, 0);
      return [{ name: here || "(the top)", count: here ? sum : undefined, is: true, where: above && condition(above) }, ...inside];
    },
  };
}

/** The folder that a condition of ours names, `folder=a/**` or `folder="a"`; null if it is another condition. */
function below(text) {
  const exact = values(text, "folder");
  if (exact) return exact.length === 1 ? String(exact[0]) : null;
  const match = /^folder=((?:[^\\*?[\]{},"]|\\.)+)\/\*\*$/u.exec(text);
  return match ? match[1].replace(/\\(.)/gu, "$1") : null;
}

const condition = (folder) => `folder=${folder.replace(/[^\p{L}\p{N}_/. -]/gu, "\\$&")}/**`;

/** Years, then the months of one. */
function times(field, conditions) {
  const own = conditions.map((text) => /^taken_at=(\d{4})(-\d\d)?$/.exec(text)).find(Boolean);
  const year = own?.[1];
  const month = own?.[2] && own[1] + own[2];
  const named = (value) =>
    value.length === 4
      ? value
      : new Date(`${value}-15T12:00`).toLocaleDateString(undefined, { month: "long" });
  return {
    query: { by: year ? "month" : "year" },
    others: conditions.filter((text) => text !== own?.[0]),
    items: (found) => {
      const shown = found
        .filter(({ value }) => !year || value.startsWith(year))
        .sort((one, other) => (one.value < other.value ? -1 : 1) * (year ? 1 : -1))
        .map(({ value, count, where }) => ({ name: named(value), count, is: value === month, where: value === month ? `taken_at=${year}` : where }));
      const sum = shown.reduce((total, { count }) => total + count, 0);
      return year ? [{ name: year, count: sum, is: true, where: month && `taken_at=${year}` }, ...shown] : shown;
    },
  };
}
