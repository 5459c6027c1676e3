// A sentence's parts as elements: text, badges, windows, accounts, times.

import { daysBetween, isDay, monthOf, weekdayOf } from "./days.js";
import { el, keepingFocus, withCommands } from "./dom.js";
import { accountLabel, addressOf } from "./product.js";
import { clock, dayKey, fullTime, now } from "./time.js";

const MOST_WINDOWS = 14;
const MOST_NAMES = 3;
const FOLD_FROM = 4;

/** The nodes of a sentence. @param {import("./types").Part[]} parts */
export function renderParts(parts) {
  const nodes = /** @type {(string | Node)[]} */ ([]);
  for (let index = 0; index < parts.length; index += 1) {
    if (parts[index].kind !== "window") nodes.push(renderPart(parts[index]));
    else {
      const { values, end } = takeWindows(parts, index);
      nodes.push(windowBadges(values, null, parts[index]));
      index = end;
    }
  }
  return nodes;
}

/** An account as a tag: its label, or its country and the start of its id. It links to the account's page, or filters by it; the key is in the tooltip. */
export function accountTag(key, /** @type {string | null} */ given = null) {
  const label = given ?? accountLabel(key);
  const country = !label && key[2] === "." ? key.slice(0, 2) : "";
  const rest = country ? key.slice(3) : key;
  const href = addressOf("account", { account: key }) ?? `/sessions?account=${encodeURIComponent(key)}`;
  const name = label || (rest.length <= 9 ? rest : `${rest.slice(0, 8)}…`);
  return el("a", { class: "tag account", href, title: `Account ${key}` }, country && el("b", {}, country), name && el("bdi", {}, name));
}

/** @param {import("./types").Part} part */
function renderPart({ kind, text, value }) {
  switch (kind) {
    case "badge":
      return el("bdi", { class: "tag badge", title: value }, text);
    case "account":
      return accountTag(value, text === value ? null : text);
    case "time":
      return Number.isNaN(Date.parse(value)) ? el("bdi", {}, text) : instantPart(value);
    default:
      return el("bdi", {}, withCommands(text));
  }
}

function instantPart(value) {
  const text = dayKey(value) === dayKey(now()) ? clock(value) : `${dayKey(value)} ${clock(value)}`;
  return el("time", { datetime: value, title: fullTime(value) }, text);
}

/** Accounts (`{key, label}`) as tags: the first few, and a button for the others. */
export function accountTags(accounts) {
  const shown = accounts.map(({ key, label }) => accountTag(key, label));
  const rest = shown.length > MOST_NAMES + 1 ? shown.splice(MOST_NAMES) : [];
  return [el("span", { class: "accounts" }, shown, rest.length > 0 && expander(`+${rest.length}`, `${rest.length} more`, () => rest))];
}

/** Adjacent windows, separated by blanks only, and the index of the last one. */
function takeWindows(parts, start) {
  const isWindow = (part) => part?.kind === "window";
  const isBlank = (part) => part?.kind === "text" && part.text.trim() === "";
  let end = start;
  while (isWindow(parts[end + 1]) || (isBlank(parts[end + 1]) && isWindow(parts[end + 2]))) end += 1;
  return { values: parts.slice(start, end + 1).filter(isWindow).map(({ value }) => value), end };
}

/**
 * Up to 14 windows as compact days under their month; of more, runs of consecutive days fold into one badge.
 * `linkTo` returns the address of a window's link, if any. Runs that were unfolded stay so when a list of the same `owner` is made again.
 */
export function windowBadges(values, /** @type {((day: string) => string | null) | null} */ linkTo = null, /** @type {unknown} */ owner = values) {
  if (values.length <= MOST_WINDOWS) return el("span", { class: "windows" }, compactDays(values, linkTo));
  const opened = openedRuns.get(owner) ?? new Set();
  const pieces = splitIntoRuns(values).flatMap((run) => {
    if (run.length < FOLD_FROM) return compactDays(run, linkTo);
    return [opened.has(run[0]) ? compactDays(run, linkTo) : foldedRun(run, linkTo, () => openedRuns.set(owner, opened.add(run[0])))]; // an open run is one piece, too
  });
  const rest = pieces.splice(MOST_WINDOWS).flat();
  return el("span", { class: "windows" }, pieces.flat(), rest.length > 0 && expander(`+${rest.length}`, "more windows", () => rest));
}

/** The first windows of the runs that were unfolded, by the owner of their list. */
const openedRuns = new Map();

function compactDays(values, linkTo) {
  return values.map((value, index) => {
    const isFirstOfMonth = index === 0 || value.slice(0, 7) !== values[index - 1].slice(0, 7);
    const badge = isDay(value) ? dayBadge(value, isFirstOfMonth) : el("bdi", { class: "tag window" }, value);
    const address = linkTo?.(value);
    return address ? el("a", { href: address, "aria-label": value }, badge) : badge;
  });
}

function dayBadge(value, isFirstOfMonth) {
  const month = isFirstOfMonth && [el("b", {}, monthOf(value, dayKey(now()))), " "];
  return el("time", { class: "tag window", datetime: value, title: `${weekdayOf(value)} ${value}` }, month, String(Number(value.slice(8))));
}

function foldedRun(run, linkTo, remember) {
  const [from, to] = [run[0], run[run.length - 1]].sort();
  const open = () => {
    remember();
    return compactDays(run, linkTo);
  };
  return expander(`${longDay(from)} … ${longDay(to)}`, `${run.length} windows, ${from} to ${to}`, open, run.length);
}

const longDay = (value) => `${Number(value.slice(8))} ${monthOf(value, dayKey(now()))}`;

/** A button that is replaced by the elements of `expand`. @param {number | null} count */
function expander(label, title, expand, count = null) {
  const button = el("button", { class: "tag window fold", type: "button", title: `Show ${title}` }, label, count && el("b", {}, `${count} days`));
  button.addEventListener("click", () => {
    const shown = expand();
    keepingFocus(button.parentElement, () => button.replaceWith(...shown));
    shown[0].focus();
  });
  return button;
}

/** Split days into runs of consecutive days, forwards or backwards. */
function splitIntoRuns(values) {
  const runs = /** @type {string[][]} */ ([]);
  for (const value of values) {
    const run = runs.at(-1) ?? [];
    const step = isDay(value) ? daysBetween(run.at(-1), value) : 0;
    const follows = Math.abs(step) === 1 && (run.length < 2 || step === daysBetween(run[0], run[1]));
    if (follows) run.push(value);
    else runs.push([value]);
  }
  return runs;
}
