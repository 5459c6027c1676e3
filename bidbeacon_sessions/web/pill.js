// The pill says how fresh the page is: live, paused, or as of when.

import { announce } from "./announcer.js";
import { clock, fullTime, zoneBehind } from "./time.js";

const pill = document.getElementById("pill");
const label = document.getElementById("pill-text");
const { title } = pill;

/** Show a state of the stream; or that the range ended at `until`, an instant; or that the page is held, with how many rows wait. */
export function showPill({ name, asOf }, { isHeld = false, waiting = 0, until = null } = {}) {
  const isBroken = name === "reconnecting" || name === "failed";
  const isLive = name === "live";
  const state = isLive && until !== null ? "past" : isLive && isHeld ? "paused" : isBroken && !navigator.onLine ? "offline" : name;
  const text = textOf(state, asOf, waiting);
  pill.title = state === "past" ? `Nothing new begins in a range that ended on ${fullTime(new Date(until).toISOString())}` : title;
  if (pill.dataset.state !== state && state !== "connecting") announce(text);
  pill.dataset.state = state;
  if (label.textContent !== text) label.textContent = text;
}

function textOf(state, asOf, waiting) {
  const when = asOf === null ? "" : ` · data as of ${clock(asOf)}${zoneBehind(asOf)}`;
  switch (state) {
    case "live":
      return "Live";
    case "past":
      return "Not live: past";
    case "paused":
      return waiting > 0 ? `Paused · ${waiting} new` : "Paused";
    case "away":
      return `Waiting for the database${when}`;
    case "offline":
      return `Offline${when}`;
    case "failed":
      return "Not connected";
    case "unknown":
      return "Nothing to follow";
    case "connecting":
      return "Connecting";
    default:
      return `Reconnecting${when}`;
  }
}
