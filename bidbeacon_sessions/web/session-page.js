// One session: its facts, its whole timeline with gaps, its error and input.

import { el, outLink, reconcile, safeUrl, sessionPath } from "./dom.js";
import { statusIcon } from "./icons.js";
import { Model } from "./model.js";
import { hideNotice, showError } from "./notice.js";
import { accountTag } from "./parts.js";
import { showPill } from "./pill.js";
import { attemptBadge, lengthOf, runLink } from "./session-card.js";
import { Stream, fetchJson } from "./stream.js";
import { ago, fullTime, keepCounting, setServerTime } from "./time.js";
import { Timeline } from "./timeline.js";

const id = location.pathname.split("/").at(-1);
const root = document.getElementById("session");
const model = new Model();
const timeline = new Timeline({ folding: false });
let drawnRevision = -1;

async function load() {
  const { session: { actions, ...session }, cursor, server_time: serverTime } = await fetchJson(`/api/job-sessions/${id}`);
  setServerTime(serverTime);
  model.replace([{ ...session, actions }], false);
  draw();
  return cursor;
}

function onUpdate(session, actions) {
  if (session.id !== id) return;
  model.merge(session, actions);
  draw();
}

function onState(state) {
  if (state.error && drawnRevision < 0) showError(state.error, () => stream.hurry());
  showPill(state);
}

function draw() {
  const { session, actions } = model.get(id);
  hideNotice();
  document.title = `${session.job_name} · ${session.status} · BidBeacon`;
  timeline.show(actions, session.action_count);
  if (session.revision !== drawnRevision) drawFacts(session);
  drawnRevision = session.revision;
  root.setAttribute("aria-busy", "false");
}

let status = null;
function drawFacts(session) {
  if (session.status === status) return;
  status = session.status;
  reconcile(root, [heading(session), facts(session), ...errorBox(session), timelineSection(), ...inputSection(session)]);
}

function heading(session) {
  return el(
    "header",
    { class: "title" },
    el("span", { class: "mark" }, statusIcon(session.status)),
    el("h1", {}, el("bdi", {}, session.job_name)),
    session.account && accountTag(session.account),
    attemptBadge(session) || "",
    el("span", { class: `word ${session.status}` }, session.status),
    el("span", { class: "links" }, runLink(session), copyButton()),
  );
}

function facts(session) {
  const rows = [
    ["Started", timeFact(session.started_at)],
    ["Ended", session.finished_at ? timeFact(session.finished_at) : "still running"],
    ["Duration", lengthOf(session)],
    ["Account", session.account && el("code", {}, session.account)],
    ["Run", session.run_id && outLink(el("code", {}, session.run_id), session.run_url)],
    ["Step", session.step_key && el("code", {}, session.step_key)],
    ["Queued by", session.parent_session_id && el("a", { href: sessionPath(session.parent_session_id) }, "the session that asked for it")],
    ...Object.entries(session.labels ?? {}).map(([name, value]) => [name.replaceAll("_", " "), labelFact(value)]),
    ["Session", el("code", {}, session.id)],
  ];
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, el("bdi", {}, name)), el("dd", {}, value))));
}

const timeFact = (iso) => el("span", {}, el("time", { datetime: iso, title: iso }, fullTime(iso).split("\n")[0]), " ", el("small", { "data-ago": iso }, ago(iso)));

function labelFact(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^https?:/.test(text) && safeUrl(text) ? outLink(text, text) : el("bdi", {}, text);
}

function errorBox(session) {
  if (!session.error) return [];
  const { type = "Error", message = "", traceback } = session.error;
  return [
    el(
      "section",
      { class: "failure", "aria-label": "Error" },
      el("h2", {}, el("bdi", {}, type)),
      el("p", { dir: "auto" }, message),
      traceback && el("details", {}, el("summary", {}, "Traceback"), el("pre", {}, traceback)),
    ),
  ];
}

const section = el("section", { class: "whole" }, el("h2", {}, "Timeline"), timeline.element);
const timelineSection = () => section;

function inputSection(session) {
  if (Object.keys(session.input ?? {}).length === 0) return [];
  return [el("section", {}, el("h2", {}, "Input"), el("pre", { dir: "auto" }, JSON.stringify(session.input, null, 2)))];
}

function copyButton() {
  const button = el("button", { type: "button", class: "button" }, "Copy as JSON");
  button.addEventListener("click", async () => {
    const { session, actions } = model.get(id);
    button.textContent = (await copy(JSON.stringify({ ...session, actions }, null, 2))) ? "Copied" : "Copying is not allowed here";
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
document.getElementById("back").addEventListener("click", (event) => {
  if (document.referrer.startsWith(location.origin) && history.length > 1) {
    event.preventDefault();
    history.back();
  }
});

const stream = new Stream({ query: {}, load, onUpdate, onGone: () => {}, onState });
keepCounting();
stream.start();
