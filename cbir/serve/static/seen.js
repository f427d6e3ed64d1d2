// How a picture was seen: the slider is followed at once; the address keeps what is set.

import { begin as brought, upload } from "./bringing.js";
import { byId, collection, element, say } from "./dom.js";
import { json } from "./problem.js";

/** Milliseconds in which a hand moves on. */
const SOON = 40;
const PICTURES = ["noisy", "restored", "maps"];

const page = document.querySelector(".seen");
let waiting = null;
let asking = null;

function tell(problem) {
  byId("problem").hidden = !problem;
  byId("problem").firstElementChild.textContent = problem;
}

async function show() {
  asking?.abort();
  const mine = (asking = new AbortController());
  const asked = new URLSearchParams({ q: page.dataset.q, noise: byId("noise").value || "0", seed: byId("seed").value });
  if (page.dataset.box) asked.set("box", page.dataset.box);
  try {
    const address = `/api/collections/${encodeURIComponent(collection())}/seen?${asked}`;
    const answer = await json(address, { signal: mine.signal });
    if (asking !== mine) return;
    fill(answer);
    tell("");
    history.replaceState(history.state, "", `?${asked.toString().replace(/%3A/gi, ":").replace(/%2C/gi, ",")}`);
  } catch (error) {
    if (error.name !== "AbortError") tell(error.message);
  }
}

function fill(answer) {
  for (const name of PICTURES) if (byId(name)) byId(name).src = `data:image/png;base64,${answer[name]}`;
  for (const name of ["noisy_error", "restored_error", "moved"])
    if (byId(name)) byId(name).textContent = answer[name].toFixed(3);
  byId("same").textContent = answer.same;
  if (byId("rank")) byId("rank").textContent = answer.rank ?? "over 100";
  const there = [...byId("near").children];
  const wanted = answer.hits.map((each, place) => hit(each, place, there[place]));
  byId("near").replaceChildren(...wanted);
  say(`Noise ${answer.noise}: of the nearest ten, ${answer.same} are the same`);
}

/** The place of a hit: the element that is there, if it shows that already. */
function hit({ id, before }, place, there) {
  const made = there?.querySelector("a").href.endsWith(`id:${id}`) ? there : thumbnail(id);
  made.classList.toggle("new", !before);
  made.querySelector("img").alt = `Number ${place + 1}${before ? "" : ", only with noise"}`;
  return made;
}

function thumbnail(id) {
  const src = `/thumbnails/${encodeURIComponent(collection())}/${id}?size=160`;
  return element("li", {}, element("a", { href: `?q=id:${id}` }, element("img", { src })));
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(show, SOON);
}

if (byId("noise-form")) {
  byId("slider").addEventListener("input", () => {
    byId("noise").value = Number(byId("slider").value).toFixed(2);
    soon();
  });
  byId("noise").addEventListener("input", () => {
    byId("slider").value = byId("noise").value;
    soon();
  });
  byId("other").addEventListener("click", () => {
    byId("seed").value = Number(byId("seed").value) + 1;
    show();
  });
  // What was set before this script came, or put back by the browser as the page was loaded anew.
  const [slider, noise] = [byId("slider"), byId("noise")];
  if (noise.value !== noise.defaultValue) noise.dispatchEvent(new Event("input"));
  else if (Math.abs(slider.value - Math.min(slider.max, noise.value)) > 0.005) slider.dispatchEvent(new Event("input"));
  byId("noise-form").addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
}

brought(async ([picture]) => {
  if (!picture) return;
  document.body.classList.add("waiting");
  try {
    location.search = `?q=up:${await upload(picture)}`;
  } catch (error) {
    tell(error.message);
  } finally {
    document.body.classList.remove("waiting");
  }
});
