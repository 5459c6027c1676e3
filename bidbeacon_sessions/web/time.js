// Times for people: in the zone chosen in the bar; "ago" by the server's clock.

import { zone } from "./zone.js";

/** The format of each kind of time. @type {Record<string, [string, Intl.DateTimeFormatOptions]>} */
const KINDS = {
  clock: ["en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }],
  minute: ["en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }],
  day: ["en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" }],
  short: ["en-GB", { day: "numeric", month: "short" }],
  key: ["sv-SE", { year: "numeric", month: "2-digit", day: "2-digit" }],
};
const formats = /** @type {Map<string, Intl.DateTimeFormat>} */ (new Map());
let skew = 0;

function format(kind) {
  const key = `${kind} ${zone()}`;
  const [locale, options] = KINDS[kind];
  const made = formats.get(key) ?? new Intl.DateTimeFormat(locale, { ...options, timeZone: zone() });
  formats.set(key, made);
  return made;
}

/** Follow the server's clock, so that "3 s ago" is right on a machine whose clock is wrong. */
export function setServerTime(iso) {
  skew = Date.parse(iso) - Date.now();
}

export const now = () => Date.now() + skew;
export const clock = (instant) => format("clock").format(new Date(instant));
export const minute = (instant) => format("minute").format(new Date(instant));
export const dayKey = (instant) => format("key").format(new Date(instant));
export const shortDay = (instant) => format("short").format(new Date(instant));

/** A time of today, or a time with its day. */
export const moment = (instant) => (dayKey(instant) === dayKey(now()) ? clock(instant) : `${shortDay(instant)}, ${minute(instant)}`);

export function dayName(instant) {
  const name = format("day").format(new Date(instant));
  const days = Math.round((Date.parse(dayKey(now())) - Date.parse(dayKey(instant))) / 86_400_000);
  return days === 0 ? `Today, ${name}` : days === 1 ? `Yesterday, ${name}` : name;
}

/** The full instant, with its zone and in UTC, for titles. */
export const fullTime = (iso) => `${dayKey(iso)} ${clock(iso)} ${zone()}\n${iso}`;

export function ago(iso) {
  const seconds = Math.max(0, Math.floor((now() - Date.parse(iso)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** A duration: 0.4 s, 3 min 12 s, 2 h 05 min. The same format as in sentences. */
export function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** The time since an instant, in whole seconds. */
export const sinceThen = (iso) => duration(Math.floor((now() - Date.parse(iso)) / 1000));

/** The instant at which a wall clock of the zone shows `2026-11-24T14:00:00`. */
export function instantOf(local) {
  const wanted = Date.parse(`${local}Z`);
  const offset = (instant) => Date.parse(`${dayKey(instant)}T${clock(instant)}Z`) - Math.floor(instant / 1000) * 1000;
  const guess = wanted - offset(wanted);
  return wanted - offset(guess);
}

/** Update all elements with `data-ago` or `data-since` every second. */
export function keepCounting() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-ago]")) setText(element, ago(element.getAttribute("data-ago")));
    for (const element of document.querySelectorAll("[data-since]")) setText(element, sinceThen(element.getAttribute("data-since")));
  }, 1000);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
