// The picker of a range of time: presets and two fields, in the zone of the page. The choice becomes part of the filter.

import { byId, el } from "./dom.js";
import { toAddress, toInstant } from "./filters.js";
import { bindPanel } from "./panel.js";
import { dayKey, minute, now } from "./time.js";
import { zoneName } from "./zone.js";

/** Bind the picker; `current` returns the filter, `navigate` goes to an address. */
export function bindRangePicker({ current, navigate }) {
  const [panel, form, problem] = ["range-panel", "range-form", "range-problem"].map(byId);
  const [from, to] = ["since", "before"].map((name) => form.elements[name]);
  const choose = (range) => {
    const { since, before, ...rest } = current();
    panel.close();
    navigate(toAddress({ ...rest, ...range }));
  };
  const presetChip = ([name, range]) => el("button", { type: "button", class: "chip", on: { click: () => choose(range) } }, name);
  bindPanel(byId("range"), panel, () => {
    for (const field of [from, to]) field.value = wallClock(current()[field.name]);
    problem.hidden = true;
    byId("range-zone").textContent = zoneName();
    byId("presets").replaceChildren(...presets().map(presetChip));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.hidden = !from.value || !to.value || Number(toInstant(from.value)) < Number(toInstant(to.value));
    if (problem.hidden) choose({ ...(from.value && { since: from.value }), ...(to.value && { before: to.value }) });
  });
}

/** The value of a field for date and time; empty if the filter's own value is invalid. */
function wallClock(value) {
  const instant = value ? toInstant(value) : null;
  return instant === null ? "" : `${dayKey(instant)}T${minute(instant)}`;
}

/** Ranges of whole days; weeks begin on Monday. */
function presets() {
  const today = new Date(dayKey(now()));
  const day = (date) => date.toISOString().slice(0, 10);
  const back = (days) => day(new Date(today.getTime() - days * 86_400_000));
  const month = (back) => day(new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - back)));
  const sinceMonday = (today.getUTCDay() + 6) % 7;
  return /** @type {[string, import("./types").Filter][]} */ ([
    ["Today", { since: "today" }],
    ["Yesterday", { since: "yesterday", before: "today" }],
    ["This week", { since: back(sinceMonday) }],
    ["Last week", { since: back(sinceMonday + 7), before: back(sinceMonday) }],
    ["This month", { since: month(0) }],
    ["Last month", { since: month(1), before: month(0) }],
  ]);
}
