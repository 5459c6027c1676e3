// How many sessions began in each interval, for the present filter; dragging over it, or Shift with the arrows, chooses a stretch.

import { el } from "./dom.js";
import { clock, dayKey, instantOf, minute, shortDay, zoneBehind, zoneLetters } from "./time.js";

const STACK = ["failed", "crashed", "problems", "warnings", "retried", "cancelled", "running", "succeeded"];
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 44;
const DAY_SECONDS = 86_400;
const MOST_TICKS = 7;
const STEPS = [60, 300, 600, 1800, 3600, 7200, 14_400, 21_600, 43_200, DAY_SECONDS, 2 * DAY_SECONDS, 7 * DAY_SECONDS, 14 * DAY_SECONDS, 56 * DAY_SECONDS, 112 * DAY_SECONDS];

export class Histogram {
  /** `onChoose` hears the chosen stretch as two instants in milliseconds. */
  constructor(root, { onChoose }) {
    this.onChoose = onChoose;
    this.chart = svg("svg", { class: "bars", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.brush = el("span", { class: "brush", hidden: true });
    this.says = el("span", { class: "says", hidden: true });
    this.plot = el(
      "div",
      { class: "plot", role: "slider", tabindex: "0", "aria-label": "Intervals of the histogram; Shift with the arrows chooses several, Enter shows only these", "aria-disabled": "true", "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0", "aria-valuetext": "Nothing is counted yet" },
      this.chart,
      this.brush,
      this.says,
    );
    this.axis = el("div", { class: "axis", "aria-hidden": "true" });
    root.append(this.plot, this.axis);
    this.from = this.to = null;
    this.listen();
  }

  listen() {
    this.plot.addEventListener("pointerdown", (event) => this.begin(event));
    this.plot.addEventListener("pointermove", (event) => this.move(event));
    this.plot.addEventListener("pointerup", () => this.end());
    this.plot.addEventListener("pointercancel", () => this.leave());
    this.plot.addEventListener("pointerleave", () => !this.isDragging && this.leave());
    this.plot.addEventListener("blur", () => this.leave());
    this.plot.addEventListener("focus", () => this.data && this.plot.matches(":focus-visible") && this.mark(this.data.counts.length - 1, this.data.counts.length - 1));
    this.plot.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Draw `{start, seconds, counts: [{mark: number}]}`. */
  show(data) {
    this.data = data;
    const totals = data.counts.map((count) => sum(count));
    const most = Math.max(1, ...totals);
    this.chart.setAttribute("viewBox", `0 0 ${data.counts.length} ${HEIGHT}`);
    this.chart.replaceChildren(...data.counts.flatMap((count, place) => bar(count, place, most)));
    this.axis.replaceChildren(...ticks(data).map(({ share, text }) => tick(share, text)));
    this.plot.setAttribute("aria-disabled", "false");
    this.plot.setAttribute("aria-valuemax", String(data.counts.length - 1));
    this.say(data.counts.length - 1, data.counts.length - 1);
  }

  begin(event) {
    if (event.button !== 0 || !this.data) return;
    this.plot.setPointerCapture(event.pointerId);
    this.isDragging = true;
    this.mark(this.placeAt(event), this.placeAt(event));
  }

  move(event) {
    if (!this.data) return;
    const place = this.placeAt(event);
    this.mark(this.isDragging ? this.from : place, place);
  }

  end() {
    if (!this.isDragging) return;
    this.isDragging = false;
    this.choose();
  }

  leave() {
    this.isDragging = false;
    this.from = this.to = null;
    this.brush.hidden = this.says.hidden = true;
  }

  onKey(event) {
    if (!this.data) return;
    const last = this.data.counts.length - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last }[event.key];
    if (step !== undefined) {
      const to = Math.min(last, Math.max(0, (this.to ?? last) + step));
      this.mark(event.shiftKey ? (this.from ?? to) : to, to);
    } else if (event.key === "Enter" && this.from !== null) this.choose();
    else if (event.key === "Escape") this.leave();
    else return;
    event.preventDefault();
  }

  choose() {
    const [first, last] = [Math.min(this.from, this.to), Math.max(this.from, this.to)];
    this.leave();
    this.onChoose(this.instantAt(first), this.instantAt(last + 1));
  }

  placeAt(event) {
    const box = this.plot.getBoundingClientRect();
    return Math.min(this.data.counts.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * this.data.counts.length)));
  }

  instantAt = (place) => Date.parse(this.data.start) + place * this.data.seconds * 1000;

  mark(from, to) {
    [this.from, this.to] = [from, to];
    const count = this.data.counts.length;
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    this.brush.style.left = `${(100 * first) / count}%`;
    this.brush.style.width = `${(100 * (last + 1 - first)) / count}%`;
    this.brush.hidden = this.says.hidden = false;
    this.says.textContent = this.say(first, last);
    const middle = (100 * (first + last + 1)) / 2 / count;
    this.says.style.left = `${middle}%`;
    this.says.dataset.side = middle < 20 ? "left" : middle > 80 ? "right" : "middle";
  }

  say(first, last) {
    const text = `${this.span(first, last)}: ${told(this.data.counts.slice(first, last + 1))}`;
    this.plot.setAttribute("aria-valuenow", String(last));
    this.plot.setAttribute("aria-valuetext", text);
    return text;
  }

  span(first, last) {
    const [from, to] = [this.instantAt(first), this.instantAt(last + 1)];
    if (this.data.seconds >= DAY_SECONDS) return last === first ? shortDay(from) : `${shortDay(from)} – ${shortDay(to - 1)}`;
    const show = this.data.seconds < 60 ? clock : minute;
    const day = dayKey(from) === dayKey(to) ? "" : `${shortDay(from)} `;
    return `${day}${show(from)} – ${show(to)} ${zoneLetters(from)}`;
  }
}

/** "312 sessions, 4 failed" of some intervals. */
export function told(counts) {
  const total = counts.reduce((all, count) => all + sum(count), 0);
  const bad = counts.reduce((all, { failed = 0, crashed = 0 }) => all + failed + crashed, 0);
  const troubled = counts.reduce((all, { problems = 0 }) => all + problems, 0);
  return `${total.toLocaleString("en")} ${total === 1 ? "session" : "sessions"}${bad > 0 ? `, ${bad.toLocaleString("en")} failed or crashed` : ""}${troubled > 0 ? `, ${troubled.toLocaleString("en")} with problems` : ""}`;
}

const sum = (count) => Object.values(count).reduce((all, number) => all + number, 0);

/** One interval's stack, failures at the bottom and never thinner than can be seen. */
function bar(count, place, most) {
  let base = HEIGHT;
  return STACK.filter((status) => count[status] > 0).map((status) => {
    const height = Math.max(status === "succeeded" ? 1.5 : 3, ((HEIGHT - 6) * count[status]) / most);
    base -= height;
    return svg("rect", { class: status, x: place + 0.12, width: 0.76, y: Math.max(0, base), height });
  });
}

/** The places of the axis that fall on full hours, days or weeks of the zone, six at most, with what stands there; the first names the zone where the bar doesn’t. */
function ticks({ start, seconds, counts }) {
  const length = counts.length * seconds;
  const step = STEPS.find((one) => length / one <= MOST_TICKS) ?? STEPS.at(-1);
  const found = [];
  for (let place = 1; place < counts.length; place += 1) {
    const instant = Date.parse(start) + place * seconds * 1000;
    if (isFull(instant, step) && !found.some(({ text }) => text === tickText(instant, step))) found.push({ share: place / counts.length, text: tickText(instant, step) });
  }
  const shown = found.filter(({ share }) => share > 0.03 && share < 0.97);
  return shown.map(({ share, text }, index) => ({ share, text: index === 0 ? text + zoneBehind(Date.parse(start)) : text }));
}

function isFull(instant, step) {
  const intoDay = Math.round((instant - instantOf(`${dayKey(instant)}T00:00:00`)) / 1000);
  if (step < DAY_SECONDS) return intoDay % step === 0;
  const day = Math.round(Date.parse(dayKey(instant)) / 1000 / DAY_SECONDS);
  return intoDay < DAY_SECONDS / 2 && day % (step / DAY_SECONDS) === 0;
}

const tickText = (instant, step) => (step >= DAY_SECONDS || minute(instant) === "00:00" ? shortDay(instant) : minute(instant));

function tick(share, text) {
  const element = el("span", {}, text);
  element.style.left = `${100 * share}%`;
  return element;
}

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
