// The pictures: in rows, more of them as one scrolls, arrow keys.

import { byId, say } from "./dom.js";
import { missed } from "./missing.js";
import { again, extend, reshape } from "./rows.js";
import { page, shown } from "./view.js";

/** Sides of a picture from which it is drawn with sharp pixels, and how wide or high a place in a row may be. */
const TINY = 64;
const WIDEST = 2.6;
const NARROWEST = 0.5;

let loading = null;

const shape = (width, height) => (width && height ? Math.min(WIDEST, Math.max(NARROWEST, width / height)) : 1);

/** Show pictures at a list's end in rows; `hits`: elements, which are in the list already or are put there. */
function place(list, hits) {
  const there = list.contains(hits[0]);
  const begin = there ? 0 : list.children.length;
  if (!there) list.append(...hits);
  const shapes = hits.map((hit, index) => {
    const picture = hit.querySelector("img");
    const given = [picture.getAttribute("width"), picture.getAttribute("height")].map(Number);
    const loaded = () => {
      if (!picture.naturalWidth) return;
      const sides = given[0] ? given : [picture.naturalWidth, picture.naturalHeight];
      reshape(list, begin + index, set(hit, shape(...sides)));
      if (Math.max(...sides) > TINY) return;
      picture.classList.add("tiny");
      if (list.classList.contains("small")) return;
      list.classList.add("small");
      again(list);
    };
    const gone = () => {
      if (!hit.contains(picture)) return; // it is known already
      hit.querySelector(".picture").classList.add("gone");
      picture.replaceWith(Object.assign(document.createElement("span"), { textContent: picture.alt }));
      missed(list, picture.src);
    };
    // What came, or did not, before this script has no event any more.
    queueMicrotask(() => picture.complete && (picture.naturalWidth ? loaded() : gone()));
    picture.addEventListener("load", loaded);
    picture.addEventListener("error", gone);
    return set(hit, shape(...given));
  });
  extend(list, shapes);
  for (const hit of hits) reach(hit, hit === list.firstElementChild);
}

/** Let the Tab key stop at a picture and its marks, or pass them by: arrow keys go from one picture to another. */
function reach(hit, reached) {
  for (const each of hit.querySelectorAll("a, button")) each.tabIndex = reached ? 0 : -1;
}

function set(hit, wide) {
  hit.style.setProperty("--ratio", wide.toFixed(4));
  return wide;
}

/** Load the pictures that follow; true if some came. */
export async function more() {
  const link = document.querySelector(".more a");
  if (!link) return false;
  if (loading?.link === link) return loading.done;
  const done = (async () => {
    try {
      const next = await page(link.href);
      if (!link.isConnected) return false;
      const list = byId("hits");
      const hits = [...next.querySelectorAll("#hits > .hit")].filter((hit) => isNew(list, hit));
      if (hits.length) place(list, hits);
      const after = next.querySelector(".more");
      if (after) link.parentElement.replaceWith(after);
      else link.parentElement.remove();
      watch();
      say(`${list.children.length} pictures`);
      return hits.length > 0;
    } catch (error) {
      if (!link.isConnected) return false;
      link.textContent = `${error.message} Try again`;
      observer.disconnect();
      return false;
    } finally {
      loading = null;
    }
  })();
  loading = { link, done };
  return done;
}

const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more(), {
  rootMargin: "1400px",
});

function watch() {
  observer.disconnect();
  const link = document.querySelector(".more");
  if (link) observer.observe(link);
}

/** Lists whose pictures are in rows, with the ids of these. */
const placed = new WeakMap();

function isNew(list, hit) {
  const seen = placed.get(list);
  return seen.size < seen.add(hit.dataset.id).size;
}

export function begin() {
  shown(() => {
    const list = byId("hits");
    if (list && !placed.has(list)) {
      const hits = [...list.children];
      placed.set(list, new Set(hits.map((hit) => hit.dataset.id)));
      list.classList.add("justified");
      place(list, hits);
    }
    watch();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".more a")) return;
    event.preventDefault();
    more();
  });
  document.addEventListener("keydown", move);
  document.addEventListener("focusin", ({ target }) => {
    const hit = target.closest?.("#hits > .hit");
    if (!hit) return;
    for (const other of hit.parentElement.querySelectorAll(":scope > .hit:has([tabindex='0'])")) reach(other, other === hit);
    reach(hit, true);
  });
}

function move(event) {
  const link = event.target.closest?.(".hit .picture, .hit .marks a");
  if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
  const hit = link.closest(".hit");
  const to = {
    ArrowLeft: () => hit.previousElementSibling,
    ArrowRight: () => hit.nextElementSibling,
    ArrowUp: () => above(hit, -1),
    ArrowDown: () => above(hit, 1),
    Home: () => hit.parentElement.firstElementChild,
    End: () => hit.parentElement.lastElementChild,
  }[event.key];
  if (to) {
    event.preventDefault();
    const next = to();
    next?.querySelector(".picture").focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
    return;
  }
  const mark = { "+": ".like", "-": ".unlike" }[event.key];
  if (mark) hit.querySelector(mark)?.click();
}

/** The nearest picture in the row above (-1) or below (1). */
function above(hit, way) {
  const own = hit.getBoundingClientRect();
  const middle = (own.left + own.right) / 2;
  let best = null;
  let least = [Infinity, Infinity];
  for (let each = hit; each; each = way < 0 ? each.previousElementSibling : each.nextElementSibling) {
    const there = each.getBoundingClientRect();
    const down = Math.abs(there.top - own.top);
    if (down < 2) continue;
    if (down > least[0] + 2) break;
    const across = Math.abs((there.left + there.right) / 2 - middle);
    if (across < least[1]) {
      best = each;
      least = [down, across];
    }
  }
  return best;
}
