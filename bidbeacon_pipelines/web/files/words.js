// Numbers and instants as text, for all of the product's pages.

import { el } from "./dom.js";
import { fullTime, moment } from "./time.js";

export const number = (value) => value.toLocaleString("en");
export const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
export const percent = (part, whole) => (part === whole ? "100 %" : `${(Math.floor((part / whole) * 1000) / 10).toLocaleString("en")} %`);
/** The first three names, and how many more there are. */
export const firstOf = (names) => [names.slice(0, 3).join(", "), names.length > 3 && `and ${number(names.length - 3)} more`].filter(Boolean).join(" ");
export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const when = (instant) => el("time", { datetime: instant, title: fullTime(instant) }, moment(instant));

/** A table that scrolls sideways if needed; its heads are texts or elements. */
export function scrollingTable(label, className, heads, rows) {
  const head = heads.map((one) => (typeof one === "string" ? el("th", { scope: "col" }, one) : one));
  const table = el("table", { class: className }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  return el("div", { class: "table-box", tabindex: "0", role: "group", "aria-label": label }, table);
}
