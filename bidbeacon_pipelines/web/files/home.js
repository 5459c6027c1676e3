// Home: is everything all right, and if not, what. It renews itself when sessions change, at most once in a few seconds.

import { loadAccounts } from "./accounts.js";
import { announce } from "./announcer.js";
import { keepingFocus } from "./dom.js";
import { SECTIONS, verdictOf } from "./home-sections.js";
import { bindKeys } from "./keys.js";
import { hideTrouble, showError, showTrouble } from "./notice.js";
import { showPill } from "./pill.js";
import { Stream, fetchJson } from "./stream.js";
import { keepCounting, setServerTime } from "./time.js";
import { bindZoneChoice, onZoneChange } from "./zone.js";

const RENEW_MS = 4_000;
const ANYWAY_MS = 60_000;

const byId = (id) => document.getElementById(id);
const shown = new Map();
let data = null;
let state = { name: "connecting", asOf: null };
let isPaused = false;
let waiting = 0;
let renewal = null;

/** The cursor first: what changes while the figures are read is told again rather than missed. */
async function load() {
  const { cursor } = await fetchJson("/api/job-sessions?limit=1");
  await Promise.all([fetchAll(), loadAccounts()]);
  return cursor;
}

async function fetchAll() {
  const [home, metrics] = await Promise.all([fetchJson("/api/home"), fetchJson("/api/job-metrics?interval=1h")]);
  setServerTime(home.at);
  data = { ...home, jobs: metrics.jobs.filter(({ count }) => count > 0) };
  waiting = 0;
  draw();
}

/** Make the sections whose figures have changed anew. */
function draw() {
  showFreshness();
  if (data === null) return;
  byId("skeleton").hidden = true;
  const { level, title } = verdictOf(data);
  if (shown.has("verdict") && byId("verdict").dataset.level !== level) announce(title);
  byId("verdict").dataset.level = level;
  for (const [id, { figures, render }] of Object.entries(SECTIONS)) {
    const key = JSON.stringify(figures(data));
    if (shown.get(id) === key) continue;
    shown.set(id, key);
    const box = byId(id);
    const children = render(data);
    box.hidden = children === null;
    keepingFocus(box, () => box.replaceChildren(...(children ?? []).filter(Boolean)));
  }
  document.title = `${level === "ok" ? "" : "⚠ "}Home · BidBeacon`;
  byId("home").setAttribute("aria-busy", "false");
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
    else showTrouble("The figures can't be renewed.", error, renew);
  }
}

function onState(next) {
  state = next;
  if (next.error && data === null) {
    byId("skeleton").hidden = true;
    showError("The figures could not be loaded", next.error, () => (stream.pending ? stream.hurry() : renew()));
  } else if (next.error) showTrouble("The figures can't be renewed.", next.error, () => stream.hurry());
  if (next.name === "live") {
    hideTrouble();
    byId("notice").hidden = true;
  }
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

const stream = new Stream({ query: {}, load, onUpdate: onChange, onGone: onChange, onState });
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
