// The sheet behind `?`: keys, the filter's words, and what the marks mean. Made when it is first asked for.

import { el } from "./dom.js";
import { statusIcon, wordOf } from "./icons.js";
import { chooseTheme, themeChoice } from "./theme.js";

export const PAUSE = ["p", "pause, or go on"];
const HELP = ["?", "this sheet"];
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

/** Show the sheet, or hide it: the page's `keys` as pairs of name and meaning, its filter's words where it has such a filter, and the marks of sessions where it shows any. */
export function toggleHelp(help) {
  sheet ??= document.body.appendChild(build(help));
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

function build({ keys, filters = false, marks = true }) {
  const close = el("button", { type: "button", class: "button", on: { click: () => sheet.close() } }, "Close");
  const rows = (pairs, tag) => el("dl", { class: "sheet-rows" }, pairs.map(([name, meaning]) => el("div", {}, el("dt", {}, el(tag, {}, name)), el("dd", {}, meaning))));
  const dialog = el(
    "dialog",
    { class: "sheet", "aria-labelledby": "sheet-title" },
    el("header", {}, el("h2", { id: "sheet-title" }, "Keys and marks"), close),
    rows([...keys, HELP], "kbd"),
    el("p", {}, themeSwitch()),
    lettersSwitch(),
    filters && el("h3", {}, "The filter"),
    filters && rows(WORDS, "code"),
    marks && el("h3", {}, "Marks"),
    marks && el("ul", { class: "marks" }, MARKS.map((status) => el("li", {}, statusIcon(status), wordOf(status)))),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}
