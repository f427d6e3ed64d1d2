// A part of the query's picture: dragged with a mouse at once, with a finger or the keyboard after "Search by a part".

import { element } from "./dom.js";
import { go, shown } from "./view.js";

/** The least side of a part, and how far an arrow key moves it, in shares of the picture. */
const LEAST = 0.03;
const STEP = 0.02;

const clamp = (value) => Math.min(1, Math.max(0, value));
const ready = new WeakSet();

export function begin() {
  shown(() => {
    const frame = document.querySelector(".frame");
    if (frame && !ready.has(frame)) {
      ready.add(frame);
      prepare(frame);
    }
  });
}

function prepare(frame) {
  const button = document.querySelector(".part-of");
  const picture = frame.querySelector("img");
  let shape = frame.dataset.box ? frame.dataset.box.split(",").map(Number) : null;
  let drawn = null;
  let from = null;

  const sharp = () => {
    const tiny = Math.max(picture.naturalWidth, picture.naturalHeight) <= 64;
    picture.classList.toggle("tiny", tiny && picture.naturalWidth > 0);
  };
  if (picture.complete) sharp();
  picture.addEventListener("load", sharp);

  function draw() {
    if (!shape) {
      drawn?.remove();
      drawn = null;
      return;
    }
    if (!drawn) frame.append((drawn = element("div", { class: "box" })));
    const [left, top, right, bottom] = shape.map((each) => `${(100 * each).toFixed(2)}%`);
    Object.assign(drawn.style, { left, top, width: `calc(${right} - ${left})`, height: `calc(${bottom} - ${top})` });
  }

  function search() {
    const asked = new URLSearchParams(location.search);
    asked.delete("offset");
    asked.set("box", shape.map((each) => each.toFixed(3)).join(","));
    go(`?${asked}`);
  }

  const at = (event) => {
    const area = frame.getBoundingClientRect();
    return [clamp((event.clientX - area.left) / area.width), clamp((event.clientY - area.top) / area.height)];
  };

  frame.addEventListener("pointerdown", (event) => {
    if (event.button || (event.pointerType !== "mouse" && !frame.classList.contains("choosing"))) return;
    event.preventDefault();
    from = { at: at(event), shape };
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = at(event);
    const [left, top] = from.at;
    shape = [Math.min(left, x), Math.min(top, y), Math.max(left, x), Math.max(top, y)];
    draw();
  });
  const end = (event) => {
    if (!from) return;
    const before = from.shape;
    from = null;
    const large = shape && shape[2] - shape[0] >= LEAST && shape[3] - shape[1] >= LEAST;
    if (event.type === "pointerup" && large && shape !== before) return search();
    shape = before;
    draw();
  };
  frame.addEventListener("pointerup", end);
  frame.addEventListener("pointercancel", end);

  button.addEventListener("click", () => {
    const on = frame.classList.toggle("choosing");
    button.setAttribute("aria-pressed", String(on));
    if (!on) {
      shape = frame.dataset.box ? frame.dataset.box.split(",").map(Number) : null;
      frame.removeAttribute("tabindex");
      return draw();
    }
    shape ??= [0.25, 0.25, 0.75, 0.75];
    draw();
    frame.tabIndex = 0;
    frame.setAttribute("role", "application");
    frame.setAttribute("aria-label", "A part of the picture: arrow keys move it, with Shift they size it, Enter searches by it");
    frame.focus({ preventScroll: true });
  });

  frame.addEventListener("keydown", (event) => {
    if (!frame.classList.contains("choosing")) return;
    if (event.key === "Enter") return search();
    if (event.key === "Escape") return button.click();
    const [x, y] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key] ?? [];
    if (x === undefined) return;
    event.preventDefault();
    const [left, top, right, bottom] = shape;
    const size = [right - left, bottom - top];
    if (event.shiftKey) shape = [left, top, clamp(Math.max(left + LEAST, right + x)), clamp(Math.max(top + LEAST, bottom + y))];
    else {
      const corner = [Math.min(1 - size[0], clamp(left + x)), Math.min(1 - size[1], clamp(top + y))];
      shape = [...corner, corner[0] + size[0], corner[1] + size[1]];
    }
    draw();
  });

  draw();
}
