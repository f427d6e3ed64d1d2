// What the pictures can be narrowed to: the values of fields with their counts, dates, and how far they may be.

import { byId } from "./dom.js";
import { facet } from "./facets.js";
import { slider } from "./slider.js";
import { go, shown } from "./view.js";

const filled = new WeakSet();

export function begin() {
  const panel = byId("narrow-panel");
  if (matchMedia("(max-width: 52rem)").matches && !panel.contains(document.activeElement)) panel.open = false;
  panel.addEventListener("toggle", fill);
  shown(fill);
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-dates]");
    if (form) dates(form);
  });
  document.addEventListener("submit", (event) => event.target.closest("[data-dates]") && event.preventDefault());
}

function fill() {
  const part = byId("narrow");
  const count = part.querySelectorAll(".conditions > li").length;
  byId("narrow-panel").querySelector("summary").textContent = count ? `Narrow (${count})` : "Narrow";
  if (!byId("narrow-panel").open || filled.has(part)) return;
  filled.add(part);
  part.querySelectorAll(".facet").forEach(facet);
  const form = part.querySelector("[data-dates]");
  if (form) {
    for (const condition of new URLSearchParams(location.search).getAll("where")) {
      const match = /^taken_at(>=|<=)(\d{4}-\d\d-\d\d)$/.exec(condition);
      if (match) form.elements[match[1] === ">=" ? "from" : "to"].value = match[2];
    }
  }
  const number = part.querySelector("#max");
  if (number) slider(number);
}

function dates(form) {
  const { from, to } = form.elements;
  const asked = new URLSearchParams(location.search);
  const others = asked.getAll("where").filter((each) => !/^taken_at(>=|<=)\d{4}-\d\d-\d\d$/.test(each));
  asked.delete("where");
  asked.delete("offset");
  for (const each of others) asked.append("where", each);
  if ([from, to].some(({ value }) => value && value < "1000")) return; // the year is still being typed
  if (from.value) asked.append("where", `taken_at>=${from.value}`);
  if (to.value) asked.append("where", `taken_at<=${to.value}`);
  go(`?${asked}`);
}
