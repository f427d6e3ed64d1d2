// A picture large, beside all that is known of it. Arrow keys and swipes go on; Escape and the browser's Back close, as
// it has a place of its own in the history.

import { byId, collection } from "./dom.js";
import { more } from "./hits.js";
import { value } from "./conditions.js";
import { tell } from "./known.js";
import { json } from "./problem.js";
import { clear as clearLines, offer, show as showLines } from "./same.js";
import { LEFT, hasLeft, leave } from "./view.js";

let hit = null;
/** How often one was opened: what was asked for from one that is closed since comes too late. */
let openings = 0;

export function begin() {
  const dialog = byId("large");
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".hit .picture");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(link.closest(".hit"));
  });
  dialog.addEventListener("click", (event) => {
    const step = event.target.closest("[data-step]");
    if (step) go(Number(step.dataset.step));
    if (event.target === dialog || event.target.closest(".close")) dialog.close();
  });
  swipes(dialog.querySelector(".stage"));
  dialog.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way && !event.target.closest("input, textarea")) {
      event.preventDefault();
      go(way);
    }
    if (event.key === "+") byId("large-like").click();
    if (event.key === "-" && !byId("large-unlike").hidden) byId("large-unlike").click();
  });
  dialog.addEventListener("close", () => {
    if (dialog.open) return; // Back and Forward at once: this comes when it is open again
    clearLines();
    if (history.state?.large && dialog.returnValue !== LEFT) leave();
    if (hit?.isConnected && !document.activeElement?.matches("input, select")) hit.querySelector(".picture").focus();
  });
  addEventListener("popstate", again);
  again();
  byId("large-copy").addEventListener("click", copy);
  byId("large-open")?.addEventListener("click", openFolder);
  byId("large-same").addEventListener("click", () => showLines(hit));
}

async function open(which) {
  await hasLeft();
  const place = history.state?.large ? "replaceState" : "pushState"; // of one whose close event is still to come
  history[place]({ ...history.state, large: which.dataset.id, spare: false }, "");
  fill(which);
  if (!byId("large").open) show();
}

function show() {
  openings += 1;
  byId("large").returnValue = "";
  byId("large").showModal();
}

/** Open or close as the history says: after Back and Forward, and when the page is loaded anew. */
function again() {
  const { large, ...rest } = history.state ?? {};
  const which = large && [...(byId("hits")?.children ?? [])].find((each) => each.dataset.id === large);
  if (which) {
    fill(which);
    if (!byId("large").open) show();
    return;
  }
  if (large) history.replaceState({ ...rest, spare: true }, ""); // one that came by scrolling, before a reload
  byId("large").close(LEFT);
}

/** Go on by swiping; with two fingers the picture is zoomed. */
function swipes(stage) {
  let from = null;
  stage.addEventListener("touchstart", ({ touches }) => {
    from = touches.length === 1 && (visualViewport?.scale ?? 1) < 1.05 ? [touches[0].clientX, touches[0].clientY] : null;
  }, { passive: true });
  stage.addEventListener("touchend", ({ changedTouches: [end] }) => {
    if (!from) return;
    const across = end.clientX - from[0];
    if (Math.abs(across) > 48 && Math.abs(across) > 2 * Math.abs(end.clientY - from[1])) go(across < 0 ? 1 : -1);
    from = null;
  });
}

async function go(way) {
  const mine = openings;
  let next = way < 0 ? hit.previousElementSibling : hit.nextElementSibling;
  if (!next && way > 0 && (await more())) next = hit.nextElementSibling;
  if (!next || !byId("large").open || mine !== openings) return;
  fill(next);
  history.replaceState({ ...history.state, large: next.dataset.id }, "");
}

function fill(which) {
  hit = which;
  clearLines();
  const known = JSON.parse(which.dataset.payload);
  const fields = known.fields;
  const name = which.querySelector("img, .picture span")?.alt ?? fields.name ?? known.uri;
  const picture = byId("large-picture");
  picture.classList.add("coming");
  picture.src = which.dataset.large;
  picture.alt = name;
  picture.onerror = () => picture.classList.remove("coming");
  picture.onload = () => {
    picture.classList.remove("coming");
    const tiny = Math.max(picture.naturalWidth, picture.naturalHeight) <= 64;
    picture.classList.toggle("tiny", tiny);
    picture.style.maxWidth = `${picture.naturalWidth * (tiny ? 16 : 2)}px`; // larger is only blurred
    picture.style.maxHeight = `${picture.naturalHeight * (tiny ? 16 : 2)}px`;
  };
  byId("large-name").textContent = name;
  const distance = which.querySelector(".distance")?.textContent;
  byId("large-facts").textContent = [
    distance && `distance ${distance}`,
    fields.label !== undefined && `label ${fields.label}`,
    fields.width && `${fields.width} × ${fields.height}`,
    known.gone && "its file is gone",
  ]
    .filter(Boolean)
    .join(" · ");
  byId("large-said").textContent = "";
  byId("large-more").href = which.querySelector(".picture").href;
  for (const kind of ["like", "unlike"]) {
    const link = byId(`large-${kind}`);
    link.hidden = !which.querySelector(`.marks .${kind}`);
    link.href = which.dataset[kind];
    const is = which.classList.contains(`${kind}d`);
    link.textContent = is ? "No example any more" : kind === "like" ? "+ Like" : "− Unlike";
  }
  byId("large-seen").href = `${location.pathname}/seen?q=id:${which.dataset.id}`;
  byId("large-copy").dataset.path = known.path ?? known.uri;
  byId("large-copy").textContent = known.path ? "Copy path" : "Copy address";
  if (byId("large-open")) byId("large-open").hidden = !known.path;
  const folder = byId("large-folder");
  folder.hidden = typeof fields.folder !== "string";
  if (!folder.hidden) folder.href = `?${new URLSearchParams([["where", `folder=${value(fields.folder)}`]])}`;
  tell(fields, known.copies.filter(Boolean), known.size);
  for (const step of document.querySelectorAll("#large [data-step]"))
    step.disabled = Number(step.dataset.step) < 0 ? !which.previousElementSibling : !which.nextElementSibling && !document.querySelector(".more");
  offer(which);
}

async function copy() {
  const path = byId("large-copy").dataset.path;
  try {
    await navigator.clipboard.writeText(path);
    byId("large-said").textContent = `Copied: ${path}`;
  } catch {
    byId("large-said").textContent = path; // no clipboard without https: to be copied by hand
  }
}

/** Have the machine that serves, which is this one, show the folder in its file manager. */
async function openFolder() {
  const mine = hit;
  const answered = (text) => mine === hit && (byId("large-said").textContent = text);
  answered("");
  try {
    await json(`/api/collections/${encodeURIComponent(collection())}/points/${mine.dataset.id}/folder`, { method: "POST" });
    answered("Its folder is opened, in another window.");
  } catch (error) {
    answered(error.message);
  }
}
