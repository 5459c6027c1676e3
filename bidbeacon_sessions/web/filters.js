// The filter: `job:refresh-account since:6h throttled` in the field, `?job=refresh-account&since=6h&text=throttled` in the address.

import { dayKey, instantOf, minute, now } from "./time.js";
import { zoneParameters } from "./zone.js";

/** @typedef {import("./types").Filter} Filter */

export const KEYS = ["job", "account", "status", "outcome", "type", "dataset", "window", "run", "since", "before", "text"];
export const STATUSES = ["running", "succeeded", "failed", "cancelled", "crashed"];
const OUTCOMES = ["ok", "warnings", "problems"];
const SPANS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const SPAN = /^(\d{1,4})([mhdw])$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const LOCAL = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/;
const HOW = "Write a span like 30m, 6h, 7d or 2w, today, yesterday, a day like 2026-11-24, or an instant like 2026-11-24T14:00.";

/** Parse the address: known parameters, and `q`, which may hold a text of the field. @returns {Filter} */
export function fromAddress(search = location.search) {
  const given = new URLSearchParams(search);
  const typed = given.get("q") ?? "";
  const named = Object.fromEntries(KEYS.filter((key) => given.get(key)).map((key) => [key, given.get(key)]));
  return { ...(parse(typed).filter ?? { text: typed }), ...named };
}

/** @param {Filter} filter */
export function toAddress(filter) {
  const query = new URLSearchParams(/** @type {any} */ ({ ...filter, ...zoneParameters() })).toString();
  return query ? `/sessions?${query}` : "/sessions";
}

export const quoted = (value) => (/\s/.test(value) ? `"${value}"` : value);
const asText = (value) => (value.split(/\s+/).some((word) => word.includes(":")) ? `"${value}"` : value);

export const toText = (filter) => KEYS.filter((key) => filter[key]).map((key) => (key === "text" ? asText(filter[key]) : `${key}:${quoted(filter[key])}`)).join(" ");

/** Parse the field; a problem states what to write instead. @returns {{filter?: Filter, problem?: string}} */
export function parse(text) {
  const filter = /** @type {Filter} */ ({});
  const words = /** @type {string[]} */ ([]);
  for (const [word, key, value, quote, plain] of text.matchAll(/(?:([a-z]+):("[^"]*"|\S*))|"([^"]*)"|(\S+)/g)) {
    const problem = key === undefined ? void words.push(quote ?? plain) : takeKey(filter, key, value.replace(/^"|"$/g, ""), word);
    if (problem) return { problem };
  }
  const free = words.join(" ").trim();
  return { filter: free ? { ...filter, text: free } : filter };
}

function takeKey(filter, key, value, word) {
  if (!KEYS.includes(key) || key === "text") return `There is no “${key}:”. Write ${KEYS.slice(0, -1).map((k) => `${k}:…`).join(" ")}, or put it in quotes to search for it as text.`;
  if (!value) return `“${word}” needs a value behind the colon.`;
  if (key === "status" && !STATUSES.includes(value)) return `There is no status “${value}”. Statuses: ${STATUSES.join(", ")}.`;
  if (key === "outcome" && !OUTCOMES.includes(value)) return `There is no outcome “${value}”. Outcomes: ${OUTCOMES.join(", ")}.`;
  if ((key === "since" || key === "before") && toInstant(value) === null) return `“${value}” is not a valid time. ${HOW}`;
  filter[key] = value;
  return null;
}

/** Parse a value of `since:` or `before:`: an instant in milliseconds, or null. @param {string} value @returns {number | null} */
export function toInstant(value) {
  const span = SPAN.exec(value);
  const midnight = (day) => instantOf(`${day}T00:00:00`);
  if (span) return now() - Number(span[1]) * SPANS[span[2]];
  if (value === "today") return midnight(dayKey(now()));
  if (value === "yesterday") return midnight(dayKey(midnight(dayKey(now())) - 3_600_000));
  if (DAY.test(value)) return checked(midnight(value));
  if (LOCAL.test(value)) return checked(instantOf(value));
  return /T.*(Z|[+-]\d{2}:\d{2})$/.test(value) ? checked(Date.parse(value)) : null;
}

/** An instant as text of the field: the wall clock of the zone, or UTC if that is not exact. */
export function toLocal(instant) {
  const local = `${dayKey(instant)}T${minute(instant)}`;
  return toInstant(local) === instant ? local : new Date(instant).toISOString();
}

const checked = (instant) => (Number.isFinite(instant) ? instant : null);

/** The filter for the server: instants with their zone. Throws if a time is invalid. @param {Filter} filter */
export function toQuery(filter) {
  const query = { ...filter };
  for (const key of ["since", "before"]) {
    if (!filter[key]) continue;
    const instant = toInstant(filter[key]);
    if (instant === null) throw Object.assign(new Error(`“${filter[key]}” is not a valid time.`), { whatToDo: HOW, status: 400 });
    query[key] = new Date(instant).toISOString();
  }
  return query;
}
