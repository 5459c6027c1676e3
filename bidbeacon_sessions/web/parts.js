// A sentence's parts as elements: text, badges, windows, accounts, times, links.

import { el, outLink } from "./dom.js";
import { clock, dayKey, fullTime, now } from "./time.js";

const ISO_DAY = /^\d{4}-\d{2}-\d{2}$/;
const DAY_MS = 86_400_000;
const FOLD_FROM = 4;
const MOST_BADGES = 14;
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long", timeZone: "UTC" });

/** Give the nodes of a sentence. */
export function renderParts(parts) {
  const nodes = [];
  for (let index = 0; index < parts.length; index += 1) {
    if (parts[index].kind === "window") {
      const windows = takeWindows(parts, index);
      nodes.push(windowBadges(windows.values));
      index = windows.end;
    } else nodes.push(renderPart(parts[index]));
  }
  return nodes;
}

/** An account as a tag: its country and the beginning of its id. A link that filters by it. */
export function accountTag(key) {
  const [country, rest] = splitAccount(key);
  return el(
    "a",
    { class: "tag account", href: `/?account=${encodeURIComponent(key)}`, title: `Account ${key}: show only its sessions` },
    el("b", {}, country),
    rest && el("bdi", {}, rest.length > 9 ? `${rest.slice(0, 8)}…` : rest),
  );
}

function renderPart(part) {
  switch (part.kind) {
    case "badge":
      return el("bdi", { class: "tag badge", title: part.value }, part.text);
    case "account":
      return accountTag(part.value);
    case "time":
      return Number.isNaN(Date.parse(part.value))
        ? el("bdi", {}, part.text)
        : el("time", { datetime: part.value, title: fullTime(part.value) }, timeText(part.value));
    case "link":
      return outLink(part.text, part.value);
    default:
      return el("bdi", {}, part.text);
  }
}

function timeText(iso) {
  return dayKey(iso) === dayKey(now()) ? clock(iso) : `${dayKey(iso)} ${clock(iso)}`;
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

function windowBadges(values) {
  const runs = splitIntoRuns(values);
  const box = el("span", { class: "windows" });
  const shown = runs.flatMap((run) => (run.length >= FOLD_FROM ? [foldedRun(run)] : run.map(windowBadge)));
  if (shown.length <= MOST_BADGES) box.append(...shown);
  else box.append(...shown.slice(0, MOST_BADGES - 1), expander(`+${shown.length - MOST_BADGES + 1}`, "more windows", () => shown.slice(MOST_BADGES - 1)));
  return box;
}

function windowBadge(value) {
  if (!ISO_DAY.test(value)) return el("bdi", { class: "tag window" }, value);
  return el("time", { class: "tag window", datetime: value, title: `${weekday.format(new Date(value))} ${value}` }, shortDay(value));
}

function foldedRun(run) {
  const [from, to] = [run[0], run[run.length - 1]].sort();
  const label = `${longDay(from)} … ${longDay(to)}`;
  return expander(label, `${run.length} windows, ${from} to ${to}`, () => run.map(windowBadge), run.length);
}

/** A button that gives way to what it stands for. */
function expander(label, title, expand, count = null) {
  const button = el("button", { class: "tag window fold", type: "button", title: `Show ${title}` }, label, count && el("b", {}, `${count} days`));
  button.addEventListener("click", () => button.replaceWith(...expand()));
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
const shortDay = (value) => (isThisYear(value) ? value.slice(5) : value);
const longDay = (value) => (isThisYear(value) ? value.slice(5) : value);
