// Duplicates: looked for in the background; what is marked stays in this browser, which writes the list.

import { byId, collection } from "./dom.js";
import { json } from "./problem.js";

const STAGES = {
  load: "Reading what is stored",
  calibrate: "Measuring how far edited copies are",
  candidates: "Finding what is near",
  confirm: "Comparing pictures",
};
const EVERY = 700;
// What a list of lines in UTF-8 cannot hold.
const UNLISTED = /[\n\r\0\ud800-\udfff]/u;

const page = document.querySelector(".duplicates");
const address = `/api/collections/${encodeURIComponent(collection())}/duplicates`;

function tell(problem) {
  byId("problem").hidden = !problem;
  byId("problem").firstElementChild.textContent = problem;
}

/** Show how far it is until it is done. */
async function watch(answer) {
  byId("look").hidden = true;
  byId("looking").hidden = false;
  while (answer.stage) {
    const bar = byId("progress");
    byId("stage").textContent = `${STAGES[answer.stage] || answer.stage}${answer.total ? `: ${answer.done} of ${answer.total}` : ""}`;
    bar.max = answer.total || 1;
    if (answer.total) bar.value = answer.done;
    else bar.removeAttribute("value");
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    answer = await json(address);
  }
  if (answer.found) location.reload();
  else throw new Error(answer.problem || "The collection changed meanwhile; look again.");
}

async function look(method) {
  tell("");
  try {
    await watch(await json(address, { method }));
  } catch (error) {
    tell(error.message);
    byId("look").hidden = false;
    byId("looking").hidden = true;
  }
}

if (byId("look")) {
  byId("look").addEventListener("click", () => look("POST"));
  if (page.dataset.stage) look("GET");
}

const key = `duplicates:${collection()}`;
const groups = JSON.parse(page.dataset.groups);
const known = new Set(groups.flat());
const pathOf = (choice) => groups[choice.dataset.group][choice.dataset.member];
const choices = [...document.querySelectorAll(".group .switch")];

function kept() {
  try {
    // What was marked before the collection changed may be all that is left.
    return new Set((JSON.parse(localStorage.getItem(key)) || []).filter((path) => known.has(path)));
  } catch {
    return new Set();
  }
}

let marked = kept();

function show() {
  for (const choice of choices) {
    const on = marked.has(pathOf(choice));
    choice.querySelector(".keep").setAttribute("aria-pressed", String(!on));
    choice.querySelector(".discard").setAttribute("aria-pressed", String(on));
  }
  for (const group of document.querySelectorAll(".group")) {
    const all = [...group.querySelectorAll("li")].every((each) => each.querySelector(".discard[aria-pressed=true]"));
    group.querySelector(".warning").hidden = !all;
  }
  byId("export").disabled = !marked.size;
  const lost = groups.filter((paths) => paths.every((path) => marked.has(path))).length;
  byId("said").textContent = `${marked.size} marked to remove${lost ? `; of ${lost} ${lost === 1 ? "group" : "groups"} nothing would be kept` : ""}`;
}

function change(now) {
  marked = now;
  try {
    localStorage.setItem(key, JSON.stringify([...marked]));
  } catch {
    // they are marked for as long as the page is open
  }
  show();
}

if (byId("export")) {
  for (const choice of choices) {
    choice.addEventListener("click", ({ target }) => {
      const now = new Set(marked);
      if (target.classList.contains("discard")) now.add(pathOf(choice));
      if (target.classList.contains("keep")) now.delete(pathOf(choice));
      change(now);
    });
  }
  byId("all").addEventListener("click", () => change(new Set([...marked, ...JSON.parse(page.dataset.spare)])));
  byId("none").addEventListener("click", () => change(new Set()));
  byId("export").addEventListener("click", () => {
    const paths = [...marked].filter((path) => !UNLISTED.test(path));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(paths.map((path) => `${path}\n`), { type: "text/plain" }));
    link.download = `duplicates-${collection()}.txt`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    const left = marked.size - paths.length;
    byId("said").textContent = `${paths.length} saved${left ? `; ${left} have a name that a list cannot hold` : ""}`;
  });
  window.addEventListener("storage", (event) => {
    if (event.key !== key) return;
    marked = kept();
    show();
  });
  show();
}
