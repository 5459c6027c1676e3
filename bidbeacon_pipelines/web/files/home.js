// Home: the verdict and its reasons; renewed when sessions change, at most every few seconds.

import { announce } from "./announcer.js";
import { bindBar } from "./bar.js";
import { byId, keepingFocus } from "./dom.js";
import { SECTIONS, verdictOf } from "./home-sections.js";
import { LiveData } from "./live-data.js";
import { hideNotice } from "./notice.js";
import { fetchJson } from "./stream.js";
import { setServerTime } from "./time.js";
import { drawTrends, renewTrends } from "./trends.js";

const RENEW_MS = 4_000;

const shown = new Map();
const live = new LiveData({ read, draw, renewMs: RENEW_MS, noun: "figures" });

async function read() {
  const [home, metrics] = await Promise.all([fetchJson("/api/home"), fetchJson("/api/job-metrics")]);
  setServerTime(home.at);
  return { ...home, jobs: metrics.jobs.filter(({ count }) => count > 0) };
}

/** Render the sections whose figures have changed. */
function draw(data) {
  hideNotice();
  const { level, title } = verdictOf(data);
  if (shown.has("verdict") && byId("verdict").dataset.level !== level) announce(title);
  byId("verdict").dataset.level = level;
  byId("home").classList.toggle("is-filling", data.fill !== null);
  for (const [id, { figures, render }] of Object.entries(SECTIONS)) {
    const key = JSON.stringify(figures(data));
    if (shown.get(id) === key) continue;
    shown.set(id, key);
    const box = byId(id);
    const children = render(data);
    box.hidden = children === null;
    keepingFocus(box, () => box.replaceChildren(...(children ?? []).filter(Boolean)));
  }
  document.title = `${["ok", "empty", "filling"].includes(level) ? "" : "⚠ "}Home · BidBeacon`;
  if (byId("home").getAttribute("aria-busy") === "true" && location.hash) byId(location.hash.slice(1))?.scrollIntoView(); // it was hidden until now
  byId("home").setAttribute("aria-busy", "false");
  if (!live.isPaused) renewTrends();
}

bindBar({ "/": () => byId("query").focus(), p: () => live.togglePause() }, () => {
  shown.clear();
  live.redraw();
  drawTrends();
});
document.addEventListener("findings-changed", () => live.renew());
live.open();
