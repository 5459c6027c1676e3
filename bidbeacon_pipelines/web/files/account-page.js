// One account: who it is, how fresh its data is, what it earned, its schedule and what was done; renewed when something happens.

import { figuresSection } from "./account-figures.js";
import { isResumable } from "./act.js";
import { actsSection, entitiesSection, freshness, headSection, scheduleSection, sessionsSection } from "./account-sections.js";
import { el, keepingFocus, reconcile } from "./dom.js";
import { PAUSE } from "./help.js";
import { bindKeys } from "./keys.js";
import { LiveData } from "./live-data.js";
import { hideNotice } from "./notice.js";
import { fetchJson } from "./stream.js";
import { brief } from "./surroundings.js";
import { keepCounting, setServerTime } from "./time.js";
import { bindZoneChoice, onZoneChange } from "./zone.js";

const RENEW_MS = 3_000;
const MOST_SESSIONS = 8;

const byId = (id) => document.getElementById(id);
const root = byId("content");
const key = decodeURIComponent(location.pathname.split("/").at(-1));
const panel = (id) => el("section", { id, class: "panel", "aria-labelledby": `${id}-title` });
const boxes = { head: el("header", { class: "account-head" }), figures: panel("figures"), datasets: panel("datasets"), sessions: panel("sessions"), schedule: panel("schedule"), entities: panel("entities") };
const column = el("div", { class: "column" }, boxes.schedule, boxes.entities);
const shown = new Map();
const live = new LiveData({ read, draw, renewMs: RENEW_MS, noun: "account" });
let acts = null;

async function read() {
  const [account, list] = await Promise.all([fetchJson(`/api/account?${new URLSearchParams({ account: key })}`), fetchJson(`/api/job-sessions?${new URLSearchParams({ account: key, limit: MOST_SESSIONS })}`)]);
  setServerTime(account.at);
  return { account, sessions: list.sessions };
}

function draw({ account, sessions }) {
  hideNotice();
  document.title = `${account.label} · BidBeacon`;
  const waits = isResumable(account);
  if (acts?.waits !== waits) acts = { waits, element: actsSection(account, afterAction) };
  const { at, ...figures } = account;
  const made = { head: headSection, figures: figuresSection, datasets: freshness, schedule: scheduleSection, entities: entitiesSection };
  for (const [id, section] of Object.entries(made)) put(id, figures, () => section(account));
  put("sessions", sessions.map(({ id, status, outcome }) => [id, status, outcome]), () => sessionsSection(sessions, key, brief));
  reconcile(root, [boxes.head, acts.element, boxes.figures, boxes.datasets, boxes.sessions, column]);
  root.setAttribute("aria-busy", "false");
}

/** The buttons show already what they did; everything else is renewed. */
function afterAction(isPaused) {
  if (isPaused !== undefined) acts.waits = isPaused;
  live.renew();
}

/** Make a section anew where what it shows has changed. */
function put(id, figures, make) {
  const now = JSON.stringify(figures);
  if (shown.get(id) === now) return;
  shown.set(id, now);
  keepingFocus(boxes[id], () => boxes[id].replaceChildren(...make().flat().filter(Boolean)));
}

bindKeys({ keys: [["/", "go to the search"], PAUSE] }, { "/": () => byId("query").focus(), p: () => live.togglePause() });
bindZoneChoice(byId("zone"));
onZoneChange(() => {
  shown.clear();
  live.redraw();
});
keepCounting();
live.open({ account: key });
