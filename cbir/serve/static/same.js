// "The same picture?": the keypoints that agree, as lines between the query's picture and a found one.

import { byId, collection } from "./dom.js";
import { json } from "./problem.js";

const MOST = 90; // lines; more are a blur
const SPACE = 24;
let showing = null;
let asking = null;

const query = () => new URLSearchParams(location.search).get("q") ?? "";
const address = (asked) =>
  asked.startsWith("id:")
    ? `/images/${encodeURIComponent(collection())}/${encodeURIComponent(asked.slice(3))}`
    : `/uploads/${encodeURIComponent(asked.slice(3))}`;

/** Offer it for a hit, where the query is a picture. */
export function offer(hit) {
  const asked = query();
  byId("large-same").hidden = !/^(id|up):/.test(asked) || asked === `id:${hit.dataset.id}`;
}

export function clear() {
  asking?.abort();
  asking = showing = null;
  byId("lines").hidden = true;
  byId("large-same").setAttribute("aria-pressed", "false");
}

/** Draw the lines, or take them away. */
export async function show(hit) {
  if (byId("large-same").getAttribute("aria-pressed") === "true") {
    byId("large-said").textContent = "";
    return clear();
  }
  clear();
  byId("large-same").setAttribute("aria-pressed", "true");
  const said = byId("large-said");
  said.textContent = "Comparing …";
  const mine = (asking = new AbortController());
  const asked = query();
  try {
    const where = `/api/collections/${encodeURIComponent(collection())}/points/${encodeURIComponent(hit.dataset.id)}/agreement`;
    const [found, ours, theirs] = await Promise.all([
      json(`${where}?query=${encodeURIComponent(asked)}`, { signal: mine.signal }),
      picture(address(asked)),
      picture(hit.dataset.large),
    ]);
    if (mine.signal.aborted) return;
    showing = { found, ours, theirs };
    said.textContent = found.verdict;
    byId("lines").hidden = false;
    draw();
  } catch (error) {
    if (mine.signal.aborted) return;
    clear();
    said.textContent = error.message;
  }
}

function picture(src) {
  return new Promise((resolve, reject) => {
    const made = new Image();
    made.onload = () => resolve(made);
    made.onerror = () => reject(new Error("The picture cannot be shown."));
    made.src = src;
  });
}

function draw() {
  if (!showing) return;
  const canvas = byId("lines");
  const { width, height } = canvas.getBoundingClientRect();
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.imageSmoothingQuality = "high";
  const rooms = [
    [(width - 3 * SPACE) / 2, height - 2 * SPACE],
    [width - 2 * SPACE, (height - 3 * SPACE) / 2],
  ];
  const both = [showing.ours, showing.theirs];
  const fits = (room, each) => Math.min(room[0] / each.naturalWidth, room[1] / each.naturalHeight);
  const size = (room) => both.reduce((sum, each) => sum + fits(room, each) * each.naturalWidth, 0);
  const beside = size(rooms[0]) >= size(rooms[1]);
  const room = beside ? rooms[0] : rooms[1];
  const places = both.map((each, index) => {
    const fit = fits(room, each);
    const size = [each.naturalWidth * fit, each.naturalHeight * fit];
    const left = SPACE + (beside ? index * (room[0] + SPACE) : 0) + (room[0] - size[0]) / 2;
    const top = SPACE + (beside ? 0 : index * (room[1] + SPACE)) + (room[1] - size[1]) / 2;
    pen.drawImage(each, left, top, ...size);
    return (x, y) => [left + x * size[0], top + y * size[1]];
  });
  const { pairs } = showing.found;
  const every = Math.max(1, Math.ceil(pairs.length / MOST));
  pen.lineWidth = 1.25;
  for (let index = 0; index < pairs.length; index += every) {
    const [x, y, u, v] = pairs[index];
    const [one, other] = [places[0](x, y), places[1](u, v)];
    pen.strokeStyle = pen.fillStyle = `hsl(${(160 + 140 * y) % 360} 75% 58%)`;
    pen.globalAlpha = 0.75;
    pen.beginPath();
    pen.moveTo(...one);
    pen.lineTo(...other);
    pen.stroke();
    pen.globalAlpha = 1;
    for (const end of [one, other]) {
      pen.beginPath();
      pen.arc(...end, 2.5, 0, 7);
      pen.fill();
    }
  }
}

addEventListener("resize", draw);
