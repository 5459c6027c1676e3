// The states of a window: each has a color, and bands that differ even at two pixels' width.

// Bands reach from the top (0) to the bottom (1) of a row.
export const STATES = {
  f: { name: "fresh", meaning: "it has data, and no refresh is due", bands: [[0, 1]] },
  m: { name: "missing", meaning: "no data yet, as expected", bands: [[0.84, 1]] },
  d: { name: "due", meaning: "it will be requested", bands: [[0.5, 1]] },
  r: { name: "requested", meaning: "Amazon creates its report", bands: [[0.25, 1]] },
  o: { name: "loading", meaning: "its report is complete, and is loaded", bands: [[0, 0.75]] },
  g: { name: "partly not served", meaning: "it has data, and no refresh is due; some of its ad products are not served", bands: [[0, 0.5], [0.7, 0.92]] },
  s: { name: "not served", meaning: "Amazon refuses it as too old, or may no longer serve it: it has no rows and is older than any with rows", bands: [[0.7, 0.92]] },
  p: { name: "paused", meaning: "a person has paused its account", bands: [[0.28, 0.44], [0.56, 0.72]] },
  b: { name: "disabled", meaning: "Amazon has disabled its account", bands: [[0, 0.16]] },
  a: { name: "late at Amazon", meaning: "Amazon takes far longer than usual", bands: [[0, 0.3], [0.48, 1]] },
  l: { name: "late", meaning: "due for longer than the tolerance", bands: [[0, 0.58], [0.76, 1]] },
  h: { name: "suspicious", meaning: "a report lost nearly all rows; a second one must confirm that, or a person decides", bands: [[0, 0.42], [0.58, 1]] },
  u: { name: "unconfirmed", meaning: "no rows though there should be some; requested once more", bands: [[0, 0.2], [0.4, 0.6], [0.8, 1]] },
  n: { name: "needs attention", meaning: "Amazon refuses its account or our credentials", bands: [[0, 0.14], [0.34, 0.86]] },
  x: { name: "failed", meaning: "its report was given up or refused", bands: [[0, 0.2], [0.3, 0.7], [0.8, 1]] },
  e: { name: "expired", meaning: "never loaded while Amazon served it", bands: [[0.38, 0.62]] },
};
export const NONE = "-";
// If campaigns are left out, the state is in the upper part of the row, a line in the lower part.
const STATE_SHARE = 14 / 18;
const LEFT_OUT_TOP = 15 / 18;
let colors = /** @type {Record<string, string>} */ ({});

/** Read the colors of the theme, before windows are drawn. */
export function readColors() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const states = Object.entries(STATES).map(([letter, { name }]) => [letter, read(`--state-${name.replaceAll(" ", "-").toLowerCase()}`)]);
  colors = { ...Object.fromEntries(states), leftOut: read("--amber") };
}

/** Draw one window into a canvas: `x`, `width` and `height` in CSS pixels. */
export function drawCell(context, letter, x, width, height, isLeftOut = false) {
  const inner = width >= 8 ? width - 2 : width >= 4 ? width - 1 : width;
  const upper = isLeftOut ? height * STATE_SHARE : height;
  context.fillStyle = colors[letter];
  for (const [from, to] of STATES[letter]?.bands ?? []) context.fillRect(x, upper * from, inner, upper * (to - from));
  if (!isLeftOut) return;
  context.fillStyle = colors.leftOut;
  context.fillRect(x, height * LEFT_OUT_TOP, width, height * (1 - LEFT_OUT_TOP));
}

/** The names of the campaigns left out of each day's reports; empty if there are none at all. */
export function leftOutByDay({ left_out: campaigns, cells }, days) {
  if (campaigns.length === 0) return [];
  const ran = (day) => campaigns.filter(({ from, to }) => (from ?? day) <= day && day <= (to ?? day)).map(({ campaign }) => campaign);
  return days.map((day, place) => (cells[place] === NONE ? [] : ran(day)));
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

/** Clear a canvas, and set its size in CSS pixels, sharp on any screen. */
export function sized(canvas, width, height) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
}
