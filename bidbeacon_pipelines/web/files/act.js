// Buttons that change something: they send a request, say what became of it, and lead to the session of the run that it starts.

import { el, outLink, sessionPath, withCommands } from "./dom.js";
import { causeOf } from "./notice.js";
import { fetchJson } from "./stream.js";

const LOOK_MS = 2_000;
const LONGEST_MS = 15 * 60_000;
export const MOST_WINDOWS = 100;
const CADENCES = { "as soon as due": null, "every hour": "1h", "every 3 hours": "3h", "every 6 hours": "6h", "every 12 hours": "12h", "every day": "1d" };

let asked = /** @type {Promise<any> | null} */ (null);

/** Ask once whether this client may change something; resolves to `{error, what_to_do}` where it may not. */
const findRefusal = () => (asked ??= fetchJson("/api/changes").then((told) => (told.allowed ? null : told), () => (asked = null)));

function switchOff(acts, { error, what_to_do: whatToDo }) {
  for (const control of acts.querySelectorAll("button, input, select")) control.disabled = true;
  acts.querySelector(".said").before(el("p", { class: "refusal" }, withCommands(`${error} ${whatToDo}`)));
}

/** Rows of buttons with one line below, which says what happens; what makes a button gets what says it. They are off where nothing can be changed. */
export function actions(...rows) {
  const said = el("p", { class: "said", role: "status", "aria-live": "polite" });
  const say = (...nodes) => said.replaceChildren(...nodes);
  const made = rows.map((row) => el("div", { class: "buttons" }, row.map((one) => (typeof one === "function" ? one(say) : one))));
  const acts = el("div", { class: "acts" }, made, said);
  findRefusal().then((refusal) => refusal && switchOff(acts, refusal));
  return acts;
}

/** A button that does something once at a time; `act` gets what says things, and its errors are said. */
export const button = (label, act, attributes = {}) => (say) => {
  const element = el("button", { type: "button", class: "button", ...attributes }, label);
  element.addEventListener("click", async () => {
    element.disabled = true;
    say("One moment…");
    try {
      await act(say);
    } catch (problem) {
      const error = /** @type {any} */ (problem);
      say(el("span", { class: "problem" }, withCommands(causeOf(error)), " ", error.whatToDo && withCommands(error.whatToDo)));
    }
    element.disabled = false;
  });
  return element;
};

export const loadAgain = (account, dataset, windows, label = "Load again") =>
  button(label, async (say) => follow(await fetchJson("/api/account/load-windows", { account, dataset, windows }), say), { title: "Ask Amazon for a new report now, whether or not it is due" });

/** The buttons that decide about a final day of which a later report has far fewer rows; `done` is called when one has worked. */
export function decisions(account, dataset, windows, done) {
  const decide = (path, said) => async (say) => {
    await fetchJson(path, { account, dataset, windows });
    say(said);
    return done();
  };
  return [
    button("Accept", decide("/api/account/accept-report", "Accepted: the next report is taken. Dagster requests it within half a minute."), { title: "Take what Amazon reports next, whatever it says" }),
    button("Keep ours", decide("/api/account/keep-rows", "The loaded rows are kept."), { title: "Keep the loaded rows of this day" }),
  ];
}

export const syncEntities = (account) =>
  button("Sync entities", async (say) => follow(await fetchJson("/api/account/sync-entities", { account }), say), { title: "Ask Amazon for campaigns, ad groups, ads and targets now" });

/** Why nothing is asked for a stopped account, in the word for it. */
export const stopWord = ({ paused, amazon_status: status }) => (paused ? "paused" : status === "DISABLED" ? "disabled" : "needs attention");

/** Whether nothing is asked for an account until a person resumes it. */
export const isResumable = ({ paused, needs_attention: needsAttention }) => paused || Boolean(needsAttention);

/** A button that becomes the other one when it has worked; `done` gets whether the account is paused then. */
export const pauseOrResume = (account, isPaused, done = (/** @type {boolean} */ _) => {}) => (say) => {
  const pauses = async () => {
    const { account_label: label } = await fetchJson(`/api/account/${isPaused ? "resume" : "pause"}`, { account });
    say(`${label} is ${isPaused ? "refreshed again" : "paused: nothing is requested from Amazon for it"}.`);
    const other = pauseOrResume(account, !isPaused, done)(say);
    element.replaceWith(other);
    other.focus();
    done(!isPaused);
  };
  const element = button(isPaused ? "Resume" : "Pause", pauses, { title: isPaused ? "Refresh this account again" : "Request nothing from Amazon for this account; its data stays" })(say);
  return element;
};

/** The choice of a cadence, which belongs to all countries of the ads account; `account` is its key or that of one of its countries. */
export const changeCadence = (account, done = () => {}) => (say) => {
  const select = el("select", { "aria-label": "Cadence" }, el("option", { value: "" }, "Cadence…"), Object.keys(CADENCES).map((name) => el("option", {}, name)));
  const changes = async () => {
    if (select.value === "") return say("Choose a cadence first.");
    const every = CADENCES[select.value];
    const { cadence, account_label: label } = await fetchJson("/api/account/cadence", { account, ...(every && { every }) });
    say(`${label} is refreshed ${cadence}, in all of its countries.`);
    select.value = "";
    return done();
  };
  return el("span", { class: "choice" }, select, button("Change cadence", changes, { title: "For all countries of the ads account" })(say));
};

/** A link to Dagster's page of a partition: its button "Materialize" opens a dialog with exactly this one chosen. */
export const partitionLink = (address) => outLink("Open in Dagster", address, { class: "button", title: "Its button Materialize has exactly this partition chosen" });

/** Say how something that is wanted goes, until its session is there. */
export async function follow(wanted, say) {
  const since = Date.now();
  let now = wanted;
  while (now && !now.session && Date.now() - since < LONGEST_MS) {
    say(`Requested. Dagster starts the run within half a minute (${Math.round((Date.now() - since) / 1000)} s) …`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const all = await fetchJson(`/api/account/wanted?${new URLSearchParams({ account: wanted.account })}`).catch(() => [now]);
    now = all.find(({ dataset, at }) => dataset === wanted.dataset && at === wanted.at);
  }
  const sessions = `/sessions?${new URLSearchParams({ account: wanted.account, job: wanted.dataset ? "load-windows" : "sync-entities" })}`;
  if (now?.session) say("The run has started: ", el("a", { href: sessionPath(now.session) }, "show the session"), ".");
  else if (!now) say("The run has ended: ", el("a", { href: sessions }, "show the sessions"), ".");
  else say("No run has started yet. The request is kept: Dagster starts the run as soon as its sensor runs.");
}
