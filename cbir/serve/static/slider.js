// How far pictures may be: a slider, with marks that say what share of edited copies lies below.

import { byId, collection, element } from "./dom.js";
import { json } from "./problem.js";
import { go, stop } from "./view.js";

/** Steps of the slider: whole numbers, as distances would be rounded; the last one stands for any distance. */
const STEPS = 200;
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
  if (number.value !== number.defaultValue) return; // somebody types
  const given = number.value === "" ? null : Number(number.value);
  const most = given >= known.farthest ? 1.05 * given : known.farthest;
  if (!(most > 0)) return;
  const range = element("input", { type: "range", id: "max", min: 0, max: STEPS, step: 1 });
  range.value = given === null ? STEPS : Math.min(STEPS - 1, Math.round((STEPS * given) / most));
  const output = element("output", { for: "max" });
  const tellHow = (distance) => {
    output.textContent = distance === null ? "any distance" : distance.toPrecision(3);
    range.setAttribute("aria-valuetext", output.textContent);
  };
  tellHow(given);
  const set = () => (Number(range.value) < STEPS ? (most * Number(range.value)) / STEPS : null);
  const marks = element("div", { class: "scale" });
  const below = element("p", { class: "below" });
  range.addEventListener("input", () => {
    stop(); // an answer would take this slider away from under the pointer
    tellHow(set());
  });
  range.addEventListener("change", async () => {
    const asked = new URLSearchParams(location.search);
    asked.delete("offset");
    asked.delete("max");
    if (set() !== null) asked.set("max", set().toPrecision(4));
    const top = () => byId("max")?.closest(".distance").getBoundingClientRect().top ?? 0;
    const before = top();
    await go(`?${asked}`);
    scrollBy(0, top() - before); // it stays under the pointer
  });
  const held = document.activeElement === number;
  number.parentElement.replaceChildren(element("div", { class: "slider" }, output, range, marks, below));
  if (held) range.focus({ preventScroll: true });
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
    below.textContent = "The marks say what share of edited copies (smaller, cut, turned) are closer than that.";
  } else if (known.measuring) {
    const [done, all] = known.measuring;
    below.textContent = `Measuring: ${done} of ${all} pictures`;
    setTimeout(async () => {
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

const percent = (share) => `${Math.round(100 * share)}%`;
