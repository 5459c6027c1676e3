// Times as people read them: in the chosen zone, which is always named; "ago" by the server's clock.

import { zoneChoice, zoneOf } from "./zone.js";

const formats = new Map();
let skew = 0;

function format(kind, zone, locale, options) {
  const key = `${kind} ${zone}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, { ...options, timeZone: zone }));
  return formats.get(key);
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const MINUTE = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
const SHORT_DAY = { day: "numeric", month: "short" };
const KEY = { year: "numeric", month: "2-digit", day: "2-digit" };

/** Take over the server's clock, so that "3 s ago" is right on a machine whose clock is not. */
export function setServerTime(iso) {
  skew = Date.parse(iso) - Date.now();
}

export const now = () => Date.now() + skew;
export const clock = (instant, zone = zoneOf()) => format("clock", zone, "en-GB", CLOCK).format(new Date(instant));
export const minute = (instant, zone = zoneOf()) => format("minute", zone, "en-GB", MINUTE).format(new Date(instant));
export const dayKey = (instant, zone = zoneOf()) => format("key", zone, "sv-SE", KEY).format(new Date(instant));
export const shortDay = (instant, zone = zoneOf()) => format("short", zone, "en-GB", SHORT_DAY).format(new Date(instant));


/** A time of today, or with its day where that is another. */
export const moment = (instant, zone = zoneOf()) => (dayKey(instant, zone) === dayKey(now(), zone) ? clock(instant, zone) : `${shortDay(instant, zone)}, ${minute(instant, zone)}`);

export function dayName(instant, zone = zoneOf()) {
  const name = format("day", zone, "en-GB", DAY).format(new Date(instant));
  const days = Math.round((Date.parse(dayKey(now(), zone)) - Date.parse(dayKey(instant, zone))) / 86_400_000);
  return days === 0 ? `Today, ${name}` : days === 1 ? `Yesterday, ${name}` : name;
}

/** "PST", "GMT+9", "UTC": the zone in as few letters as it has at that instant. */
export function zoneLetters(instant, zone = zoneOf()) {
  const parts = format("letters", zone, "en-US", { timeZoneName: "short" }).formatToParts(new Date(instant));
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? zone;
}

/** What to put behind a time where each account has its own zone, so that none stands unnamed; elsewhere the bar names the one zone. */
export const zoneBehind = (instant, zone = zoneOf()) => (zoneChoice() === "account" ? ` ${zoneLetters(instant, zone)}` : "");

/** The whole instant, with its zone and in UTC, for titles. */
export function fullTime(iso, zone = zoneOf()) {
  return `${dayKey(iso, zone)} ${clock(iso, zone)} ${zone}\n${iso}`;
}

export function ago(iso) {
  const seconds = Math.max(0, Math.floor((now() - Date.parse(iso)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** A length of time: 0.4 s, 3 min 12 s, 2 h 05 min. The same rule as the sentences'. */
export function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** The instant at which a wall clock of a zone shows `2026-11-24T14:00:00`. */
export function instantOf(local, zone = zoneOf()) {
  const wanted = Date.parse(`${local}Z`);
  const offset = (instant) => Date.parse(`${dayKey(instant, zone)}T${clock(instant, zone)}Z`) - Math.floor(instant / 1000) * 1000;
  const guess = wanted - offset(wanted);
  return wanted - offset(guess);
}

/** Keep everything that carries `data-ago` or `data-since` counting. */
export function keepCounting() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-ago]")) setText(element, ago(element.dataset.ago));
    for (const element of document.querySelectorAll("[data-since]")) {
      setText(element, duration(Math.floor((now() - Date.parse(element.dataset.since)) / 1000)));
    }
  }, 1000);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
