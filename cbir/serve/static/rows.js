// Rows of one width: pictures keep their shape, each row is as high as it must be to end where the list does.

/** Lists, with what is known of them: shapes of the pictures, where the last row begins, and the width it is for. */
const lists = new WeakMap();
/** Room for rounding, so that no picture is pushed into the next row; the row's pictures grow to fill it. */
const SPARE = 0.05;

/** Where the row that begins at `first` ends, and how high it is: of the two ends about the wanted height, the nearer. */
function row(shapes, first, width, gap, wanted) {
  let sum = 0;
  let before = Infinity;
  for (let at = first; at < shapes.length; at += 1) {
    sum += shapes[at];
    const high = (width - gap * (at - first)) / sum;
    if (high <= wanted) return before / wanted < wanted / high ? [at, before, true] : [at + 1, high, true];
    before = high;
  }
  return [shapes.length, wanted, false];
}

const across = (list) => list.getBoundingClientRect().width;

function lay(list, from = 0) {
  const known = lists.get(list);
  const style = getComputedStyle(list);
  const [gap, wanted] = [style.columnGap, style.getPropertyValue("--row")].map(parseFloat);
  const width = across(list);
  if (!width || !wanted) return;
  known.width = width;
  const hits = list.children;
  for (let first = from; first < hits.length; ) {
    known.last = first;
    const [end, high, full] = row(known.shapes, first, width, gap, wanted);
    for (; first < end; first += 1) {
      const shape = known.shapes[first];
      hits[first].style.flex = `${full ? shape : 0} 0 ${Math.max(1, shape * high - SPARE).toFixed(2)}px`;
    }
  }
}

const widths = new ResizeObserver((entries) =>
  requestAnimationFrame(() => {
    for (const { target } of entries) if (target.isConnected && lists.get(target).width !== across(target)) lay(target);
  }),
);

/** Lay out a list anew; soon, so that many changes are one. */
export function again(list) {
  const known = lists.get(list);
  if (known.waiting) return;
  known.waiting = requestAnimationFrame(() => {
    known.waiting = 0;
    if (list.isConnected) lay(list);
  });
}

/** Lay out pictures that were added at a list's end: `shapes`, width by height of each. */
export function extend(list, shapes) {
  if (!lists.has(list)) {
    lists.set(list, { shapes: [], last: 0, width: 0, waiting: 0 });
    widths.observe(list);
  }
  const known = lists.get(list);
  known.shapes.push(...shapes);
  lay(list, known.last);
}

/** Change a picture's shape, once it is known. */
export function reshape(list, place, shape) {
  const known = lists.get(list);
  if (Math.abs(known.shapes[place] - shape) < 0.001) return;
  known.shapes[place] = shape;
  again(list);
}
