// The same windows as a table: counts by state, and each account's windows that are not fresh, as links.

import { el } from "./dom.js";
import { STATES, stateMark } from "./coverage-states.js";
import { dayAfter } from "./coverage-map.js";
import { accountTag, windowBadges } from "./parts.js";

const LETTERS = Object.keys(STATES);

/** `linkTo` gives the address of a window of an account. */
export function coverageTable(data, accounts, linkTo) {
  const heads = LETTERS.map((letter) => el("th", { scope: "col" }, stateMark(letter), " ", STATES[letter].name));
  return el(
    "div",
    { class: "table-box", role: "region", tabindex: "0", "aria-label": `Windows by account, ${data.from} to ${data.to}` },
    el(
      "table",
      { class: "coverage-table" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Account"), heads, el("th", { scope: "col" }, "Not fresh"))),
      el("tbody", {}, accounts.map((account) => accountRow(data, account, linkTo))),
    ),
  );
}

function accountRow(data, account, linkTo) {
  const counts = LETTERS.map((letter) => account.cells.split(letter).length - 1);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, accountTag(account.key, account.label), account.stopped && el("small", {}, ` ${account.stopped}`)),
    counts.map((count, index) => el("td", { class: count > 0 ? `is-${LETTERS[index]}` : "zero" }, count.toLocaleString("en"))),
    el("td", { class: "which" }, LETTERS.filter((letter) => !"fn".includes(letter)).map((letter) => windowsOf(data, account, letter, linkTo))),
  );
}

function windowsOf(data, { key, cells }, letter, linkTo) {
  const days = [];
  for (let place = cells.indexOf(letter); place >= 0; place = cells.indexOf(letter, place + 1)) days.push(dayAfter(data.from, place));
  if (days.length === 0) return null;
  return el("p", {}, el("span", {}, `${STATES[letter].name} `), windowBadges(days, (day) => linkTo(key, day), `${data.dataset} ${letter} ${key}`));
}
