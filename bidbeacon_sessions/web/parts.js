// A sentence's parts as elements: text, badges, windows, accounts, times, links.

import { el, keepingFocus, withCommands } from "./dom.js";
import { accountLabel, accountZone } from "./accounts.js";
import { addressOf } from "./links.js";
import { clock, dayKey, fullTime, now } from "./time.js";
import { zoneOf } from "./zone.js";

const ISO_DAY = /^\d{4}-\d{2}-\d{2}$/;
const DAY_MS = 86_400_000;
const MOST_WINDOWS = 14;
const MOST_BADGES = 14;
const MOST_NAMES = 3;
const FOLD_FROM = 4;
const month = new Intl.DateTimeFormat("en-GB", { month: "short", timeZone: "UTC" });
const monthAndYear = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric", timeZone: "UTC" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long", timeZone: "UTC" });

/** Give the nodes of a sentence; its instants are shown in the zone of the account it is about. */
export function renderParts(parts, account = null) {
  const nodes = [];
  for (let index = 0; index < parts.length; index += 1) {
    if (parts[index].kind === "window") {
      const windows = takeWindows(parts, index);
      nodes.push(windowBadges(windows.values, null, parts[index]));
      index = windows.end;
    } else nodes.push(...renderPart(parts[index], account));
  }
  return nodes;
}

/** An account as a tag: its label, or its country and the beginning of its id. A link to its page, or one that filters by it; its key is in the tooltip. */
export function accountTag(key, given = null) {
  const label = given ?? accountLabel(key);
  const [country, rest] = label ? ["", label] : splitAccount(key);
  return el(
    "a",
    { class: "tag account", href: addressOf("account", { account: key }) ?? `/sessions?account=${encodeURIComponent(key)}`, title: accountTitle(key) },
    country && el("b", {}, country),
    rest && el("bdi", {}, label || rest.length <= 9 ? rest : `${rest.slice(0, 8)}…`),
  );
}

function renderPart(part, account) {
  switch (part.kind) {
    case "badge":
      return [el("bdi", { class: "tag badge", title: part.value }, part.text)];
    case "account":
      return [accountTag(part.value, part.text === part.value ? null : part.text)];
    case "time":
      return [instantPart(part, zoneOf(account))];
    default:
      return [el("bdi", {}, withCommands(part.text))];
  }
}

function instantPart(part, zone) {
  if (Number.isNaN(Date.parse(part.value))) return el("bdi", {}, part.text);
  const text = dayKey(part.value, zone) === dayKey(now(), zone) ? clock(part.value, zone) : `${dayKey(part.value, zone)} ${clock(part.value, zone)}`;
  return el("time", { datetime: part.value, title: fullTime(part.value, zone) }, text);
}

/** Accounts (`{key, label}`) as tags: the first few, and a button for the others. */
export function accountTags(accounts) {
  const shown = accounts.map(({ key, label }) => accountTag(key, label));
  const rest = shown.length > MOST_NAMES + 1 ? shown.splice(MOST_NAMES) : [];
  return [el("span", { class: "accounts" }, shown, rest.length > 0 && expander(`+${rest.length}`, `${rest.length} more`, () => rest))];
}

function accountTitle(key) {
  return [`Account ${key}`, accountZone(key)].filter(Boolean).join(", ");
}

function splitAccount(key) {
  const dot = key.indexOf(".");
  return dot === 2 ? [key.slice(0, 2), key.slice(3)] : [key, ""];
}

/** Collect the windows that stand side by side, separated by blanks only. */
function takeWindows(parts, start) {
  const values = [];
  let end = start;
  for (let index = start; index < parts.length; index += 1) {
    const part = parts[index];
    if (part.kind === "window") {
      values.push(part.value);
      end = index;
    } else if (part.kind !== "text" || part.text.trim() !== "") break;
  }
  return { values, end };
}

/**
 * Up to 14 windows as compact days under their month; of more, runs of following days fold into one badge.
 * `linkTo` gives the address that a window leads to, where it leads anywhere; `owner` is what lives as long as the list of windows, or its name.
 */
export function windowBadges(values, linkTo = null, owner = values) {
  if (values.length <= MOST_WINDOWS) return el("span", { class: "windows" }, compactDays(values, linkTo));
  const opened = openedRunsOf(owner);
  const pieces = splitIntoRuns(values).flatMap((run) => {
    if (run.length < FOLD_FROM) return compactDays(run, linkTo);
    return [opened.has(run[0]) ? compactDays(run, linkTo) : foldedRun(run, linkTo, opened)]; // an open run is one piece, too
  });
  const rest = pieces.splice(MOST_BADGES).flat();
  return el("span", { class: "windows" }, pieces.flat(), rest.length > 0 && expander(`+${rest.length}`, "more windows", () => rest));
}

function compactDays(values, linkTo) {
  return values.map((value, index) => {
    const isFirstOfMonth = index === 0 || value.slice(0, 7) !== values[index - 1].slice(0, 7);
    const badge = ISO_DAY.test(value) ? dayBadge(value, isFirstOfMonth) : el("bdi", { class: "tag window" }, value);
    const address = linkTo?.(value);
    return address ? el("a", { href: address, "aria-label": value }, badge) : badge;
  });
}

function dayBadge(value, isFirstOfMonth) {
  return el(
    "time",
    { class: "tag window", datetime: value, title: `${weekday.format(new Date(value))} ${value}` },
    isFirstOfMonth && el("b", {}, monthOf(value)),
    isFirstOfMonth ? ` ${Number(value.slice(8))}` : String(Number(value.slice(8))),
  );
}

const openedRuns = new WeakMap();
const openedByName = new Map();

/** The first windows of the runs that were unfolded, of an owner's: they stay so when its row is made anew. */
function openedRunsOf(owner) {
  const known = typeof owner === "string" ? openedByName : openedRuns;
  if (!known.has(owner)) known.set(owner, new Set());
  return known.get(owner);
}

function foldedRun(run, linkTo, opened) {
  const [from, to] = [run[0], run[run.length - 1]].sort();
  const open = () => {
    opened.add(run[0]);
    return compactDays(run, linkTo);
  };
  return expander(`${longDay(from)} … ${longDay(to)}`, `${run.length} windows, ${from} to ${to}`, open, run.length);
}

/** A button that gives way to what it stands for. */
function expander(label, title, expand, count = null) {
  const button = el("button", { class: "tag window fold", type: "button", title: `Show ${title}` }, label, count && el("b", {}, `${count} days`));
  button.addEventListener("click", () => {
    const shown = expand();
    keepingFocus(button.parentElement, () => (button.replaceWith(...shown), shown[0].focus()));
  });
  return button;
}

/** Split days into runs that follow each other, forwards or backwards. */
function splitIntoRuns(values) {
  const runs = [];
  let step = 0;
  for (const value of values) {
    const run = runs[runs.length - 1];
    const apart = run ? daysBetween(run[run.length - 1], value) : NaN;
    const follows = (apart === 1 || apart === -1) && (run.length === 1 || apart === step);
    if (follows) {
      run.push(value);
      step = apart;
    } else runs.push([value]);
  }
  return runs;
}

const daysBetween = (a, b) => (ISO_DAY.test(a) && ISO_DAY.test(b) ? Math.round((Date.parse(b) - Date.parse(a)) / DAY_MS) : NaN);
const isThisYear = (value) => value.slice(0, 4) === dayKey(now()).slice(0, 4);
const monthOf = (value) => (isThisYear(value) ? month : monthAndYear).format(new Date(value));
const longDay = (value) => `${Number(value.slice(8))} ${monthOf(value)}`;
