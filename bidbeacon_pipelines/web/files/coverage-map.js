// Accounts by days as a picture: one canvas per row, one real element at the cursor.
// 45,600 windows are drawn in some milliseconds. Days that don't fit scroll sideways.

import { NONE, STATES, drawCell, sized } from "./coverage-states.js";
import { dayAfter, daysBetween, monthOf, weekdayOf } from "./days.js";
import { byId, el, reconcile } from "./dom.js";
import { firstOf } from "./words.js";

const ROW = 18;
const NARROWEST = 2;
const AROUND_PX = 60;

const element = byId("grid").content.firstElementChild;
const [axis, dayLabels, body, tooltip, earlier, later] = [".days-axis", ".days", ".map-body", ".tooltip", ".earlier", ".later"].map((one) => element.querySelector(one));

export class CoverageMap {
  /** `onChoose` is called with the chosen account's key and day. */
  constructor({ onChoose }) {
    this.onChoose = onChoose;
    this.element = element;
    this.cursor = el("button", { type: "button", class: "cursor", role: "gridcell", tabindex: "0" });
    this.rows = new Map();
    this.data = this.chosen = this.at = this.described = /** @type {any} */ (null);
    this.accounts = /** @type {any[]} */ ([]);
    this.range = "";
    this.step = this.room = this.width = 0;
    this.listen();
    new ResizeObserver(() => this.data && element.isConnected && this.draw()).observe(element);
  }

  listen() {
    for (const [button, direction] of [[earlier, -1], [later, 1]]) {
      button.addEventListener("click", () => body.scrollBy({ left: direction * this.room * 0.8 }));
      button.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays where it is
    }
    body.addEventListener("scroll", () => this.onScroll(), { passive: true });
    element.addEventListener("click", (event) => this.onClick(event));
    element.addEventListener("pointermove", (event) => this.showTooltip(this.find(event)));
    element.addEventListener("pointerleave", () => this.showTooltip(null));
    this.cursor.addEventListener("keydown", (event) => this.onKey(event));
    this.cursor.addEventListener("focus", () => this.cursor.matches(":focus-visible") && this.showTooltip(this.at));
    this.cursor.addEventListener("blur", () => this.showTooltip(null));
  }

  /** Show accounts; `chosen` is `{account, window}` or null, `range` identifies the days. */
  show(data, accounts, chosen, range) {
    const isMoved = range !== this.range || chosen?.window !== this.chosen?.window;
    if (range !== this.range) this.step = 0;
    Object.assign(this, { data, accounts, chosen, range });
    this.draw(isMoved);
  }

  /** Draw all; scroll to the chosen day only if it `isMoved` or the width has changed. */
  draw(isMoved = false) {
    const { data, accounts } = this;
    element.setAttribute("aria-rowcount", String(accounts.length + 1));
    element.setAttribute("aria-colcount", String(data.days + 1));
    const known = new Set(accounts.map(({ key }) => key));
    for (const key of this.rows.keys()) if (!known.has(key)) this.rows.delete(key);
    reconcile(body, accounts.map((account, index) => this.row(account, index).element));
    const { room } = this;
    const end = this.step ? (body.scrollLeft + room) / this.step : data.days;
    this.measure();
    this.drawAxis();
    for (const account of accounts) this.drawRow(account);
    body.scrollLeft = end * this.step - this.room;
    this.placeCursor();
    if (this.chosen && (isMoved || room !== this.room)) this.reveal(this.at.place);
    this.onScroll();
  }

  row(account, index) {
    if (!this.rows.has(account.key)) this.rows.set(account.key, makeRow(account));
    const row = this.rows.get(account.key);
    row.account = account;
    row.element.setAttribute("aria-rowindex", String(index + 2));
    row.element.classList.toggle("stopped", account.stopped !== null);
    row.note.textContent = account.stopped ?? "";
    return row;
  }

  /** Measure the visible width, a day's width, and that of all days, which may be larger. */
  measure() {
    this.room = axis.clientWidth;
    this.width = Math.max(this.room, this.data.days * NARROWEST);
    this.step = this.width / this.data.days;
    element.style.setProperty("--days", `${this.width}px`);
  }

  onScroll() {
    const { scrollLeft } = body;
    dayLabels.style.translate = `${-scrollLeft}px 0`;
    earlier.hidden = scrollLeft < 1;
    later.hidden = scrollLeft > this.width - this.room - 1;
    if (!tooltip.hidden) this.showTooltip(this.described);
  }

  /** Scroll sideways until a day and some of its neighbors are visible. */
  reveal(place) {
    const around = Math.min(AROUND_PX, this.room / 4);
    const [from, to] = [this.x(place) - around, this.x(place + 1) + around - this.room];
    body.scrollLeft = Math.min(from, Math.max(to, body.scrollLeft));
  }

  drawRow(account) {
    const { canvas } = this.rows.get(account.key);
    sized(canvas, this.width, ROW);
    const context = canvas.getContext("2d");
    for (let place = 0; place < this.data.days; place += 1) {
      const x = this.x(place);
      drawCell(context, account.cells[place], x, this.x(place + 1) - x, ROW, account.leftOut[place]?.length > 0);
    }
  }

  /** The left edge of a day on a whole pixel, so that narrow windows are sharp. */
  x = (place) => Math.round(place * this.step);

  /** Label all months, and days between them if they fit. */
  drawAxis() {
    const places = Array.from({ length: this.data.days }, (_, place) => place);
    const every = this.data.days > 200 ? Infinity : Math.ceil(26 / this.step);
    const isMonth = (place) => dayAfter(this.data.from, place).endsWith("-01");
    const labels = [...places.filter(isMonth), ...places.filter((place) => place % every === 0)];
    const taken = /** @type {number[][]} */ ([]);
    const fitting = labels.filter((place) => {
      const [from, to] = [this.x(place), this.x(place) + (isMonth(place) ? 42 : 20)];
      const fits = to <= this.width + 12 && !taken.some(([start, end]) => from < end && to > start);
      if (fits) taken.push([from, to]);
      return fits;
    });
    dayLabels.replaceChildren(...fitting.map((place) => this.axisLabel(place, isMonth(place))));
  }

  axisLabel(place, isMonth) {
    const day = dayAfter(this.data.from, place);
    const month = this.data.days > 200 ? `${monthOf(day, day)} ${day.slice(2, 4)}` : monthOf(day, day);
    const label = el("span", { class: isMonth && "month" }, isMonth ? month : String(Number(day.slice(8))));
    label.style.left = `${this.x(place)}px`;
    return label;
  }

  /** Place the cursor: on the chosen window, its last place, or the first account's newest day. */
  placeCursor() {
    const { account: key, window } = this.chosen ?? this.at ?? {};
    const account = this.accounts.find((one) => one.key === key) ?? this.accounts[0];
    if (account) this.moveTo(account, window ? daysBetween(this.data.from, window) : this.data.days - 1);
  }

  /** Move the cursor to a day of an account, or to the nearest visible day. */
  moveTo(account, wanted) {
    const place = Math.min(this.data.days - 1, Math.max(0, wanted));
    const { strip } = this.rows.get(account.key);
    const hadFocus = document.activeElement === this.cursor;
    this.at = { account: account.key, window: dayAfter(this.data.from, place), place };
    if (this.cursor.parentElement !== strip) strip.append(this.cursor);
    this.cursor.style.left = `${this.x(place) - 1}px`;
    this.cursor.style.width = `${Math.max(4, this.x(place + 1) - this.x(place) + 1)}px`;
    this.cursor.setAttribute("aria-colindex", String(place + 2));
    this.cursor.setAttribute("aria-label", this.describe(account, place));
    const isChosen = this.chosen?.account === account.key && this.chosen?.window === this.at.window;
    this.cursor.setAttribute("aria-selected", String(isChosen));
    if (hadFocus && document.activeElement !== this.cursor) this.cursor.focus({ preventScroll: true });
  }

  describe(account, place) {
    const { label, cells, not_served: runs } = account;
    const day = dayAfter(this.data.from, place);
    const state = cells[place] === NONE ? "no window" : STATES[cells[place]].name;
    const run = runs.find(({ from, to }) => from <= day && day <= to);
    const notServed = run ? `; not served: ${run.ad_products.join(", ")}` : "";
    const leftOut = account.leftOut[place] ?? [];
    const without = leftOut.length > 0 ? `; left out by Amazon: ${firstOf(leftOut)}` : "";
    return `${state}: ${weekdayOf(day)} ${day}, ${label}${notServed}${without}`;
  }

  /** Show the tooltip of a place, `{account, place}` with the account's key; none for null. */
  showTooltip(where) {
    this.described = where;
    tooltip.hidden = where === null;
    if (where === null) return;
    const { element: row, account } = this.rows.get(where.account);
    tooltip.textContent = this.describe(account, where.place);
    const middle = axis.offsetLeft + this.x(where.place) + this.step / 2 - body.scrollLeft;
    tooltip.style.left = `${middle}px`;
    tooltip.style.bottom = `${element.clientHeight - row.offsetTop + 2}px`;
    tooltip.dataset.side = middle < 260 ? "left" : middle > element.clientWidth - 260 ? "right" : "middle";
  }

  /** The account and day below the pointer, or null. */
  find(event) {
    const strip = event.target.closest(".strip");
    const row = strip && this.rows.get(strip.parentElement.dataset.account);
    if (!row) return null;
    const x = event.clientX - strip.getBoundingClientRect().left;
    return { account: row.account.key, place: Math.min(this.data.days - 1, Math.max(0, Math.floor(x / this.step))) };
  }

  onClick(event) {
    const isByKeyboard = event.target === this.cursor && event.detail === 0;
    const found = isByKeyboard ? this.at : this.find(event);
    if (!found) return;
    this.moveTo(this.rows.get(found.account).account, found.place);
    this.cursor.focus({ preventScroll: true });
    this.onChoose(found.account, dayAfter(this.data.from, found.place));
    this.showTooltip(null); // the detail shows more
  }

  onKey(event) {
    const { days } = this.data;
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -days], End: [0, days], PageUp: [-10, 0], PageDown: [10, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = this.accounts.findIndex(({ key }) => key === this.at.account);
    this.moveTo(this.accounts[Math.min(this.accounts.length - 1, Math.max(0, index + step[0]))], this.at.place + step[1]);
    this.reveal(this.at.place);
    this.cursor.scrollIntoView({ block: "nearest" });
    this.showTooltip(this.at);
  }
}

function makeRow(account) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const strip = el("div", { class: "strip" }, canvas);
  const note = el("small", {});
  const country = account.key.slice(0, 2);
  const name = account.label.replace(` · ${country}`, "");
  const header = el("div", { class: "account-name", role: "rowheader", title: `${account.label}, ${account.key}, ${account.time_zone}` }, el("b", {}, country), " ", note, " ", el("bdi", {}, name));
  const row = el("div", { class: "map-row", role: "row", "data-account": account.key }, header, strip);
  return { element: row, canvas, strip, note, account };
}
