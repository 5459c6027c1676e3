// Account times window as a picture: a canvas a row, one real element where the cursor is. 45,600 windows are drawn in some milliseconds.
// Where the days need more room than there is, they scroll sideways below their axis, and the accounts stay.

import { el, reconcile } from "./dom.js";
import { NONE, STATES, drawCell, sized } from "./coverage-states.js";

const ROW = 18;
const NARROWEST = 2;
const AROUND_PX = 60;
const DAY_MS = 86_400_000;
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long", timeZone: "UTC" });
const month = new Intl.DateTimeFormat("en-GB", { month: "short", timeZone: "UTC" });
const monthAndYear = new Intl.DateTimeFormat("en-GB", { month: "short", year: "2-digit", timeZone: "UTC" });

export const dayAfter = (day, days) => new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);

export const daysBetween = (from, to) => Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);

export class CoverageMap {
  /** `onChoose` hears the account's key and the day that were chosen. */
  constructor({ onChoose }) {
    this.onChoose = onChoose;
    this.days = el("div", { class: "days" });
    this.earlier = this.scroller("‹", "Earlier days", -1);
    this.later = this.scroller("›", "Later days", 1);
    this.axis = el("div", { class: "days-axis", role: "columnheader", "aria-label": "Days" }, this.days, this.earlier, this.later);
    this.head = el("div", { class: "map-row map-head", role: "row", "aria-rowindex": "1" }, el("div", { class: "who", role: "columnheader" }, "Account"), this.axis);
    this.body = el("div", { class: "map-body", role: "rowgroup" });
    this.element = el("div", { class: "map", role: "grid", "aria-label": "Windows by account and day: click a day, or move with the arrow keys and press Enter, to see why it is so" }, this.head, this.body);
    this.cursor = el("button", { type: "button", class: "cursor", role: "gridcell", tabindex: "0" });
    this.says = el("div", { class: "says", hidden: true });
    this.element.append(this.says);
    this.rows = new Map();
    this.at = null;
    this.listen();
    new ResizeObserver(() => this.data && this.element.isConnected && this.draw()).observe(this.element);
  }

  /** A button for those who can only click: keys move the cursor instead, and the focus stays where it is. */
  scroller(text, title, direction) {
    const scroll = () => this.body.scrollBy({ left: direction * this.room * 0.8 });
    return el("button", { type: "button", class: "scroller", title, "aria-hidden": "true", tabindex: "-1", hidden: true, on: { click: scroll, mousedown: (event) => event.preventDefault() } }, text);
  }

  listen() {
    this.body.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.element.addEventListener("click", (event) => this.onClick(event));
    this.element.addEventListener("pointermove", (event) => this.onPointer(event));
    this.element.addEventListener("pointerleave", () => (this.says.hidden = true));
    this.cursor.addEventListener("keydown", (event) => this.onKey(event));
    this.cursor.addEventListener("focus", () => this.cursor.matches(":focus-visible") && this.say(this.at));
    this.cursor.addEventListener("blur", () => (this.says.hidden = true));
  }

  /** Show accounts with a letter a day; `chosen` is `{account, window}` or null, `range` the name of the days that were asked for. */
  show(data, accounts, chosen, range) {
    const isMoved = range !== this.range || chosen?.window !== this.chosen?.window;
    if (range !== this.range) this.step = null;
    Object.assign(this, { data, accounts, chosen, range });
    this.draw(isMoved);
  }

  /** Draw all; what is in sight stays so, unless it `isMoved`, or its room has changed: then the chosen day comes into sight. */
  draw(isMoved = false) {
    const { data, accounts } = this;
    this.element.setAttribute("aria-rowcount", String(accounts.length + 1));
    this.element.setAttribute("aria-colcount", String(data.days + 1));
    const known = new Set(accounts.map(({ key }) => key));
    for (const key of this.rows.keys()) if (!known.has(key)) this.rows.delete(key);
    reconcile(this.body, accounts.map((account, index) => this.row(account, index).element));
    const { room } = this;
    const end = this.step ? (this.body.scrollLeft + room) / this.step : data.days;
    this.measure();
    this.drawAxis();
    for (const account of accounts) this.drawRow(account);
    this.body.scrollLeft = end * this.step - this.room;
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

  /** How much room there is, how wide a day is in it, and all of them together, which may be more than the room. */
  measure() {
    this.room = this.axis.clientWidth;
    this.width = Math.max(this.room, this.data.days * NARROWEST);
    this.step = this.width / this.data.days;
    this.element.style.setProperty("--days", `${this.width}px`);
  }

  onScroll() {
    const { scrollLeft } = this.body;
    this.days.style.translate = `${-scrollLeft}px 0`;
    this.earlier.hidden = scrollLeft < 1;
    this.later.hidden = scrollLeft > this.width - this.room - 1;
    if (!this.says.hidden) this.say(this.said);
  }

  /** Scroll sideways until a day and some of those around it are in sight. */
  reveal(place) {
    const around = Math.min(AROUND_PX, this.room / 4);
    const [from, to] = [this.x(place) - around, this.x(place + 1) + around - this.room];
    this.body.scrollLeft = Math.min(from, Math.max(to, this.body.scrollLeft));
  }

  drawRow(account) {
    const { canvas } = this.rows.get(account.key);
    sized(canvas, this.width, ROW);
    const context = canvas.getContext("2d");
    for (let place = 0; place < this.data.days; place += 1) {
      const x = this.x(place);
      drawCell(context, account.cells[place], x, this.x(place + 1) - x, ROW);
    }
  }

  /** Left edges on whole pixels, so that narrow windows are all sharp. */
  x = (place) => Math.round(place * this.step);

  /** Months always, days between them where there is room. */
  drawAxis() {
    const places = Array.from({ length: this.data.days }, (_, place) => place);
    const every = this.data.days > 200 ? Infinity : Math.ceil(26 / this.step);
    const isMonth = (place) => dayAfter(this.data.from, place).endsWith("-01");
    const labels = [...places.filter(isMonth), ...places.filter((place) => place % every === 0)];
    const taken = [];
    const fitting = labels.filter((place) => {
      const [from, to] = [this.x(place), this.x(place) + (isMonth(place) ? 42 : 20)];
      const fits = to <= this.width + 12 && !taken.some(([start, end]) => from < end && to > start);
      if (fits) taken.push([from, to]);
      return fits;
    });
    this.days.replaceChildren(...fitting.map((place) => this.axisLabel(place, this.axisText(place, isMonth(place)), isMonth(place))));
  }

  axisText(place, isMonth) {
    const day = dayAfter(this.data.from, place);
    return isMonth ? (this.data.days > 200 ? monthAndYear : month).format(new Date(day)) : String(Number(day.slice(8)));
  }

  axisLabel(place, text, isMonth) {
    const label = el("span", { class: isMonth ? "month" : "" }, text);
    label.style.left = `${this.x(place)}px`;
    return label;
  }

  /** Put the one real cell where the cursor is: the chosen window, the last place, or the newest day of the first account. */
  placeCursor() {
    const wanted = this.chosen ?? this.at ?? {};
    const account = this.accounts.find(({ key }) => key === wanted.account) ?? this.accounts[0];
    const place = wanted.window ? daysBetween(this.data.from, wanted.window) : this.data.days - 1;
    if (account) this.moveTo(account, Math.min(this.data.days - 1, Math.max(0, place)));
  }

  moveTo(account, place) {
    const { strip } = this.rows.get(account.key);
    const hadFocus = document.activeElement === this.cursor;
    this.at = { account: account.key, window: dayAfter(this.data.from, place), place };
    if (this.cursor.parentElement !== strip) strip.append(this.cursor);
    this.cursor.style.left = `${this.x(place) - 1}px`;
    this.cursor.style.width = `${Math.max(4, this.x(place + 1) - this.x(place) + 1)}px`;
    this.cursor.setAttribute("aria-colindex", String(place + 2));
    this.cursor.setAttribute("aria-label", this.tell(account, place));
    const isChosen = this.chosen?.account === account.key && this.chosen?.window === this.at.window;
    this.cursor.setAttribute("aria-selected", String(isChosen));
    if (hadFocus && document.activeElement !== this.cursor) this.cursor.focus({ preventScroll: true });
  }

  tell({ label, cells }, place) {
    const day = dayAfter(this.data.from, place);
    const state = cells[place] === NONE ? "no window" : STATES[cells[place]].name;
    return `${state}: ${weekday.format(new Date(day))} ${day}, ${label}`;
  }

  say(where) {
    this.said = where;
    const { account: key, place } = where;
    const { element, account } = this.rows.get(key);
    this.says.textContent = this.tell(account, place);
    const middle = this.axis.offsetLeft + this.x(place) + this.step / 2 - this.body.scrollLeft;
    this.says.style.left = `${middle}px`;
    this.says.style.bottom = `${this.element.clientHeight - element.offsetTop + 2}px`;
    this.says.dataset.side = middle < 260 ? "left" : middle > this.element.clientWidth - 260 ? "right" : "middle";
    this.says.hidden = false;
  }

  /** The account and day below the pointer, or null. */
  find(event) {
    const strip = event.target.closest(".strip");
    const row = strip && this.rows.get(strip.parentElement.dataset.account);
    if (!row) return null;
    const x = event.clientX - strip.getBoundingClientRect().left;
    const place = Math.min(this.data.days - 1, Math.max(0, Math.floor(x / this.step)));
    return { account: row.account, place };
  }

  onPointer(event) {
    const found = this.find(event);
    if (found) this.say({ account: found.account.key, place: found.place });
    else this.says.hidden = true;
  }

  onClick(event) {
    const isByKeyboard = event.target === this.cursor && event.detail === 0;
    const found = isByKeyboard ? { account: this.rows.get(this.at.account).account, place: this.at.place } : this.find(event);
    if (!found) return;
    this.moveTo(found.account, found.place);
    this.cursor.focus({ preventScroll: true });
    this.onChoose(found.account.key, dayAfter(this.data.from, found.place));
    this.says.hidden = true; // what was chosen tells more
  }

  onKey(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -this.data.days], End: [0, this.data.days], PageUp: [-10, 0], PageDown: [10, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = this.accounts.findIndex(({ key }) => key === this.at.account);
    const account = this.accounts[Math.min(this.accounts.length - 1, Math.max(0, index + step[0]))];
    this.moveTo(account, Math.min(this.data.days - 1, Math.max(0, this.at.place + step[1])));
    this.reveal(this.at.place);
    this.cursor.scrollIntoView({ block: "nearest" });
    this.say(this.at);
  }
}

function makeRow(account) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const strip = el("div", { class: "strip" }, canvas);
  const note = el("small", {});
  const country = account.key.slice(0, 2);
  const name = account.label.replace(` · ${country}`, "");
  const who = el("div", { class: "who", role: "rowheader", title: `${account.label}, ${account.key}, ${account.time_zone}` }, el("b", {}, country), " ", note, " ", el("bdi", {}, name));
  const element = el("div", { class: "map-row", role: "row", "data-account": account.key }, who, strip);
  return { element, canvas, strip, note, account };
}
