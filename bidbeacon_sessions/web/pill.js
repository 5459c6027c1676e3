// The pill shows whether the page is live or paused, or the time of its data.

import { announce } from "./announcer.js";
import { byId } from "./dom.js";
import { clock, fullTime } from "./time.js";

const [pill, label] = ["pill", "pill-text"].map(byId);
const { title } = pill;

/**
 * Show a state of the stream; or that the range ended at the instant `until`; or that the page is held, with the number of waiting rows.
 * @param {import("./types").State} state
 * @param {{isHeld?: boolean, waiting?: number, until?: number | null}} more
 */
export function showPill({ name, asOf }, { isHeld = false, waiting = 0, until = null } = {}) {
  const isLive = name === "live";
  const isBroken = name === "reconnecting" || name === "failed";
  const state = isLive && until !== null ? "past" : isLive && isHeld ? "paused" : isBroken && !navigator.onLine ? "offline" : name;
  const text = textOf(state, asOf, waiting);
  pill.title = state === "past" ? `Nothing new begins in a range that ended on ${fullTime(new Date(until ?? 0).toISOString())}` : title;
  if (pill.dataset.state !== state && state !== "connecting") announce(text);
  pill.dataset.state = state;
  if (label.textContent !== text) label.textContent = text;
}

function textOf(state, asOf, waiting) {
  const when = asOf === null ? "" : ` · data as of ${clock(asOf)}`;
  return {
    live: "Live",
    past: "Not live: past",
    paused: waiting > 0 ? `Paused · ${waiting} new` : "Paused",
    away: `Waiting for the database${when}`,
    offline: `Offline${when}`,
    failed: "Not connected",
    unknown: "Nothing to follow",
    connecting: "Connecting",
    reconnecting: `Reconnecting${when}`,
  }[state];
}
