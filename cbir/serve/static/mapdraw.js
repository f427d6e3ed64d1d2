// The picture of a map: dots written into an array of pixels, and over them as many thumbnails as have room.

const SIDES = [34, 104];
/** Thumbnails at once, and pictures in view from which on there are none. */
const MOST = 260;
const CROWD = 2600;
const LOADING = 8;
/** Pixels that are painted while the map moves: of more dots every second, third and so on, until it stands still for so long. */
const SMOOTH = 600_000;
const STILL = 150;
const KEPT = 800;

/** Discs as offsets and how much of a pixel they cover, by radius in pixels. */
const discs = new Map();

function disc(radius) {
  const key = Math.max(0.5, Math.round(radius * 4) / 4);
  if (!discs.has(key)) {
    const reach = Math.ceil(key);
    const parts = [];
    for (let y = -reach; y <= reach; y += 1) {
      for (let x = -reach; x <= reach; x += 1) {
        const cover = Math.min(1, Math.max(0, key + 0.5 - Math.hypot(x, y)));
        if (cover > 0.02) parts.push([x, y, cover]);
      }
    }
    discs.set(key, { reach, parts });
  }
  return discs.get(key);
}

export class Drawing {
  constructor(canvas, address) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.address = address;
    this.pictures = new Map();
    this.waiting = [];
    this.loading = 0;
    this.placed = [];
    this.loaded = () => {};
    this.visible = new Int32Array(0);
    this.step = 1;
    this.drawn = {};
  }

  resize(width, height) {
    this.ratio = Math.min(2, devicePixelRatio || 1);
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  /** Draw points, `places` of which lie in the camera's world; `groups` says which colour each has. */
  draw(scene, camera, palette) {
    const now = { ...scene, ...camera, palette, image: this.image };
    const changed = (...names) => names.some((name) => now[name] !== this.drawn[name]);
    const moved = changed("x", "y", "scale") && !changed("ids", "image");
    if (moved) {
      clearTimeout(this.waits);
      this.waits = setTimeout(() => {
        this.drawn = {};
        this.loaded();
      }, STILL);
    }
    if (moved || changed(...Object.keys(now))) {
      this.step = moved ? Math.max(1, Math.ceil((this.visible.length * this.step * this.pieces) / SMOOTH)) : 1;
      this.dots(scene, camera, palette);
      this.drawn = now;
    }
    this.context.putImageData(this.image, 0, 0);
    this.thumbnails(scene.places, scene.groups, this.visible, camera, palette);
  }

  dots({ places, groups, chosen, count }, camera, palette) {
    const { pixels, ratio, step } = this;
    const [wide, high] = [this.canvas.width, this.canvas.height];
    pixels.fill(palette.paper);
    const scale = camera.scale * ratio;
    const left = wide / 2 - camera.x * scale;
    const top = high / 2 - camera.y * scale;
    const spread = Math.sqrt((this.width * this.height * 0.05) / Math.max(1, count));
    const grown = Math.pow(Math.max(1, camera.scale / camera.least), 0.45);
    const { reach, parts } = disc(Math.min(6, Math.min(3.2, Math.max(0.8, spread)) * grown) * ratio);
    // Arrays of numbers: sixty thousand points are drawn in some milliseconds.
    const offsets = Int32Array.from(parts, ([across, down]) => down * wide + across);
    const shares = new Int32Array(parts.length);
    const pieces = (this.pieces = parts.length);
    const { colours } = palette;
    if (!this.room || this.room.length < count) this.room = new Int32Array(count);
    const visible = this.room;
    let seen = 0;
    for (const pass of chosen ? [0, 1] : [1]) {
      const strength = pass ? (count > 20_000 ? 205 : 225) : 46;
      for (let part = 0; part < pieces; part += 1) shares[part] = parts[part][2] * strength;
      for (let point = 0; point < count; point += step) {
        if (chosen && chosen[point] !== pass) continue;
        const x = (places[2 * point] * scale + left) | 0;
        const y = (places[2 * point + 1] * scale + top) | 0;
        if (x < reach || y < reach || x >= wide - reach || y >= high - reach) continue;
        if (pass) visible[seen++] = point;
        const colour = colours[groups[point]];
        const red = colour & 255;
        const green = (colour >> 8) & 255;
        const blue = (colour >> 16) & 255;
        const at = y * wide + x;
        for (let part = 0; part < pieces; part += 1) {
          const place = at + offsets[part];
          const there = pixels[place];
          const share = shares[part];
          const rest = 256 - share;
          pixels[place] =
            0xff000000 |
            ((((there >> 16) & 255) * rest + blue * share) << 8 & 0xff0000) |
            (((there >> 8) & 255) * rest + green * share & 0xff00) |
            (((there & 255) * rest + red * share) >> 8);
        }
      }
    }
    this.visible = visible.subarray(0, seen);
  }

  /** Choose thumbnails that do not cover each other, the first points first, so that they stay as one goes nearer. */
  thumbnails(places, groups, visible, camera, palette) {
    this.placed = [];
    if (!visible.length || visible.length > CROWD) return;
    const fits = Math.sqrt((this.width * this.height * 0.62) / visible.length);
    const side = Math.min(SIDES[1], Math.max(SIDES[0], fits));
    const room = side + 5;
    const cells = new Map();
    const key = (column, row) => column * 4096 + row;
    for (const point of visible) {
      const x = (places[2 * point] - camera.x) * camera.scale + this.width / 2;
      const y = (places[2 * point + 1] - camera.y) * camera.scale + this.height / 2;
      const [column, row] = [Math.floor(x / room) + 8, Math.floor(y / room) + 8];
      let free = true;
      for (let across = -1; free && across <= 1; across += 1) {
        for (let down = -1; free && down <= 1; down += 1) {
          const other = cells.get(key(column + across, row + down));
          free = !other || Math.abs(other.x - x) >= room || Math.abs(other.y - y) >= room;
        }
      }
      if (!free) continue;
      const placed = { point, x, y, side };
      cells.set(key(column, row), placed);
      this.placed.push(placed);
      if (this.placed.length >= MOST) break;
    }
    const { context } = this;
    context.save();
    context.scale(this.ratio, this.ratio);
    this.waiting = [];
    for (const each of this.placed) {
      const picture = this.picture(each.point);
      if (!picture.complete || !picture.naturalWidth) continue;
      const larger = Math.max(picture.naturalWidth, picture.naturalHeight);
      const [wide, high] = [(side * picture.naturalWidth) / larger, (side * picture.naturalHeight) / larger];
      each.wide = wide;
      each.high = high;
      const edge = palette.plain ? 1 : 2;
      context.fillStyle = palette.plain ? palette.line : palette.css[groups[each.point]];
      context.fillRect(each.x - wide / 2 - edge, each.y - high / 2 - edge, wide + 2 * edge, high + 2 * edge);
      context.imageSmoothingEnabled = larger > 64;
      context.drawImage(picture, each.x - wide / 2, each.y - high / 2, wide, high);
    }
    context.restore();
    this.load();
  }

  /** The picture of a point; it is loaded if it is still wanted when there is room. */
  picture(point) {
    let known = this.pictures.get(point);
    if (known) {
      this.pictures.delete(point);
    } else {
      known = new Image();
      known.decoding = "async";
    }
    this.pictures.set(point, known);
    if (!known.src) this.waiting.push(point);
    if (this.pictures.size > KEPT) this.pictures.delete(this.pictures.keys().next().value);
    return known;
  }

  load() {
    while (this.loading < LOADING && this.waiting.length) {
      const point = this.waiting.shift();
      const picture = this.pictures.get(point);
      if (!picture || picture.src) continue;
      this.loading += 1;
      const done = () => {
        this.loading -= 1;
        this.load();
        this.loaded();
      };
      picture.addEventListener("load", done);
      picture.addEventListener("error", done);
      picture.src = this.address(point);
    }
  }

  /** Draw over all: the line of a lasso, and a ring around a point. */
  over(line, ring, palette) {
    const { context } = this;
    context.save();
    context.scale(this.ratio, this.ratio);
    context.strokeStyle = palette.accent;
    context.lineWidth = 2;
    if (line.length > 1) {
      context.beginPath();
      line.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      context.globalAlpha = 0.14;
      context.fillStyle = palette.accent;
      context.fill();
      context.globalAlpha = 1;
      context.stroke();
    }
    if (ring) {
      context.beginPath();
      if (ring.wide) context.rect(ring.x - ring.wide / 2 - 3, ring.y - ring.high / 2 - 3, ring.wide + 6, ring.high + 6);
      else context.arc(ring.x, ring.y, 8, 0, 7);
      context.stroke();
    }
    context.restore();
  }
}
