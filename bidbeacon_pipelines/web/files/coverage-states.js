// The states of a window: each a colour and a shape, so that two pixels of width tell them apart without colour.

export const STATES = {
  f: { name: "fresh", meaning: "it has data, and no refresh is due" },
  m: { name: "missing", meaning: "no data yet, as it should be" },
  d: { name: "due", meaning: "it will be requested" },
  r: { name: "requested", meaning: "Amazon creates its report" },
  o: { name: "loading", meaning: "its report is complete, and is loaded" },
  p: { name: "paused", meaning: "a person has paused its account" },
  b: { name: "disabled", meaning: "Amazon has disabled its account" },
  a: { name: "late at Amazon", meaning: "Amazon takes far longer than usual" },
  l: { name: "late", meaning: "due for longer than the tolerance" },
  h: { name: "suspicious", meaning: "a report lost nearly all rows; a second one must say the same" },
  u: { name: "unconfirmed", meaning: "no rows though there should be some; requested once more" },
  n: { name: "needs attention", meaning: "Amazon refuses its account or our credentials" },
  x: { name: "failed", meaning: "its report was given up or refused" },
  e: { name: "expired", meaning: "never loaded while Amazon served it" },
};
export const NONE = "-";
const WIDE = 8;
let colours = null;

/** Read the colours of the present theme; to be called again when that changes. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  colours = Object.fromEntries(Object.entries(STATES).map(([letter, { name }]) => [letter, read(`--state-${name.replaceAll(" ", "-").toLowerCase()}`)]));
  colours.mark = read("--state-mark");
}

/** Draw one window into a canvas: `x`, `width` and `height` in CSS pixels. */
export function drawCell(context, letter, x, width, height) {
  const shape = SHAPES[letter];
  if (!shape) return;
  const inner = width >= WIDE ? width - 2 : width >= 4 ? width - 1 : width;
  context.fillStyle = colours[letter];
  const bands = width < WIDE && shape.narrow ? shape.narrow : shape.bands;
  for (const [from, to] of bands) context.fillRect(x, height * from, inner, height * (to - from));
  if (width >= WIDE) shape.mark?.(context, x + inner / 2, height / 2, Math.min(inner, height) / 4);
}

// From top (0) to bottom (1) of a row; a mark inside where there is room for it, other bands where there is none.
const SHAPES = {
  f: { bands: [[0, 1]] },
  m: { bands: [[0.84, 1]] },
  d: { bands: [[0.5, 1]] },
  r: { bands: [[0.25, 1]], mark: dot },
  o: { bands: [[0, 0.75]] },
  p: { bands: [[0.28, 0.44], [0.56, 0.72]] },
  b: { bands: [[0, 0.16]] },
  a: { bands: [[0, 0.3], [0.48, 1]] },
  l: { bands: [[0, 0.58], [0.76, 1]] },
  h: { bands: [[0, 1]], narrow: [[0, 0.42], [0.58, 1]], mark: bars },
  u: { bands: [[0, 0.2], [0.4, 0.6], [0.8, 1]] },
  n: { bands: [[0, 0.14], [0.34, 0.86]] },
  x: { bands: [[0, 1]], narrow: [[0, 0.2], [0.3, 0.7], [0.8, 1]], mark: cross },
  e: { bands: [[0.38, 0.62]] },
};

function dot(context, x, y, size) {
  context.fillStyle = colours.mark;
  context.fillRect(x - size / 2, y, size, size);
}

function bars(context, x, y, size) {
  context.fillStyle = colours.mark;
  context.fillRect(x - size, y - size * 1.5, size * 0.7, size * 3);
  context.fillRect(x + size * 0.3, y - size * 1.5, size * 0.7, size * 3);
}

function cross(context, x, y, size) {
  context.strokeStyle = colours.mark;
  context.lineWidth = Math.max(1.5, size / 2.2);
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x + size, y - size);
  context.lineTo(x - size, y + size);
  context.stroke();
}

/** A small picture of a state, for the legend and the table. */
export function stateMark(letter) {
  const canvas = document.createElement("canvas");
  canvas.className = "state-mark";
  canvas.setAttribute("aria-hidden", "true");
  sized(canvas, 14, 14);
  drawCell(canvas.getContext("2d"), letter, 0, 16, 14);
  return canvas;
}

/** Give a canvas a size in CSS pixels, sharp on any screen, and empty it. */
export function sized(canvas, width, height) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
}
