// One session: its facts, its whole timeline with gaps, its error and input, and what stands around it.

import { accountLabel, loadAccounts } from "./accounts.js";
import { announce } from "./announcer.js";
import { el, keepingFocus, outLink, reconcile, safeUrl, withCommands } from "./dom.js";
import { markOf, statusIcon } from "./icons.js";
import { jsonText } from "./json.js";
import { bindKeys } from "./keys.js";
import { Model } from "./model.js";
import { hideNotice, hideTrouble, showError, showTrouble } from "./notice.js";
import { addressOf } from "./links.js";
import { accountTag } from "./parts.js";
import { showPill } from "./pill.js";
import { attemptBadge, lengthOf, runLink, statusWord, wordsOf } from "./session-card.js";
import { Stream, fetchJson, fetchSession } from "./stream.js";
import { showNeighbours, surroundingSections } from "./surroundings.js";
import { ago, fullTime, keepCounting, setServerTime } from "./time.js";
import { Timeline } from "./timeline.js";
import { bindZoneChoice, onZoneChange, zoneOf } from "./zone.js";

const RENEW_MS = 2_000;
const id = location.pathname.split("/").at(-1);
const byId = (name) => document.getElementById(name);
const root = byId("session");
const neighbours = byId("neighbours");
const model = new Model();
const accounts = loadAccounts();
let timeline = null;
let around = null;
let dagsterUrl = "";
let shown = "";

async function load() {
  const { session: { actions, ...session }, cursor, server_time: serverTime, dagster_url: url } = await fetchSession(id);
  await accounts;
  setServerTime(serverTime);
  dagsterUrl = url;
  model.replace([{ ...session, actions }], false);
  draw();
  loadSurroundings();
  return cursor;
}

function onUpdate(session, actions) {
  if (session.id !== id) return;
  const before = wordsOf(model.get(id)?.session ?? session);
  model.merge(session, actions);
  if (wordsOf(session) !== before) announce(`${session.job_name}: ${wordsOf(session)}`);
  draw();
  renewal ??= setTimeout(loadSurroundings, RENEW_MS);
}

function onState(state) {
  const isUnknown = timeline === null && state.error?.status === 404;
  if (state.error && timeline === null) {
    byId("skeleton").hidden = true;
    showError(isUnknown ? "There is no such session" : "The session could not be loaded", state.error, () => stream.hurry());
  } else if (state.error) showTrouble("This session can't be renewed.", state.error, () => stream.hurry());
  if (state.name === "live") hideTrouble();
  showPill(isUnknown ? { ...state, name: "unknown" } : state);
}

let renewal = null;
async function loadSurroundings() {
  clearTimeout(renewal);
  renewal = null;
  around = await fetchJson(`/api/job-sessions/${id}/surroundings`).catch(() => around);
  if (around === null) return;
  showNeighbours(neighbours, around);
  drawSides();
  loadActions(model.get(id).session);
}

/** What the product lets people do about a session that has ended. */
let hasActions = false;
async function loadActions(session) {
  const address = addressOf("session_actions");
  if (hasActions || address === null || session.status === "running") return;
  hasActions = true;
  const made = await import(address).then(({ sessionActions }) => sessionActions(session, around.references)).catch(() => null); // the page works without
  acts.replaceChildren(...[made].filter(Boolean));
}

function draw() {
  const { session, actions } = model.get(id);
  hideNotice();
  byId("skeleton").hidden = byId("heading").hidden = true;
  document.title = `${session.job_name} · ${wordsOf(session)} · BidBeacon`;
  timeline ??= new Timeline({ folding: false, account: session.account });
  timeline.show(actions, session.action_count);
  drawFacts(session);
  root.setAttribute("aria-busy", "false");
}

/** Everything but the timeline changes with the status only. */
function drawFacts(session) {
  const state = `${wordsOf(session)} ${session.finished_at}`;
  if (state === shown) return;
  shown = state;
  keepingFocus(root, () => {
    reconcile(root, [heading(session), ...errorBox(session), facts(session), acts, columns]);
    reconcile(whole, [el("h2", {}, "Timeline"), timeline.element]);
    reconcile(left, [whole, ...inputSection(session)]);
  });
}

/** One for the page's life: what it says of a copy outlives the heading that it stood in. */
const copying = copyButton();
const whole = el("section", { class: "whole", "aria-label": "Timeline" });
const left = el("div", {}, whole);
const sides = el("div", { class: "sides" });
const acts = el("div", {});
const columns = el("div", { class: "columns" }, left, sides);

function drawSides() {
  keepingFocus(sides, () => sides.replaceChildren(...surroundingSections(model.get(id).session, around)));
}

function heading(session) {
  return el(
    "header",
    { class: "title" },
    el("span", { class: "mark" }, statusIcon(markOf(session))),
    el("h1", {}, el("bdi", {}, session.job_name)),
    session.account && accountTag(session.account, session.account_label),
    attemptBadge(session),
    statusWord(session),
    el("span", { class: "links" }, runLink(session), copying),
  );
}

function facts(session) {
  const zone = zoneOf(session.account);
  const rows = [
    ["Started", timeFact(session.started_at, zone)],
    ["Ended", session.finished_at ? timeFact(session.finished_at, zone) : "still running"],
    ["Duration", lengthOf(session)],
    ["Account", session.account && el("span", {}, el("bdi", {}, session.account_label ?? accountLabel(session.account)), " ", el("code", {}, session.account))],
    ["Run", session.run_id && outLink(el("code", {}, session.run_id), session.run_url)],
    ["Step", session.step_key && el("code", {}, session.step_key)],
    ...labelFacts(session.labels ?? {}),
    ["Session", el("code", {}, session.id)],
  ];
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, el("bdi", {}, name)), el("dd", {}, value))));
}

const timeFact = (iso, zone) => el("span", {}, el("time", { datetime: iso, title: iso }, fullTime(iso, zone).split("\n")[0]), " ", el("small", { "data-ago": iso }, ago(iso)));

/** Dagster's job, asset and partition lead back to Dagster; other labels are shown as they are. */
function labelFacts(labels) {
  const { asset, partition, partitions, dagster_job: job, ...others } = labels;
  const assetPath = asset && `${dagsterUrl}/assets/${String(asset).split(", ")[0].split("/").map(encodeURIComponent).join("/")}`;
  return [
    ["Dagster job", job && !String(job).startsWith("__") && outLink(job, `${dagsterUrl}/jobs/${encodeURIComponent(job)}`)],
    ["Asset", asset && outLink(asset, assetPath)],
    ["Partition", partition && (asset ? outLink(partition, `${assetPath}?view=partitions&partition=${encodeURIComponent(partition)}`) : el("bdi", {}, partition))],
    ["Partitions", partitions && (asset ? outLink(partitions, `${assetPath}?view=partitions`) : el("bdi", {}, partitions))],
    ...Object.entries(others).map(([name, value]) => [name.replaceAll("_", " "), labelFact(value)]),
  ];
}

function labelFact(value) {
  const text = typeof value === "string" ? value : jsonText(value, 0);
  return /^https?:/.test(text) && safeUrl(text) ? outLink(text, text) : el("bdi", {}, text);
}

function errorBox(session) {
  if (!session.error) return [];
  const { explained, type = "Error", message = "", traceback } = session.error;
  const [what, more] = explained ? [explained.sentence, explained.advice] : [type, message];
  return [
    el(
      "section",
      { class: `failure ${markOf(session)}`, "aria-label": "Error" },
      el("h2", {}, el("bdi", {}, withCommands(what))),
      more && el("p", { dir: "auto" }, withCommands(more)),
      explained?.link && el("p", {}, el("a", { href: explained.link }, "More about it")),
      traceback && el("details", {}, el("summary", {}, "Traceback"), el("pre", { tabindex: "0" }, traceback)),
    ),
  ];
}

function inputSection(session) {
  if (Object.keys(session.input ?? {}).length === 0) return [];
  return [el("section", {}, el("h2", {}, "Input"), el("pre", { dir: "auto", tabindex: "0" }, jsonText(session.input)))];
}

function copyButton() {
  const button = el("button", { type: "button", class: "button", "data-key": "copy" }, "Copy as JSON");
  button.addEventListener("click", async () => {
    const { session, actions } = model.get(id);
    button.textContent = (await copy(jsonText({ ...session, actions }))) ? "Copied" : "Copying is not allowed here";
    announce(button.textContent);
    setTimeout(() => (button.textContent = "Copy as JSON"), 2000);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

// Coming from the stream, going back keeps its filter and place.
byId("back").addEventListener("click", (event) => {
  if (document.referrer.startsWith(`${location.origin}/sessions?`) || document.referrer === `${location.origin}/sessions`) {
    event.preventDefault();
    history.back();
  }
});

const follow = (place) => () => around?.[place] && location.assign(`/sessions/${around[place].id}`);
const stream = new Stream({ query: {}, load, onUpdate, onGone: () => {}, onState });
bindKeys({ keys: [["j", "the one before, of the same job and account"], ["k", "the one after"]] }, { j: follow("previous"), k: follow("next") });
bindZoneChoice(byId("zone"));
onZoneChange(() => {
  if (timeline === null) return;
  shown = "";
  timeline.refresh();
  drawFacts(model.get(id).session);
  if (around) drawSides();
});
keepCounting();
stream.start();
