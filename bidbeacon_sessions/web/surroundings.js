// The surroundings of a session: its neighbors, its time, its references, the last good session.

import { el, keepingFocus, sessionPath } from "./dom.js";
import { markOf, statusIcon } from "./icons.js";
import { addressOf } from "./product.js";
import { accountTag, windowBadges } from "./parts.js";
import { clock, dayKey, duration, fullTime } from "./time.js";
import { timeSection } from "./waterfall.js";

/** Links to the sessions of the same job and account, in the line above the title. @param {HTMLElement} root @param {import("./types").Surroundings} found */
export function showNeighbors(root, { previous, next }) {
  const link = (session, text, key) => session && el("a", { href: sessionPath(session.id), title: `${session.job_name}, ${fullTime(session.started_at)} (${key})` }, text);
  keepingFocus(root, () => root.replaceChildren(...[link(previous, "← Before", "j"), link(next, "After →", "k")].filter(Boolean)));
}

/** The sections beside the timeline that are not empty. @param {import("./types").Entry} entry @param {import("./types").Surroundings} found */
export function surroundingSections(entry, found) {
  return [timeSection(found.time, entry), lastGood(entry.session, found.last_good), references(found.references)].filter((section) => section !== null);
}

/** One line with a link to a session: mark, job, account, start, duration. @param {import("./types").Session} session */
export function brief(session) {
  const { started_at: at } = session;
  const took = session.duration === null ? session.status : duration(session.duration);
  return el(
    "p",
    { class: "brief" },
    statusIcon(markOf(session)),
    el("a", { href: sessionPath(session.id) }, el("bdi", {}, session.job_name)),
    session.account && accountTag(session.account, session.account_label),
    el("time", { datetime: at, title: fullTime(at) }, `${dayKey(at)} ${clock(at)}`),
    el("span", {}, took),
  );
}

function lastGood(session, good) {
  if (!good) return null;
  const rows = [...lengthRow(session, good.session), ...good.differences.map(differenceRow)];
  return el(
    "section",
    { "aria-labelledby": "last-good" },
    el("h2", { id: "last-good" }, "Against the last good one"),
    brief(good.session),
    rows.length === 0
      ? el("p", { class: "quiet" }, "Nothing differs: the same actions, the same input.")
      : el("table", { class: "differences" }, el("thead", {}, el("tr", {}, el("th", {}, "What"), el("th", {}, "Here"), el("th", {}, "Then"))), el("tbody", {}, rows)),
  );
}

/** A row for the duration, if one is at least half longer than the other. */
function lengthRow(session, good) {
  if (session.duration === null || good.duration === null) return [];
  const [short, long] = [session.duration, good.duration].sort((a, b) => a - b);
  if (long < 2 || long < short * 1.5) return [];
  return [differenceRow({ what: "", name: "duration", here: duration(session.duration), there: duration(good.duration) })];
}

function differenceRow({ what, name, here, there }) {
  const cell = (value) => el("td", {}, value === null ? "—" : el("bdi", {}, String(value)));
  return el("tr", {}, el("th", { scope: "row" }, what && what !== "action" && el("small", {}, `${what} `), el("bdi", {}, name)), cell(here), cell(there));
}

function references(rows) {
  if (rows.length === 0) return null;
  return el("section", { "aria-labelledby": "references" }, el("h2", { id: "references" }, "What it refers to"), rows.map(referenceRow));
}

function referenceRow({ account_key: key, account_label: label, dataset, effect, windows }) {
  const linkTo = (window) => addressOf("window", { account: key, dataset, window });
  return el(
    "div",
    { class: "references" },
    el("p", {}, el("b", {}, effect), " ", accountTag(key, label), dataset && " ", dataset && el("bdi", { class: "tag badge" }, dataset)),
    windows && windowBadges(windows, linkTo, `${dataset} ${effect} ${key}`),
  );
}
