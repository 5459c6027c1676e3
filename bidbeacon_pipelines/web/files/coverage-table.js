// The windows as a table: counts by state, and links to each account's windows that are not fresh.

import { STATES, stateMark } from "./coverage-states.js";
import { dayAfter } from "./days.js";
import { el } from "./dom.js";
import { accountTag, windowBadges } from "./parts.js";
import { counted, firstOf, scrollingTable } from "./words.js";

/** `linkTo` returns the address of an account's window. States without windows have no column. */
export function coverageTable(data, accounts, linkTo) {
  const letters = Object.keys(STATES).filter((letter) => accounts.some(({ cells }) => cells.includes(letter)));
  const states = letters.map((letter) => el("th", { scope: "col" }, stateMark(letter), " ", STATES[letter].name));
  const rows = accounts.map((account) => accountRow(data, account, letters, linkTo));
  return scrollingTable(`Windows by account, ${data.from} to ${data.to}`, "coverage-table", ["Account", ...states, "Not fresh, or left out"], rows);
}

function accountRow(data, account, letters, linkTo) {
  const counts = letters.map((letter) => account.cells.split(letter).length - 1);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, accountTag(account.key, account.label)),
    counts.map((count, index) => el("td", { class: count > 0 ? `is-${letters[index]}` : "zero" }, count.toLocaleString("en"))),
    el("td", { class: "which" }, letters.filter((letter) => !"fmpb".includes(letter)).map((letter) => windowsOf(data, account, letter, linkTo)), leftOut(account)),
  );
}

/** The number of days on which Amazon leaves campaigns out, and their names. */
function leftOut({ leftOut: found }) {
  const days = found.filter((names) => names.length > 0).length;
  if (days === 0) return null;
  return el("p", {}, el("span", {}, `left out by Amazon on ${counted(days, "day")} `), el("bdi", {}, firstOf([...new Set(found.flat())])));
}

function windowsOf(data, { key, cells }, letter, linkTo) {
  const days = [...cells].flatMap((one, place) => (one === letter ? [dayAfter(data.from, place)] : []));
  if (days.length === 0) return null;
  return el("p", {}, el("span", {}, `${STATES[letter].name} `), windowBadges(days, (day) => linkTo(key, day), `${data.dataset} ${letter} ${key}`));
}
