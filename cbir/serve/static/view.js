// From one question to the next without loading the page anew: the address says what is asked, the server answers with
// the whole page, and its parts take the place of the old ones. Back and forward bring back what was there.

import { byId, say } from "./dom.js";
import { ask } from "./problem.js";

/** What a dialog returns whose place in the history is left already: closing it goes back no further. */
export const LEFT = "left";

/** Questions that can be gone back to without asking again. */
const KEPT = 12;
const kept = new Map();
let key = history.state?.key ?? crypto.randomUUID?.() ?? String(Math.random());
let asking = null;
/** Whether the history is elsewhere already, and the page still shows the question before. */
let late = false;
/** Settled when the history has left the place of a picture that was closed. */
let left = Promise.resolve();

history.replaceState({ ...history.state, key }, "");
history.scrollRestoration = "manual";

const parts = (from = document) => [...from.querySelectorAll("[data-part]")];

/** Call a function with each new state of the page, and with the first. */
export function shown(listener) {
  document.addEventListener("shown", listener);
  listener();
}

/** What is typed in the fields that an answer replaces. */
const typing = () => new Map([...document.querySelectorAll("[data-part] input:is(:not([type]), [type=search])")].map((field) => [field, field.value]));

/** Give up the question that is being asked: another is coming. */
export function stop() {
  if (!late) asking?.abort();
}

/** Fetch a page of ours. */
export async function page(address, signal) {
  const answer = await ask(address, { signal, headers: { Accept: "text/html" } });
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!next.getElementById("results")) {
    const notice = next.querySelector(".notice p");
    throw new Error(notice?.textContent || `The server answered ${answer.status}.`);
  }
  return next;
}

/** Ask what an address asks; `typed`: the field with a condition, which stays to be corrected if it is wrong. */
export async function go(address, { push = true, typed = null } = {}) {
  const url = new URL(address, location.href);
  url.search = url.search.replace(/%3A/gi, ":").replace(/%2C/gi, ",").replace(/%2F/gi, "/"); // to be read by people
  if (url.pathname !== location.pathname) return location.assign(url);
  asking?.abort();
  const mine = (asking = new AbortController());
  document.body.classList.add("waiting");
  const before = typing();
  try {
    const next = await page(url, mine.signal);
    await left;
    if (mine.signal.aborted) return;
    const wrong = next.getElementById("where-problem");
    if (typed && wrong) return correct(typed, wrong);
    uncover(); // one that was opened meanwhile
    if (push) {
      keep();
      key = String(Math.random());
      history[history.state?.spare ? "replaceState" : "pushState"]({ key }, "", url);
    }
    put(next.title, parts(next), 0, before);
  } catch (error) {
    if (error.name !== "AbortError") fail(error.message);
  } finally {
    if (asking === mine) {
      document.body.classList.remove("waiting");
      asking = null;
    }
  }
}

/** Leave the place in the history of a picture that was closed. */
export function leave() {
  left = new Promise((resolve) => addEventListener("popstate", resolve, { once: true }));
  history.back();
}

/** Wait until that is done: what is put into the history meanwhile would be left in its place. */
export const hasLeft = () => left;

/** Close the picture that is large; its place in the history is taken by the question that follows. */
export function uncover() {
  if (history.state?.large) history.replaceState({ key, spare: true }, "");
  document.querySelector("dialog[open]")?.close(LEFT);
}

/** Say beside a field what is wrong with it. */
function correct(typed, wrong) {
  byId("where-problem")?.remove();
  typed.closest(".field").after(document.adoptNode(wrong));
  typed.setAttribute("aria-invalid", "true");
  typed.setAttribute("aria-describedby", "where-problem");
  typed.focus();
}

/** Say what went wrong, where the pictures are. */
export function fail(text) {
  byId("results").querySelector(".notice.bad")?.remove();
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  notice.append(Object.assign(document.createElement("p"), { textContent: text }));
  byId("results").prepend(notice);
  notice.scrollIntoView({ block: "nearest" });
}

function keep() {
  if (late) return;
  kept.set(key, { title: document.title, parts: parts(), top: scrollY });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

function put(title, next, top, before) {
  const focused = document.activeElement;
  const hit = focused?.closest?.(".hit")?.dataset.id;
  const lost = focused && focused !== document.body && focused.closest("[data-part]");
  for (const part of next) byId(part.id).replaceWith(part); // by itself, after Back and Forward at once
  late = false;
  document.title = title;
  scrollTo(0, top);
  document.dispatchEvent(new Event("shown"));
  if (lost && !document.querySelector("dialog[open]")) {
    const again = focused.id ? byId(focused.id) : hit && document.querySelector(`.hit[data-id="${hit}"] .picture`);
    (again || byId("main")).focus({ preventScroll: true });
    if (again && before?.has(focused) && before.get(focused) !== focused.value) {
      again.value = focused.value; // typed while the answer was awaited
      again.setSelectionRange(focused.selectionStart, focused.selectionEnd);
    }
  }
  const count = document.querySelectorAll("#hits > .hit").length;
  const text = document.querySelector("#results .count, #results .notice")?.textContent.trim().replace(/\s+/g, " ");
  say(`${text ?? ""} ${count} pictures`);
}

addEventListener("popstate", (event) => {
  if (!event.state) return history.replaceState({ key }, ""); // to a place on this page
  if (event.state.key === key) return; // the same question, with or without a picture that is large
  const there = kept.get(event.state.key);
  keep();
  document.querySelector("dialog[open]")?.close(LEFT);
  asking?.abort();
  key = event.state.key;
  late = !there;
  if (there) put(there.title, there.parts, there.top);
  else go(location.href, { push: false });
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-go]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  event.preventDefault();
  if (link.closest("dialog")) uncover();
  go(link.href);
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-go]");
  if (!form) return;
  event.preventDefault();
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (String(value).trim()) asked.append(name, value);
  go(`?${asked}`, { typed: form.querySelector("#where") });
});
