// How far pictures may be: a slider, with marks that say what share of edited copies lies below.

import { collection, element } from "./dom.js";
import { json } from "./problem.js";
import { go } from "./view.js";

let distances = null;

const place = () => `/api/collections/${encodeURIComponent(collection())}/distances`;

/** A slider in place of the number; its marks say what share of edited copies lies below, where that was measured. */
export async function slider(number) {
  let known;
  try {
    known = await (distances ??= json(place()));
  } catch {
    distances = null;
    return; // the number alone will do
  }
  const most = Math.max(known.farthest, Number(number.value) || 0);
  if (!(most > 0) || !number.isConnected) return;
  const range = element("input", { type: "range", id: "max", min: 0, max: most, step: most / 200 });
  range.value = number.value || most;
  const output = element("output", { for: "max" }, said(range, most));
  const marks = element("div", { class: "scale" });
  const below = element("p", { class: "below" });
  range.addEventListener("input", () => (output.textContent = said(range, most)));
  range.addEventListener("change", () => {
    const asked = new URLSearchParams(location.search);
    asked.delete("offset");
    asked.delete("max");
    if (Number(range.value) < most) asked.set("max", Number(range.value).toPrecision(4));
    go(`?${asked}`);
  });
  number.parentElement.replaceChildren(element("div", { class: "slider" }, output, range, marks, below));
  tell(known, most, marks, below);
}

/** What is known of edited copies; or a button that has it measured. */
function tell(known, most, marks, below) {
  if (known.copies) {
    let last = Infinity;
    const ticks = known.copies.toReversed().map(({ share, distance }) => {
      const at = Math.min(1, distance / most);
      const room = last - at >= 0.13;
      if (room) last = at;
      const tick = element("span", { class: "tick" }, room ? element("span", {}, percent(share)) : "");
      tick.title = `${percent(share)} of edited copies are closer than ${distance.toPrecision(3)}`;
      tick.style.left = `${100 * at}%`;
      return tick;
    });
    marks.replaceChildren(...ticks);
    below.textContent = "Marks: so many edited copies are closer.";
  } else if (known.measuring) {
    const [done, all] = known.measuring;
    below.textContent = `Measuring: ${done} of ${all} pictures`;
    setTimeout(async () => {
      if (!below.isConnected) return;
      try {
        distances = Promise.resolve(await json(place()));
        tell(await distances, most, marks, below);
      } catch (error) {
        below.textContent = error.message;
      }
    }, 700);
  } else {
    const button = element("button", { type: "button", class: "quiet" }, "Mark where edited copies lie");
    button.addEventListener("click", async () => {
      try {
        distances = Promise.resolve(await json(place(), { method: "POST" }));
        tell(await distances, most, marks, below);
      } catch (error) {
        below.textContent = error.message;
      }
    });
    below.replaceChildren(known.problem ?? "", button);
  }
}

const said = (range, most) => (Number(range.value) < most ? Number(range.value).toPrecision(3) : "any distance");
const percent = (share) => `${Math.round(100 * share)}%`;
