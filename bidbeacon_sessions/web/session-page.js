// The page of one session: facts, the whole timeline with gaps, error, input, and surroundings.

import { announce } from "./announcer.js";
import { bindBar } from "./bar.js";
import { byId, el, factList, keepingFocus, outLink, reconcile, safeUrl, sessionPath, withCommands } from "./dom.js";
import { markOf, statusIcon } from "./icons.js";
import { jsonText } from "./json.js";
import { addressOf } from "./product.js";
import { Model } from "./model.js";
import { hideNotice, showState } from "./notice.js";
import { showPill } from "./pill.js";
import { errorWords, lengthOf, runLink, statusWord, tagsOf, wordsOf } from "./session-card.js";
import { Stream, fetchJson, fetchSession } from "./stream.js";
import { showNeighbors, surroundingSections } from "./surroundings.js";
import { ago, fullTime, setServerTime } from "./time.js";
import { Timeline } from "./timeline.js";

const RENEW_MS = 2_000;
const id = location.pathname.split("/").at(-1) ?? "";
const root = byId("session");
const model = new Model();
let timeline = /** @type {Timeline | null} */ (null);
let around = /** @type {import("./types").Surroundings | null} */ (null);
let dagsterUrl = "";
let shown = "";

async function load() {
  const { session: { actions, ...session }, cursor, server_time: serverTime, dagster_url: url } = await fetchSession(id);
  setServerTime(serverTime);
  dagsterUrl = url;
  model.replace([{ ...session, actions }], false);
  draw();
  loadSurroundings();
  return cursor;
}

/** @param {import("./types").Session} session @param {import("./types").Action[]} actions */
function onUpdate(session, actions) {
  if (session.id !== id) return;
  const before = wordsOf(model.get(id)?.session ?? session);
  model.merge(session, actions);
  if (wordsOf(session) !== before) announce(`${session.job_name}: ${wordsOf(session)}`);
  draw();
  renewal ||= setTimeout(loadSurroundings, RENEW_MS);
}

function onState(state) {
  const isShown = timeline !== null;
  const isUnknown = !isShown && state.error?.status === 404;
  showState(state, { noun: "session", isShown, retry: () => stream.hurry() }, isUnknown ? "There is no such session" : undefined);
  showPill(isUnknown ? { ...state, name: "unknown" } : state);
}

let renewal = 0;
async function loadSurroundings() {
  clearTimeout(renewal);
  renewal = 0;
  around = await fetchJson(`/api/job-sessions/${id}/surroundings`).catch(() => around);
  if (around === null) return;
  showNeighbors(byId("neighbors"), around);
  drawSides();
  loadActions(model.get(id).session);
}

let hasActions = false;
/** Load the product's buttons for a session that has ended. */
async function loadActions(session) {
  const address = addressOf("session_actions");
  if (hasActions || address === null || session.status === "running") return;
  hasActions = true;
  const made = await import(address).then(({ sessionActions }) => sessionActions(session, around?.references)).catch(() => null); // the page works without
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

/** Draw everything but the timeline, which changes with the status only. */
function drawFacts(session) {
  const state = `${wordsOf(session)} ${session.finished_at}`;
  if (state === shown) return;
  shown = state;
  keepingFocus(root, () => {
    reconcile(root, [heading(session), ...errorBox(session), facts(session), acts, columns]);
    reconcile(whole, [el("h2", {}, "Timeline"), timeline?.element]);
    reconcile(left, [whole, ...inputSection(session)]);
  });
}

/** Made once, since its text about a copy outlives the heading around it. */
const copying = el("button", { type: "button", class: "button", "data-key": "copy", on: { click: copy } }, "Copy as JSON");
const whole = el("section", { class: "whole", "aria-label": "Timeline" });
const left = el("div", {}, whole);
const sides = el("div", { class: "sides" });
const acts = el("div", {});
const columns = el("div", { class: "columns" }, left, sides);

function drawSides() {
  if (around === null) return;
  const sections = surroundingSections(model.get(id), around);
  keepingFocus(sides, () => sides.replaceChildren(...sections));
}

/** @param {import("./types").Session} session */
function heading(session) {
  return el(
    "header",
    { class: "title" },
    el("span", { class: "mark" }, statusIcon(markOf(session))),
    el("h1", {}, el("bdi", {}, session.job_name)),
    tagsOf(session),
    statusWord(session),
    el("span", { class: "links" }, runLink(session), copying),
  );
}

/** @param {import("./types").Session} session */
function facts(session) {
  return factList([
    ["Started", timeFact(session.started_at)],
    ["Ended", session.finished_at ? timeFact(session.finished_at) : "still running"],
    ["Duration", lengthOf(session)],
    ["Account", session.account && el("span", {}, el("bdi", {}, session.account_label), " ", el("code", {}, session.account))],
    ["Run", session.run_id && outLink(el("code", {}, session.run_id), session.run_url)],
    ["Step", session.step_key && el("code", {}, session.step_key)],
    ...labelFacts(session.labels),
    ["Session", el("code", {}, session.id)],
  ]);
}

const timeFact = (iso) => el("span", {}, el("time", { datetime: iso, title: iso }, fullTime(iso).split("\n")[0]), " ", el("small", { "data-ago": iso }, ago(iso)));

/** Dagster's job, asset and partition link to Dagster; other labels are shown as they are. @param {Record<string, any>} labels */
function labelFacts({ asset, partition, partitions, dagster_job: job, ...others }) {
  const assetPath = asset && `${dagsterUrl}/assets/${String(asset).split(", ")[0].split("/").map(encodeURIComponent).join("/")}`;
  const ofAsset = (text, query) => text && (asset ? outLink(text, `${assetPath}?view=partitions${query}`) : el("bdi", {}, text));
  return [
    ["Dagster job", job && !String(job).startsWith("__") && outLink(job, `${dagsterUrl}/jobs/${encodeURIComponent(job)}`)],
    ["Asset", asset && outLink(asset, assetPath)],
    ["Partition", ofAsset(partition, `&partition=${encodeURIComponent(partition)}`)],
    ["Partitions", ofAsset(partitions, "")],
    ...Object.entries(others).map(([name, value]) => [name.replaceAll("_", " "), labelFact(value)]),
  ];
}

function labelFact(value) {
  const text = typeof value === "string" ? value : jsonText(value, 0);
  return /^https?:/.test(text) && safeUrl(text) ? outLink(text, text) : el("bdi", {}, text);
}

function errorBox(session) {
  if (!session.error) return [];
  const { explained, traceback } = session.error;
  const [what, more] = errorWords(session.error);
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

function inputSection({ input }) {
  if (Object.keys(input ?? {}).length === 0) return [];
  return [el("section", {}, el("h2", {}, "Input"), el("pre", { dir: "auto", tabindex: "0" }, jsonText(input)))];
}

async function copy() {
  const { session, actions } = model.get(id);
  const text = jsonText({ ...session, actions });
  const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  copying.textContent = isCopied ? "Copied" : "Copying is not allowed here";
  announce(copying.textContent);
  setTimeout(() => (copying.textContent = "Copy as JSON"), 2000);
}

// After a visit from the stream, going back keeps its filter and position.
byId("back").addEventListener("click", (event) => {
  if (document.referrer.startsWith(`${location.origin}/sessions?`) || document.referrer === `${location.origin}/sessions`) {
    event.preventDefault();
    history.back();
  }
});

const follow = (place) => () => around?.[place] && location.assign(sessionPath(around[place].id));
const stream = new Stream({ query: {}, load, onUpdate, onGone: () => {}, onState });
bindBar({ j: follow("previous"), k: follow("next") }, () => {
  if (timeline === null) return;
  shown = "";
  timeline.refresh();
  drawFacts(model.get(id).session);
  drawSides();
});
stream.start();
