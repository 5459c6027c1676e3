// From when to when: presets and two fields, in the zone that times are shown in. What is chosen is in the address, as in the filter.

import { el } from "./dom.js";
import { rangeZone, toAddress, toInstant } from "./filters.js";
import { bindPanel } from "./panel.js";
import { dayKey, minute, now } from "./time.js";

/** Make a button open the picker; `current` gives the filter, `navigate` goes to an address. */
export function bindRangePicker(button, { current, navigate }) {
  bindPanel(button, "Range of time", (close) => build(current(), (range) => (close(), navigate(toAddress({ ...withoutRange(current()), ...range })))));
}

const withoutRange = ({ since: _, before: __, ...rest }) => rest;

function build(filter, choose) {
  const zone = rangeZone(filter);
  const field = (name, value) => el("input", { type: "datetime-local", name, max: "9999-12-31T23:59", value: value && wallClock(toInstant(value, zone), zone) });
  const [from, to] = [field("since", filter.since), field("before", filter.before)];
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const submit = (event) => {
    event.preventDefault();
    const given = { ...(from.value && { since: from.value }), ...(to.value && { before: to.value }) };
    const isTurned = given.since && given.before && toInstant(given.since, zone) >= toInstant(given.before, zone);
    problem.textContent = isTurned ? "The beginning must lie before the end." : "";
    problem.hidden = !isTurned;
    if (!isTurned) choose(given);
  };
  return [
    el("div", { class: "chip-row" }, presets(zone).map(([name, range]) => el("button", { type: "button", class: "chip", on: { click: () => choose(range) } }, name))),
    el(
      "form",
      { class: "range", on: { submit } },
      el("label", {}, "From", from),
      el("label", {}, "Up to", to),
      problem,
      el("p", { class: "hint" }, "Times of ", el("b", {}, zone.replaceAll("_", " ")), ". Without an end, new sessions go on to appear."),
      el("button", { class: "button primary" }, "Show"),
    ),
  ];
}

/** What a field for a date and time takes, or nothing where the filter's own value is no time. */
const wallClock = (instant, zone) => instant !== null && `${dayKey(instant, zone)}T${minute(instant, zone)}`;

/** Stretches of whole days of a zone, the week beginning on Monday. */
function presets(zone) {
  const today = new Date(dayKey(now(), zone));
  const day = (date) => date.toISOString().slice(0, 10);
  const back = (days) => day(new Date(today - days * 86_400_000));
  const month = (back) => day(new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - back)));
  const sinceMonday = (today.getUTCDay() + 6) % 7;
  return [
    ["Today", { since: "today" }],
    ["Yesterday", { since: "yesterday", before: "today" }],
    ["This week", { since: back(sinceMonday) }],
    ["Last week", { since: back(sinceMonday + 7), before: back(sinceMonday) }],
    ["This month", { since: month(0) }],
    ["Last month", { since: month(1), before: month(0) }],
  ];
}
