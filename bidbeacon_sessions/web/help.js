// The sheet behind `?`: keys, the filter's words, and what the marks mean. Made when it is first asked for.

import { el } from "./dom.js";
import { statusIcon, wordOf } from "./icons.js";
import { chooseTheme, themeChoice } from "./theme.js";

const KEYS_OF = {
  home: [["/", "go to the search"], ["p", "pause, or go on"], ["?", "this sheet"]],
  stream: [["/", "go to the filter"], ["j", "next session"], ["k", "previous session"], ["Enter", "open it"], ["p", "pause, or go on"], ["?", "this sheet"], ["Esc", "leave the filter, close this sheet"]],
  session: [["j", "the one before, of the same job and account"], ["k", "the one after"], ["?", "this sheet"]],
  coverage: [["/", "go to the accounts’ filter"], ["← → ↑ ↓", "move from window to window"], ["Home End", "first and last day"], ["Enter", "why it is so"], ["p", "pause, or go on"], ["?", "this sheet"]],
};
const WORDS = [
  ["job:", "the job’s name"],
  ["account:", "an account’s name, a part of it, or its key"],
  ["status:", "running, succeeded, failed, cancelled or crashed"],
  ["outcome:", "what it achieved: ok, warnings or problems"],
  ["type:", "of an action, such as report-processed"],
  ["dataset: window:", "what was worked on, such as 2026-11-23"],
  ["run:", "a run in Dagster"],
  ["since: before:", "30m, 6h, 7d, today, 2026-11-24, 2026-11-24T14:00; or choose a range above the histogram"],
  ["☆", "filters that you have named; this browser keeps them"],
  ["anything else", "words in names, errors and actions; quotes keep words with a colon together"],
];
const MARKS = ["running", "succeeded", "skipped", "warnings", "problems", "failed", "crashed", "retried", "cancelled"];
const OFF = "bidbeacon.keys-off";
let sheet = null;

/** Whether single keys act; people who speak to their machine may want them off. */
export function lettersAreOn() {
  try {
    return localStorage.getItem(OFF) === null;
  } catch {
    return true;
  }
}

export function toggleHelp(view) {
  sheet ??= document.body.appendChild(build(view));
  if (sheet.open) sheet.close();
  else sheet.showModal();
}

function lettersSwitch() {
  const box = el("input", { type: "checkbox", id: "letters", checked: lettersAreOn() });
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
  return el("label", { class: "switch", for: "letters" }, box, "Single keys act on this page");
}

function themeSwitch() {
  const select = el("select", { id: "theme" }, Object.entries({ system: "as the system", light: "light", dark: "dark" }).map(([value, name]) => el("option", { value, selected: value === themeChoice() }, name)));
  select.addEventListener("change", () => chooseTheme(select.value));
  return el("label", { class: "switch", for: "theme" }, "Colours", select);
}

function build(view) {
  const close = el("button", { type: "button", class: "button", on: { click: () => sheet.close() } }, "Close");
  const rows = (pairs, tag) => el("dl", { class: "sheet-rows" }, pairs.map(([name, meaning]) => el("div", {}, el("dt", {}, el(tag, {}, name)), el("dd", {}, meaning))));
  const dialog = el(
    "dialog",
    { class: "sheet", "aria-labelledby": "sheet-title" },
    el("header", {}, el("h2", { id: "sheet-title" }, "Keys and marks"), close),
    rows(KEYS_OF[view], "kbd"),
    el("p", {}, themeSwitch()),
    lettersSwitch(),
    view === "stream" && el("h3", {}, "The filter"),
    view === "stream" && rows(WORDS, "code"),
    view !== "coverage" && el("h3", {}, "Marks"),
    view !== "coverage" && el("ul", { class: "marks" }, MARKS.map((status) => el("li", {}, statusIcon(status), wordOf(status)))),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}
