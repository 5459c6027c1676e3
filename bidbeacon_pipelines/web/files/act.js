// Buttons that change something: they send a request, show its result, and link to its session.

import { el, outLink, sessionPath, withCommands } from "./dom.js";
import { causeOf } from "./notice.js";
import { fetchJson } from "./stream.js";

const POLL_MS = 2_000;
const LONGEST_MS = 15 * 60_000;
export const MOST_WINDOWS = 100;
const CADENCES = { "as soon as due": null, "every hour": "1h", "every 3 hours": "3h", "every 6 hours": "6h", "every 12 hours": "12h", "every day": "1d" };

let refusalOfChanges = /** @type {Promise<any> | null} */ (null);

/** Query once whether this client may change something: null, or `{error, what_to_do}`. */
const findRefusal = () => (refusalOfChanges ??= fetchJson("/api/changes").then((access) => (access.allowed ? null : access), () => (refusalOfChanges = null)));

function switchOff(acts, { error, what_to_do: whatToDo }) {
  for (const control of acts.querySelectorAll("button, input, select")) control.disabled = true;
  acts.querySelector(".result").before(el("p", { class: "refusal" }, withCommands(`${error} ${whatToDo}`)));
}

/** Rows of buttons above a status line, which they set by `show`; disabled without permission. */
export function actions(...rows) {
  const result = el("p", { class: "result", role: "status", "aria-live": "polite" });
  const show = (...nodes) => result.replaceChildren(...nodes);
  const made = rows.map((row) => el("div", { class: "buttons" }, row.map((one) => (typeof one === "function" ? one(show) : one))));
  const acts = el("div", { class: "acts" }, made, result);
  findRefusal().then((refusal) => refusal && switchOff(acts, refusal));
  return acts;
}

/** A button that is disabled while `act` runs; `act` gets `show`, and its errors are shown. */
export const button = (label, act, attributes = {}) => (show) => {
  const element = el("button", { type: "button", class: "button", ...attributes }, label);
  element.addEventListener("click", async () => {
    element.disabled = true;
    show("One moment…");
    try {
      await act(show);
    } catch (problem) {
      const error = /** @type {any} */ (problem);
      show(el("span", { class: "problem" }, withCommands(causeOf(error)), " ", error.whatToDo && withCommands(error.whatToDo)));
    }
    element.disabled = false;
  });
  return element;
};

export const loadAgain = (account, dataset, windows, label = "Load again") =>
  button(label, async (show) => follow(await fetchJson("/api/account/load-windows", { account, dataset, windows }), show), { title: "Request a new report from Amazon now, even if it is not due" });

/** The buttons that decide about a final day for which a later report has far fewer rows. */
export function decisions(account, dataset, windows, done) {
  const decide = (path, message) => async (show) => {
    await fetchJson(path, { account, dataset, windows });
    show(message);
    return done();
  };
  return [
    button("Accept", decide("/api/account/accept-report", "Accepted: the next report is loaded. Dagster requests it within half a minute."), { title: "Load Amazon’s next report, even if it has far fewer rows" }),
    button("Keep ours", decide("/api/account/keep-rows", "The loaded rows are kept."), { title: "Keep the loaded rows of this day" }),
  ];
}

export const syncEntities = (account) =>
  button("Sync entities", async (show) => follow(await fetchJson("/api/account/sync-entities", { account }), show), { title: "Request campaigns, ad groups, ads and targets from Amazon now" });

/** A button that turns into the other one on success; `done` gets whether the account is paused. */
export const pauseOrResume = (account, isPaused, done = (/** @type {boolean} */ _) => {}) => (show) => {
  const pauses = async () => {
    const { account_label: label } = await fetchJson(`/api/account/${isPaused ? "resume" : "pause"}`, { account });
    show(`${label} is ${isPaused ? "refreshed again" : "paused: nothing is requested from Amazon for it"}.`);
    const other = pauseOrResume(account, !isPaused, done)(show);
    element.replaceWith(other);
    other.focus();
    done(!isPaused);
  };
  const element = button(isPaused ? "Resume" : "Pause", pauses, { title: isPaused ? "Refresh this account again" : "Request nothing from Amazon for this account; its data stays" })(show);
  return element;
};

/** The choice of a cadence, for all countries of an ads account; `account` may be one of them. */
export const changeCadence = (account, done = () => {}) => (show) => {
  const select = el("select", { "aria-label": "Cadence" }, el("option", { value: "" }, "Cadence…"), Object.keys(CADENCES).map((name) => el("option", {}, name)));
  const changes = async () => {
    if (select.value === "") return show("Choose a cadence first.");
    const every = CADENCES[select.value];
    const { cadence, account_label: label } = await fetchJson("/api/account/cadence", { account, ...(every && { every }) });
    show(`${label} is refreshed ${cadence}, in all of its countries.`);
    select.value = "";
    return done();
  };
  return el("span", { class: "choice" }, select, button("Change cadence", changes, { title: "For all countries of the ads account" })(show));
};

/** A link to a partition in Dagster, preselected in the dialog of the button "Materialize". */
export const partitionLink = (address) => outLink("Open in Dagster", address, { class: "button", title: "Its button Materialize has exactly this partition chosen" });

/** Show the progress of a requested run until its session exists. */
export async function follow(wanted, show) {
  const since = Date.now();
  let now = wanted;
  while (now && !now.session && Date.now() - since < LONGEST_MS) {
    show(`Requested. Dagster starts the run within half a minute (${Math.round((Date.now() - since) / 1000)} s) …`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const all = await fetchJson(`/api/account/wanted?${new URLSearchParams({ account: wanted.account })}`).catch(() => [now]);
    now = all.find(({ dataset, at }) => dataset === wanted.dataset && at === wanted.at);
  }
  const sessions = `/sessions?${new URLSearchParams({ account: wanted.account, job: wanted.dataset ? "load-windows" : "sync-entities" })}`;
  if (now?.session) show("The run has started: ", el("a", { href: sessionPath(now.session) }, "show the session"), ".");
  else if (!now) show("The run has ended: ", el("a", { href: sessions }, "show the sessions"), ".");
  else show("No run has started yet. The request is kept: Dagster starts the run as soon as its sensor runs.");
}
