// One account: identity, freshness, figures, schedule and sessions; renewed on changes.

import { figuresSection } from "./account-figures.js";
import { actsSection, entitiesSection, headSection, scheduleSection, sessionsSection } from "./account-sections.js";
import { bindBar } from "./bar.js";
import { byId, keepingFocus } from "./dom.js";
import { datasetList, fillSection } from "./home-sections.js";
import { LiveData } from "./live-data.js";
import { hideNotice } from "./notice.js";
import { fetchJson } from "./stream.js";
import { brief } from "./surroundings.js";
import { setServerTime } from "./time.js";

const RENEW_MS = 3_000;
const MOST_SESSIONS = 8;
const SECTIONS = { head: headSection, figures: figuresSection, datasets: (data) => [...datasetList(data, { accounts: data.key }), fillSection(data, { account: data.key })], schedule: scheduleSection, entities: entitiesSection };

const key = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");
const shown = new Map();
const live = new LiveData({ read, draw, renewMs: RENEW_MS, noun: "account" });
let isStopped = /** @type {boolean | null} */ (null);

async function read() {
  const [account, list] = await Promise.all([fetchJson(`/api/account?${new URLSearchParams({ account: key })}`), fetchJson(`/api/job-sessions?${new URLSearchParams({ account: key, limit: String(MOST_SESSIONS) })}`)]);
  setServerTime(account.at);
  return { account, sessions: list.sessions };
}

function draw({ account, sessions }) {
  hideNotice();
  document.title = `${account.label} · BidBeacon`;
  if (isStopped !== account.can_resume) byId("acts").replaceChildren(actsSection(account, afterAction));
  isStopped = account.can_resume;
  const { at, ...figures } = account;
  for (const [id, section] of Object.entries(SECTIONS)) put(id, figures, () => section(account));
  put("sessions", sessions.map(({ id, status, outcome }) => [id, status, outcome]), () => sessionsSection(sessions, key, brief));
  byId("content").classList.toggle("is-filling", account.fill !== null);
  byId("content").setAttribute("aria-busy", "false");
}

/** The buttons show their results themselves; everything else is renewed. */
function afterAction(isPaused) {
  isStopped = isPaused ?? isStopped;
  live.renew();
}

/** Render a section again if its figures have changed. */
function put(id, figures, make) {
  const now = JSON.stringify(figures);
  if (shown.get(id) === now) return;
  shown.set(id, now);
  keepingFocus(byId(id), () => byId(id).replaceChildren(...make().flat().filter(Boolean)));
}

bindBar({ "/": () => byId("query").focus(), p: () => live.togglePause() }, () => {
  shown.clear();
  live.redraw();
});
live.open({ account: key });
