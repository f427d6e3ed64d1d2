// A collection seen whole: dots, pictures as one goes nearer, a lasso, colours, and how it is arranged.

import { byId, collection, element, say } from "./dom.js";
import { Drawing } from "./mapdraw.js";
import { address, groups, idOf, palette, points } from "./mapdata.js";
import { View, within } from "./mapview.js";
import { ask, json } from "./problem.js";

const STAGES = {
  learn: "Learning the main directions",
  read: "Reading what is stored",
  place: "Placing what is new",
  neighbours: "Finding neighbours",
  arrange: "Arranging",
};
const EVERY = 500;
const TURN = 900;
/** How near a pointer has to be, in pixels; and how many pictures "search with these" takes. */
const NEAR = 12;
/** Sides of a picture up to which its pixels are drawn sharp. */
const TINY = 64;
const EXAMPLES = 12;

const name = collection();
const canvas = byId("canvas");
const here = new URLSearchParams(location.search);
const plain = new Intl.NumberFormat("en");
const numbered = (count, words = "picture") => `${plain.format(count)} ${words}${count === 1 ? "" : "s"}`;
const reduced = matchMedia("(prefers-reduced-motion: reduce)");
let colours = palette();
let shown = null;
let listed = [];
let ring = null;
let due = false;
let method = null;
/** The way of arranging that was asked for last: answers may come in another order. */
let asked = 0;

const drawing = new Drawing(canvas, (point) => `/thumbnails/${encodeURIComponent(name)}/${idOf(shown.ids, point)}?size=160`);
const view = new View(canvas, { changed: () => redraw(), chosen: lasso, pointed, pressed, listed: inView });
drawing.loaded = () => redraw();

function redraw() {
  if (due || !shown) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    const began = performance.now();
    drawing.draw(shown, view.camera, colours);
    drawing.over(view.line, ring, colours);
    canvas.dataset.took = (performance.now() - began).toFixed(1);
    canvas.dataset.thumbnails = drawing.placed.length;
    canvas.dataset.step = drawing.step;
  });
}

function tell(problem) {
  byId("problem").hidden = !problem;
  byId("problem").firstElementChild.textContent = problem ?? "";
}

function fit(again = false) {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width || !shown) return;
  drawing.resize(width, height);
  view.fit(width, height, shown.wide, shown.high, again);
}

const screen = (point) => [
  (shown.places[2 * point] - view.camera.x) * view.camera.scale + view.width / 2,
  (shown.places[2 * point + 1] - view.camera.y) * view.camera.scale + view.height / 2,
];

/** Show how points are arranged by a method; those that were there move to their new places. */
async function show(wanted) {
  const mine = (asked += 1);
  const next = await points(name, wanted);
  if (mine !== asked) return;
  const before = shown;
  method = wanted;
  for (const each of ["principal", "neighbours"]) byId(each).setAttribute("aria-pressed", String(each === wanted));
  byId("waiting-for").hidden = true;
  canvas.setAttribute("aria-label", `Map of ${numbered(next.count)}, ${wanted === "principal" ? "by their main directions" : "each beside its neighbours"}`);
  const same = before?.count === next.count && before.ids.every((byte, index) => byte === next.ids[index]);
  if (before && !same) forget();
  shown = { ...next, groups: same ? before.groups : new Uint8Array(next.count), chosen: same ? before.chosen : null };
  if (same && !reduced.matches) await turn(before.places, next.places);
  else fit(true);
  if (!same) await colour();
  remember();
}

/** Let go of what is known of points by their places in the map before: pictures came or went. */
function forget() {
  drawing.pictures.clear();
  ring = null;
  if (listed.length) choose([]);
}

async function turn(from, to) {
  const began = performance.now();
  const between = new Float32Array(to.length);
  const scene = shown;
  scene.places = between;
  const start = { ...view.camera };
  fit();
  for (let share = 0; share < 1; ) {
    share = Math.min(1, (performance.now() - began) / TURN);
    const eased = share * share * (3 - 2 * share);
    drawing.drawn.x = NaN; // as if the map moved: what it shows does
    for (let index = 0; index < to.length; index += 1) between[index] = from[index] + (to[index] - from[index]) * eased;
    view.camera.x = start.x * (1 - eased);
    view.camera.y = start.y * (1 - eased);
    view.camera.scale = start.scale + (view.camera.least - start.scale) * eased;
    redraw();
    await new Promise(requestAnimationFrame);
    if (shown !== scene) return;
  }
  scene.places = to;
  redraw();
}

async function colour() {
  const field = byId("field").value;
  const found = await groups(name, field, shown.count);
  if (field !== byId("field").value || found.places.length !== shown.count) return; // others are on their way
  shown.groups = found.places;
  colours.plain = found.entries.length < 2; // one colour says nothing
  byId("legend").hidden = colours.plain;
  byId("legend").replaceChildren(
    ...found.entries.map(({ title, many, colour: own }) => {
      const dot = element("span", { class: "dot" });
      dot.style.background = colours.css[own];
      const button = element("button", { type: "button", title: `Choose ${numbered(many)}` }, dot, title, element("small", {}, plain.format(many)));
      button.addEventListener("click", () => choose(all().filter((point) => shown.groups[point] === own)));
      return element("li", {}, button);
    }),
  );
  redraw();
}

const all = () => Array.from({ length: shown.count }, (_, point) => point);

function remember() {
  const asked = new URLSearchParams();
  if (method === "neighbours") asked.set("by", method);
  if (byId("field").selectedIndex) asked.set("colour", byId("field").value);
  history.replaceState(history.state, "", `?${asked}`.replace(/\?$/, location.pathname));
}

/** Wait until a map is there, or arranged; tell how far that is. */
async function watch(answer) {
  while (answer.stage) {
    const words = `${STAGES[answer.stage] || answer.stage}${answer.stage === "arrange" ? ` ${Math.round((100 * answer.done) / answer.total)}%` : ""}`;
    byId("working").hidden = false;
    byId("stage").textContent = words;
    byId("waiting-for").textContent = words;
    byId("progress").max = answer.total || 1;
    if (answer.total) byId("progress").value = answer.done;
    else byId("progress").removeAttribute("value");
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    answer = await json(`${address(name)}/map`);
    if (answer.points && !shown) await show("principal");
  }
  byId("working").hidden = true;
  if (!shown && !answer.points) {
    byId("waiting-for").textContent = answer.problem ? "There is no map" : "There is no picture in this collection yet.";
    canvas.setAttribute("aria-label", byId("waiting-for").textContent);
  }
  tell(answer.problem);
  note(answer);
  return answer;
}

function note(answer) {
  const many = answer.placed;
  byId("neighbours").disabled = !answer.methods.includes("neighbours") && (Boolean(answer.install) || !answer.points);
  byId("principal").disabled = !answer.points;
  byId("note").replaceChildren(
    !answer.methods.includes("neighbours") && answer.install ? answer.install : many ? `${numbered(many)} ${many === 1 ? "was" : "were"} added after the rest was arranged, each beside what it is most like. ` : "",
  );
  if (many && !answer.install) {
    const anew = element("button", { type: "button", class: "quiet" }, "Arrange anew");
    anew.addEventListener("click", () => guarded(arrange));
    byId("note").append(anew);
  }
}

async function arrange() {
  byId("neighbours").disabled = true;
  try {
    const answer = await watch(await json(`${address(name)}/map`, { method: "POST" }));
    if (answer.methods.includes("neighbours")) await show("neighbours");
  } finally {
    byId("neighbours").disabled = false;
  }
}

async function guarded(act) {
  tell("");
  try {
    await act();
  } catch (error) {
    byId("working").hidden = true;
    tell(error.message);
  }
}

/** The thumbnail or dot under a pointer. */
function under([x, y]) {
  const picture = drawing.placed.find((each) => each.wide && Math.abs(each.x - x) <= each.wide / 2 && Math.abs(each.y - y) <= each.high / 2);
  if (picture) return picture;
  const { camera } = view;
  const [left, top] = [(x - view.width / 2) / camera.scale + camera.x, (y - view.height / 2) / camera.scale + camera.y];
  let best = null;
  let least = (NEAR / camera.scale) ** 2;
  for (const point of drawing.visible) {
    const [across, down] = [shown.places[2 * point] - left, shown.places[2 * point + 1] - top];
    const far = across * across + down * down;
    if (far < least) [best, least] = [point, far];
  }
  if (best === null) return null;
  const [across, down] = screen(best);
  return { point: best, x: across, y: down };
}

const known = new Map();
let pointing = 0;

async function pointed(at) {
  const found = at && shown ? under(at) : null;
  if (found?.point === ring?.point) return;
  ring = found;
  canvas.classList.toggle("on", Boolean(found));
  redraw();
  byId("tip").hidden = true;
  const mine = (pointing += 1);
  if (!found) return;
  const id = idOf(shown.ids, found.point);
  await new Promise((resolve) => setTimeout(resolve, 60));
  if (mine !== pointing) return;
  if (!known.has(id)) known.set(id, json(`${address(name)}/points/${id}`).catch(() => null));
  const picture = await known.get(id);
  if (mine !== pointing || !picture) return;
  const small = byId("tip-picture");
  small.src = `/thumbnails/${encodeURIComponent(name)}/${id}?size=160`;
  await small.decode().catch(() => {}); // until then the one before is seen
  if (mine !== pointing) return;
  byId("tip-words").textContent = [picture.label, picture.payload?.name ?? picture.uri.split("/").pop()].filter((each) => each !== null && each !== undefined).join(" · ");
  const tip = byId("tip");
  tip.hidden = false;
  tip.style.left = `${Math.min(view.width - tip.offsetWidth - 8, Math.max(8, found.x + 16))}px`;
  tip.style.top = `${Math.min(view.height - tip.offsetHeight - 8, Math.max(8, found.y + 16))}px`;
}

function pressed(at, event) {
  const found = shown && under(at);
  if (!found) return;
  const to = `/c/${encodeURIComponent(name)}?q=id:${idOf(shown.ids, found.point)}`;
  if (event.ctrlKey || event.metaKey) window.open(to, "_blank", "noopener");
  else location.assign(to);
}

function lasso(line) {
  if (!shown) return;
  const inside = within(line);
  choose(all().filter((point) => inside(...screen(point))));
}

function inView() {
  if (!shown) return;
  choose(all().filter((point) => { const [x, y] = screen(point); return x >= 0 && y >= 0 && x < view.width && y < view.height; }), true);
}

/** List some points; `go`: move there, as who uses the keyboard wants. */
function choose(some, go = false) {
  listed = some;
  shown.chosen = some.length && some.length < shown.count ? new Uint8Array(shown.count) : null;
  for (const point of some) if (shown.chosen) shown.chosen[point] = 1;
  byId("chosen").hidden = !some.length;
  byId("chosen-title").textContent = numbered(some.length);
  byId("chosen-list").replaceChildren();
  const step = Math.max(1, some.length / EXAMPLES);
  const examples = Array.from({ length: Math.min(EXAMPLES, some.length) }, (_, index) => idOf(shown.ids, some[Math.floor(index * step)]));
  byId("search-these").textContent = some.length > EXAMPLES ? `Search with ${EXAMPLES} of these` : "Search with these";
  byId("taken").hidden = some.length <= EXAMPLES;
  byId("taken").textContent = `A search takes at most ${EXAMPLES} examples: they are spread over all that are chosen.`;
  byId("search-these").search = examples.map((id) => `like=id:${id}`).join("&");
  say(some.length ? `${numbered(some.length)} chosen, listed below the map` : "No picture is chosen");
  redraw();
  if (some.length) guarded(more).then(() => go && byId("chosen").focus());
}

async function more() {
  const list = byId("chosen-list");
  const mine = listed;
  const from = list.children.length;
  const some = mine.slice(from, from + Number(document.querySelector(".map").dataset.chosen));
  const asked = some.map((point) => `id=${idOf(shown.ids, point)}`).join("&");
  const answer = await ask(`/c/${encodeURIComponent(name)}/map/chosen?${asked}`);
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  const part = new DOMParser().parseFromString(`<ul>${await answer.text()}</ul>`, "text/html");
  if (mine !== listed || from !== list.children.length) return;
  for (const picture of part.querySelectorAll("img")) {
    picture.addEventListener("load", () => picture.classList.toggle("tiny", Math.max(picture.naturalWidth, picture.naturalHeight) <= TINY));
  }
  list.append(...part.querySelectorAll("li"));
  byId("more").hidden = list.children.length >= listed.length || !some.length;
}

byId("principal").addEventListener("click", () => guarded(() => show("principal")));
byId("neighbours").addEventListener("click", () => guarded(arrange));
byId("field").addEventListener("change", () => shown && guarded(async () => { await colour(); remember(); }));
byId("lasso").addEventListener("click", (event) => {
  view.lassoing = !view.lassoing;
  event.currentTarget.setAttribute("aria-pressed", String(view.lassoing));
  canvas.classList.toggle("lassoing", view.lassoing);
});
byId("in-view").addEventListener("click", inView);
byId("no-choice").addEventListener("click", () => { choose([]); canvas.focus(); });
byId("more").addEventListener("click", () => guarded(more));
byId("closer").addEventListener("click", () => view.zoom(1.6));
byId("farther").addEventListener("click", () => view.zoom(1 / 1.6));
byId("all").addEventListener("click", () => view.all());
new ResizeObserver(() => fit()).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colours = palette(); if (shown) guarded(colour); });

guarded(async () => {
  if (here.has("colour")) byId("field").value = here.get("colour");
  if (byId("field").selectedIndex < 0) byId("field").selectedIndex = 0;
  const first = await json(`${address(name)}/map`);
  const wanted = here.get("by") === "neighbours";
  if (first.points) await show(first.methods.includes("neighbours") ? "neighbours" : "principal");
  const answer = await watch(first);
  if (!shown && answer.points) await show(answer.methods.includes("neighbours") ? "neighbours" : "principal");
  if (wanted && answer.points && !answer.methods.includes("neighbours") && !answer.install && !answer.problem) await arrange();
});
