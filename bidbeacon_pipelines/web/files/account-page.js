// One account: who it is, how fresh its data is, what it earned, its schedule and what was done; renewed when something happens.

import { loadAccounts } from "./accounts.js";
import { figuresSection } from "./account-figures.js";
import { actsSection, entitiesSection, freshness, headSection, scheduleSection, sessionsSection } from "./account-sections.js";
import { el, keepingFocus, reconcile } from "./dom.js";
import { bindKeys } from "./keys.js";
import { hideNotice, hideTrouble, showError, showTrouble } from "./notice.js";
import { showPill } from "./pill.js";
import { Stream, fetchJson } from "./stream.js";
import { brief } from "./surroundings.js";
import { keepCounting, setServerTime } from "./time.js";
import { bindZoneChoice, onZoneChange } from "./zone.js";

const RENEW_MS = 3_000;
const ANYWAY_MS = 60_000;
const MOST_SESSIONS = 8;

const byId = (id) => document.getElementById(id);
const root = byId("content");
const key = decodeURIComponent(location.pathname.split("/").at(-1));
const panel = (id) => el("section", { id, class: "panel", "aria-labelledby": `${id}-title` });
const boxes = { head: el("header", { class: "account-head" }), figures: panel("figures"), datasets: panel("datasets"), sessions: panel("sessions"), schedule: panel("schedule"), entities: panel("entities") };
const column = el("div", { class: "column" }, boxes.schedule, boxes.entities);
const shown = new Map();
let acts = null;
let data = null;
let sessions = [];
let state = { name: "connecting", asOf: null };
let isPaused = false;
let waiting = 0;
let renewal = null;

async function load() {
  const { cursor } = await fetchJson("/api/job-sessions?limit=1");
  await Promise.all([fetchAll(), loadAccounts()]);
  return cursor;
}

async function fetchAll() {
  const [account, list] = await Promise.all([fetchJson(`/api/account?${new URLSearchParams({ account: key })}`), fetchJson(`/api/job-sessions?${new URLSearchParams({ account: key, limit: MOST_SESSIONS })}`)]);
  setServerTime(account.at);
  [data, sessions, waiting] = [account, list.sessions, 0];
  draw();
}

function draw() {
  showFreshness();
  if (data === null) return;
  hideNotice();
  byId("skeleton").hidden = true;
  document.title = `${data.label} · BidBeacon`;
  if (acts?.enabled !== data.enabled) acts = { enabled: data.enabled, element: actsSection(data, renew) };
  const made = { head: headSection, figures: figuresSection, datasets: freshness, schedule: scheduleSection, entities: entitiesSection };
  for (const [id, section] of Object.entries(made)) put(id, data, () => section(data));
  put("sessions", { told: sessions.map(({ id, status, outcome }) => [id, status, outcome]) }, () => sessionsSection(sessions, data.key, brief));
  reconcile(root, [boxes.head, acts.element, boxes.figures, boxes.datasets, boxes.sessions, column]);
  root.setAttribute("aria-busy", "false");
}

/** Make a section anew where what it shows has changed. */
function put(id, { at, ...told }, make) {
  const now = JSON.stringify(told);
  if (shown.get(id) === now) return;
  shown.set(id, now);
  keepingFocus(boxes[id], () => boxes[id].replaceChildren(...make().flat().filter(Boolean)));
}

function onChange() {
  waiting += 1;
  if (!isPaused) renewal ??= setTimeout(renew, RENEW_MS);
  showFreshness();
}

async function renew() {
  clearTimeout(renewal);
  renewal = null;
  try {
    await fetchAll();
    hideTrouble();
  } catch (error) {
    if (data === null) onState({ ...state, name: "failed", error });
    else showTrouble("The account can't be renewed.", error, renew);
  }
}

function onState(next) {
  state = next;
  const isUnknown = data === null && next.error?.status === 404;
  if (next.error && data === null) {
    byId("skeleton").hidden = true;
    showError(isUnknown ? "There is no such account" : "The account could not be loaded", next.error, () => stream.hurry());
  } else if (next.error) showTrouble("The account can't be renewed.", next.error, () => stream.hurry());
  if (next.name === "live") hideTrouble();
  showFreshness();
}

function showFreshness() {
  showPill(state, { isHeld: isPaused, waiting });
  byId("pill").setAttribute("aria-pressed", String(isPaused));
}

function togglePause() {
  isPaused = !isPaused;
  if (!isPaused && waiting > 0) renew();
  showFreshness();
}

const stream = new Stream({ query: { account: key }, load, onUpdate: onChange, onGone: onChange, onState });
byId("pill").addEventListener("click", togglePause);
setInterval(() => !isPaused && !document.hidden && data && renew(), ANYWAY_MS);
bindKeys("home", { "/": () => byId("query").focus(), p: togglePause });
bindZoneChoice(byId("zone"));
onZoneChange(() => {
  shown.clear();
  draw();
});
keepCounting();
stream.start();
