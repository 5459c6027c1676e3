// The sections of an account's page, from the figures of /api/account.

import { MOST_WINDOWS, actions, changeCadence, follow, pauseOrResume, syncEntities, button } from "./act.js";
import { dayAfter, daysBetween } from "./days.js";
import { el, factList, withCommands } from "./dom.js";
import { fetchJson } from "./stream.js";
import { ago, dayKey } from "./time.js";
import { scrollingTable, when } from "./words.js";

export function headSection(data) {
  const copy = el("button", { type: "button", class: "tag fold", title: "Copy the key" }, "Copy");
  copy.addEventListener("click", () => navigator.clipboard.writeText(data.key).then(() => (copy.textContent = "Copied")));
  const facts = [
    ["Key", el("span", {}, el("code", {}, data.key), " ", copy)],
    ["At Amazon", data.alias && data.amazon_name],
    ["Time zone", data.time_zone.replaceAll("_", " ")],
    ["Currency", data.currency],
    ["Kind", data.account_type],
    ["Credential", `${data.credential} (${data.region})`],
    ["Status at Amazon", data.amazon_status.toLowerCase()],
  ];
  return [
    el("h1", {}, el("bdi", {}, data.label), data.stopped ? el("span", { class: "tag attempt" }, data.stopped) : ""),
    data.stopped && el("p", { class: "stop" }, "It is not refreshed. ", withCommands(data.stop_reason)),
    factList(facts),
  ];
}

/** Made once, so that the buttons' messages stay when the figures are renewed. */
export function actsSection(data, renew) {
  const made = actions([syncEntities(data.key), pauseOrResume(data.key, data.can_resume, renew), changeCadence(data.key, renew), renameForm(data, renew)], loadAgainForm(data));
  const result = /** @type {HTMLElement} */ (made.querySelector(".result"));
  for (const wanted of data.wanted) follow(wanted, (...nodes) => result.replaceChildren(...nodes));
  return made;
}

/** The alias belongs to all countries of the ads account. */
const renameForm = ({ key, alias, amazon_name: name }, renew) => (show) => {
  const input = el("input", { name: "alias", maxlength: "80", autocomplete: "off", placeholder: name, value: alias, "aria-label": "Name in BidBeacon; empty: Amazon's name" });
  const save = button("Rename", async () => {
    const { account_label: label } = await fetchJson("/api/account/alias", { account: key, alias: input.value.trim() });
    show(`Its name is ${label} now; the other countries have the same name.`);
    renew();
  }, { type: "submit" })(show);
  return el("form", { class: "rename", method: "dialog" }, input, save);
};

/** Days of one dataset to load again, whether or not they are due. */
function loadAgainForm({ key, datasets, figures }) {
  const dataset = el("select", { "aria-label": "Dataset to load again" }, datasets.map(({ name, title }) => el("option", { value: name }, title)));
  const [first, last] = ["First day", "Last day"].map((label) => el("input", { type: "date", value: figures.to, max: figures.to, required: true, "aria-label": label }));
  const load = button("Load again", async (show) => follow(await fetchJson("/api/account/load-windows", { account: key, dataset: dataset.value, windows: daysOf(first.value, last.value) }), show));
  return [load, dataset, el("span", { class: "bound" }, "from ", first), el("span", { class: "bound" }, "to ", last)];
}

/** The days of a range, at most one more than can be requested at once, which is refused. */
const daysOf = (first, last) => Array.from({ length: Math.min(MOST_WINDOWS, daysBetween(first, last)) + 1 }, (_, place) => dayAfter(first, place));

export function entitiesSection({ entities, schedule }) {
  const title = el("h2", { id: "entities-title" }, "Campaigns and other entities");
  if (entities.length === 0) return [title, el("p", { class: "quiet" }, "They have not been synced yet.")];
  const heads = ["Kind", "Stored", "Gone", "Set aside"];
  const rows = entities.map((one) => el("tr", {}, el("th", { scope: "row" }, one.kind.replace(/_|(?=[A-Z])/g, " ").toLowerCase()), ...[one.stored, one.gone, one.set_aside].map((count) => el("td", { class: count === 0 && "zero" }, count.toLocaleString("en")))));
  return [
    title,
    scrollingTable("Entities by kind", "jobs", heads, rows),
    el("p", { class: "quiet" }, "Synced ", time(schedule.entities_synced_at, "never"), "."),
  ];
}

export function scheduleSection(account) {
  const { schedule, stopped } = account;
  const rows = [
    ["Refreshed", [schedule.cadence, schedule.cadence_by && el("small", {}, ` (set by ${schedule.cadence_by} `, time(schedule.cadence_at), ")")]],
    ["Next refresh", stopped ? `none: ${stopped}` : schedule.next_run_at ? time(schedule.next_run_at) : "as soon as something is due"],
    ["Last refresh", time(schedule.last_run_at, "never")],
    ["Paused", schedule.paused_by && ["by ", el("bdi", {}, schedule.paused_by), " ", time(schedule.paused_at)]],
    ["Known since", schedule.first_seen_at && el("time", { datetime: schedule.first_seen_at }, dayKey(schedule.first_seen_at))],
  ];
  return [el("h2", { id: "schedule-title" }, "Schedule"), factList(rows)];
}

export function sessionsSection(sessions, key, line) {
  const all = `/sessions?${new URLSearchParams({ account: key })}`;
  return [
    el("h2", { id: "sessions-title" }, "What was done"),
    sessions.length > 0 ? el("ul", { class: "briefs" }, sessions.map((session) => el("li", { "data-key": session.id }, line(session)))) : el("p", { class: "quiet" }, "No session has worked for it yet."),
    el("p", {}, el("a", { href: all }, "All sessions"), " · ", el("a", { href: `${all}&type=account-paused` }, "sessions that paused it"), " · ", el("a", { href: `${all}&type=load-requested` }, "sessions that requested loads")),
  ];
}

function time(instant, otherwise = "–") {
  return instant ? el("span", {}, when(instant), " ", el("small", { "data-ago": instant }, ago(instant))) : otherwise;
}
