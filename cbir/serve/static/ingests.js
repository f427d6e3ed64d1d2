// How far the ingests are that run beside the server, and what they brought.

import { byId, element } from "./dom.js";

/** Milliseconds between two looks: while one runs, and while none does. */
const SOON = 2000;
const LATER = 10_000;

const section = byId("ingests");
const list = section.querySelector("ul");
const { here, made } = section.dataset;
const plain = new Intl.NumberFormat("en");
/** The rows, by collection, each with what it says. */
const rows = new Map();
/** When those ended of which nobody wants to hear any more. */
const closed = new Set();
let timer = null;

const address = (name) => `/c/${encodeURIComponent(name)}`;
const link = (name, text = name) => element("a", { href: address(name) }, text);

/** A row is made once, and changed from then on: whoever has the focus in it keeps it. */
function row(name) {
  if (!rows.has(name)) {
    const made = { item: element("li"), title: element("span", { class: "title" }), bar: element("progress") };
    made.bar.setAttribute("aria-label", `Ingest into ${name}`);
    list.append(made.item);
    rows.set(name, made);
  }
  return rows.get(name);
}

function running({ name, problem, ingest }) {
  const shown = row(name);
  const { stage, done, total } = ingest;
  const count = total ? `, ${plain.format(done)} of ${plain.format(total)}` : done ? `, ${plain.format(done)}` : "";
  if (shown.state !== "runs" || shown.there !== !problem) {
    shown.state = "runs";
    shown.there = !problem;
    shown.text = element("span", { class: "how" });
    shown.title.replaceChildren(name === here || problem ? name : link(name));
    shown.item.replaceChildren(shown.title, shown.text, shown.bar);
  }
  shown.text.textContent = `${stage}${count}`;
  if (total) {
    shown.bar.max = total;
    shown.bar.value = Math.min(done, total);
  } else {
    shown.bar.removeAttribute("value");
  }
  if (shown.stage !== stage) tell(`Ingest into ${name}: ${stage}`);
  shown.stage = stage;
}

function ended({ name, ingest }) {
  const shown = row(name);
  if (shown.state === ingest.ended) return;
  shown.state = ingest.ended;
  const some = ingest.new > 0;
  const what = some ? `${plain.format(ingest.new)} new ${ingest.new === 1 ? "picture" : "pictures"}` : "no new pictures";
  const look = name === here ? element("button", { type: "button" }, "Reload") : link(name, "Look");
  if (name === here) look.addEventListener("click", () => location.reload());
  const away = element("button", { type: "button", class: "away", "aria-label": `Close: ${name}` }, "×");
  away.addEventListener("click", () => {
    closed.add(ingest.ended);
    remove(name);
    if (!section.hidden) list.querySelector("a, button")?.focus();
  });
  shown.title.replaceChildren(name);
  shown.item.replaceChildren(shown.title, element("span", { class: "how" }, what), ...(some ? [look] : []), away);
  shown.kept = some;
  tell(`Ingest into ${name} has ended: ${what}`);
}

function remove(name) {
  rows.get(name).item.remove();
  rows.delete(name);
  section.hidden = !rows.size;
}

const tell = (text) => {
  byId("ingests-said").textContent = text;
};

async function look() {
  const answer = await fetch("/api/collections");
  if (answer.status === 401 || answer.status === 403) return null; // logged out
  if (!answer.ok) return LATER;
  const found = (await answer.json()).collections.filter((each) => each.ingest);
  // What ended before the page was made, it shows; it may have been made long before it is looked at.
  const news = found.filter(({ ingest: { ended: at } }) => !at || (at > made && !closed.has(at)));
  for (const each of news) (each.ingest.ended ? ended : running)(each);
  const named = new Set(news.map((each) => each.name));
  for (const [name, shown] of rows) if (!named.has(name) && !(shown.kept && shown.state !== "runs")) remove(name);
  section.hidden = !rows.size;
  return news.some((each) => !each.ingest.ended) ? SOON : LATER;
}

/** Look now, and again later; a page that nobody sees asks nothing. */
async function watch() {
  clearTimeout(timer);
  timer = null;
  if (document.hidden) return;
  const next = await look().catch(() => LATER);
  clearTimeout(timer); // it was looked meanwhile, as the page came into sight
  if (next) timer = setTimeout(watch, next);
}

document.addEventListener("visibilitychange", watch);
watch();
