// Sessions of the filter by interval of their start; dragging, or Shift with the arrows, chooses a range of time.

import { byId, el, svg } from "./dom.js";
import { clock, dayKey, instantOf, minute, shortDay } from "./time.js";

const STACK = ["failed", "crashed", "problems", "warnings", "retried", "cancelled", "running", "succeeded"];
const HEIGHT = 44;
const DAY_SECONDS = 86_400;
const MOST_TICKS = 7;
const STEPS = [60, 300, 600, 1800, 3600, 7200, 14_400, 21_600, 43_200, DAY_SECONDS, 2 * DAY_SECONDS, 7 * DAY_SECONDS, 14 * DAY_SECONDS, 56 * DAY_SECONDS, 112 * DAY_SECONDS];

const [plot, chart, brush, tooltip, axis] = ["plot", "bars", "brush", "tooltip", "axis"].map(byId);

export class Histogram {
  /** `onChoose` gets the start and end of the chosen range, in milliseconds. */
  constructor({ onChoose }) {
    this.onChoose = onChoose;
    this.from = this.to = /** @type {any} */ (null);
    this.isDragging = false;
    this.data = /** @type {any} */ (null);
    this.listen();
  }

  listen() {
    plot.addEventListener("pointerdown", (event) => this.begin(event));
    plot.addEventListener("pointermove", (event) => this.move(event));
    plot.addEventListener("pointerup", () => this.isDragging && this.choose());
    plot.addEventListener("pointercancel", () => this.leave());
    plot.addEventListener("pointerleave", () => !this.isDragging && this.leave());
    plot.addEventListener("blur", () => this.leave());
    plot.addEventListener("focus", () => this.data && plot.matches(":focus-visible") && this.mark(this.data.counts.length - 1, this.data.counts.length - 1));
    plot.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Draw the counts of each mark in each interval. @param {import("./types").Histogram} data */
  show(data) {
    this.data = data;
    const totals = data.counts.map((count) => sum(count));
    const most = Math.max(1, ...totals);
    chart.setAttribute("viewBox", `0 0 ${data.counts.length} ${HEIGHT}`);
    chart.replaceChildren(...data.counts.flatMap((count, place) => bar(count, place, most)));
    axis.replaceChildren(...ticks(data).map(({ share, text }) => tick(share, text)));
    plot.setAttribute("aria-disabled", "false");
    plot.setAttribute("aria-valuemax", String(data.counts.length - 1));
    this.describe(data.counts.length - 1, data.counts.length - 1);
  }

  begin(event) {
    if (event.button !== 0 || !this.data) return;
    plot.setPointerCapture(event.pointerId);
    this.isDragging = true;
    this.mark(this.placeAt(event), this.placeAt(event));
  }

  move(event) {
    if (!this.data) return;
    const place = this.placeAt(event);
    this.mark(this.isDragging ? this.from : place, place);
  }

  leave() {
    this.isDragging = false;
    this.from = this.to = null;
    brush.hidden = tooltip.hidden = true;
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
    const box = plot.getBoundingClientRect();
    return Math.min(this.data.counts.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * this.data.counts.length)));
  }

  instantAt = (place) => Date.parse(this.data.start) + place * this.data.seconds * 1000;

  mark(from, to) {
    [this.from, this.to] = [from, to];
    const count = this.data.counts.length;
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    brush.style.left = `${(100 * first) / count}%`;
    brush.style.width = `${(100 * (last + 1 - first)) / count}%`;
    brush.hidden = tooltip.hidden = false;
    tooltip.textContent = this.describe(first, last);
    const middle = (100 * (first + last + 1)) / 2 / count;
    tooltip.style.left = `${middle}%`;
    tooltip.dataset.side = middle < 20 ? "left" : middle > 80 ? "right" : "middle";
  }

  describe(first, last) {
    const text = `${this.span(first, last)}: ${summaryOf(this.data.counts.slice(first, last + 1))}`;
    plot.setAttribute("aria-valuenow", String(last));
    plot.setAttribute("aria-valuetext", text);
    return text;
  }

  span(first, last) {
    const [from, to] = [this.instantAt(first), this.instantAt(last + 1)];
    if (this.data.seconds >= DAY_SECONDS) return last === first ? shortDay(from) : `${shortDay(from)} – ${shortDay(to - 1)}`;
    const show = this.data.seconds < 60 ? clock : minute;
    const day = dayKey(from) === dayKey(to) ? "" : `${shortDay(from)} `;
    return `${day}${show(from)} – ${show(to)}`;
  }
}

/** "312 sessions, 4 failed" of some intervals. */
export function summaryOf(counts) {
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

/** The labels of the axis at full hours, days or weeks of the zone, six at most, and their places. */
function ticks({ start, seconds, counts }) {
  const length = counts.length * seconds;
  const step = STEPS.find((one) => length / one <= MOST_TICKS) ?? STEPS[STEPS.length - 1];
  const found = /** @type {{share: number, text: string}[]} */ ([]);
  for (let place = 1; place < counts.length; place += 1) {
    const instant = Date.parse(start) + place * seconds * 1000;
    if (isFull(instant, step) && !found.some(({ text }) => text === tickText(instant, step))) found.push({ share: place / counts.length, text: tickText(instant, step) });
  }
  return found.filter(({ share }) => share > 0.03 && share < 0.97);
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
