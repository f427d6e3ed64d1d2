// What part of a map is seen, and how it is moved: wheel, one finger or two, keys.

const MOST = 400;
const STEP = 70;
const STILL = 5;

export class View {
  constructor(canvas, { changed, chosen, pointed, pressed, listed }) {
    this.canvas = canvas;
    this.camera = { x: 0, y: 0, scale: 1, least: 1 };
    this.lassoing = false;
    this.line = [];
    this.fingers = new Map();
    this.tell = { changed, chosen, pointed, pressed, listed };
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event, true));
    canvas.addEventListener("pointerleave", () => pointed(null));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** Say how large the sheet is, and how wide and high the map, whose middle is 0, 0. */
  fit(width, height, wide, high, again = false) {
    const whole = 0.94 * Math.min(width / wide, height / high);
    const before = this.camera.least;
    Object.assign(this, { width, height });
    this.camera.least = whole;
    if (again) Object.assign(this.camera, { x: 0, y: 0, scale: whole });
    else this.camera.scale *= whole / before;
    this.tell.changed();
  }

  all() {
    Object.assign(this.camera, { x: 0, y: 0, scale: this.camera.least });
    this.tell.changed();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const { camera } = this;
    const scale = Math.min(camera.least * MOST, Math.max(camera.least * 0.6, camera.scale * factor));
    camera.x += (x - this.width / 2) * (1 / camera.scale - 1 / scale);
    camera.y += (y - this.height / 2) * (1 / camera.scale - 1 / scale);
    camera.scale = scale;
    this.tell.changed();
  }

  pan(across, down) {
    this.camera.x -= across / this.camera.scale;
    this.camera.y -= down / this.camera.scale;
    this.camera.x = Math.min(1, Math.max(-1, this.camera.x));
    this.camera.y = Math.min(1, Math.max(-1, this.camera.y));
    this.tell.changed();
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 18 : 1;
    this.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0022)), ...this.at(event));
  }

  down(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, this.at(event));
    this.began = this.at(event);
    this.moved = this.fingers.size > 1;
    this.line = this.fingers.size === 1 && (this.lassoing || event.shiftKey) ? [this.at(event)] : [];
    this.tell.pointed(null);
  }

  move(event) {
    const now = this.at(event);
    const before = this.fingers.get(event.pointerId);
    if (!before) return this.tell.pointed(now);
    if (!this.moved && Math.hypot(now[0] - this.began[0], now[1] - this.began[1]) < STILL) return;
    this.moved = true;
    this.fingers.set(event.pointerId, now);
    if (this.line.length) {
      this.line.push(now);
      this.tell.changed();
    } else if (this.fingers.size === 1) {
      this.pan(now[0] - before[0], now[1] - before[1]);
    } else if (this.fingers.size === 2) {
      const other = [...this.fingers].find(([id]) => id !== event.pointerId)[1];
      const far = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
      const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
      this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      this.zoom(far(now) / Math.max(1, far(before)), ...middle);
    }
  }

  up(event, cancelled = false) {
    if (!this.fingers.delete(event.pointerId)) return;
    const { line } = this;
    this.line = [];
    if (!cancelled && line.length > 2) this.tell.chosen(line);
    else if (!cancelled && !this.moved && !line.length) this.tell.pressed(this.at(event), event);
    this.tell.changed();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => this.pan(STEP, 0),
      ArrowRight: () => this.pan(-STEP, 0),
      ArrowUp: () => this.pan(0, STEP),
      ArrowDown: () => this.pan(0, -STEP),
      "+": () => this.zoom(1.35),
      "=": () => this.zoom(1.35),
      "-": () => this.zoom(1 / 1.35),
      0: () => this.all(),
      Home: () => this.all(),
      Enter: () => this.tell.listed(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

/** Whether points lie within a line around them: the rule of even and odd. */
export function within(line) {
  const [left, right] = [Math.min(...line.map(([x]) => x)), Math.max(...line.map(([x]) => x))];
  const [top, bottom] = [Math.min(...line.map(([, y]) => y)), Math.max(...line.map(([, y]) => y))];
  return (x, y) => {
    if (x < left || x > right || y < top || y > bottom) return false;
    let inside = false;
    for (let one = 0, other = line.length - 1; one < line.length; other = one, one += 1) {
      const [[x1, y1], [x2, y2]] = [line[one], line[other]];
      if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
    }
    return inside;
  };
}
