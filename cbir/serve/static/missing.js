// Pictures that the server does not find: why, and what to do, said once above them.

import { element } from "./dom.js";
import { ask } from "./problem.js";

/** Missing pictures from which it is said; a few files that are gone are no matter. */
const MANY = 3;
/** Lists, with how many of their pictures are missing. */
const lists = new WeakMap();

/** Count a picture of a list that did not come from its address. */
export async function missed(list, address) {
  const count = (lists.get(list) ?? 0) + 1;
  lists.set(list, count);
  if (count !== Math.min(MANY, list.children.length)) return;
  try {
    const answer = await ask(address);
    if (answer.ok) return; // it has come by now
    const { detail } = await answer.json();
    const told = element("div", { class: "notice bad missing", role: "status" }, element("p", {}, `Pictures are missing. ${detail}`));
    list.before(told); // also where another question has taken its place, for Back
  } catch {
    // the server is gone, which the next question says
  }
}
