// The pill says how fresh the page is: live, paused, or as of when.

import { clock } from "./time.js";

const pill = document.getElementById("pill");
const label = document.getElementById("pill-text");
const announcer = document.getElementById("announcer");

/** Show a state of the stream, or that the page is held, with how many rows wait. */
export function showPill({ name, asOf }, { isHeld = false, waiting = 0 } = {}) {
  const state = name === "live" && isHeld ? "paused" : name;
  const text = textOf(state, asOf, waiting);
  if (pill.dataset.state !== state) announcer.textContent = text;
  pill.dataset.state = state;
  if (label.textContent !== text) label.textContent = text;
}

function textOf(state, asOf, waiting) {
  const when = asOf === null ? "" : ` · data as of ${clock(asOf)}`;
  switch (state) {
    case "live":
      return "Live";
    case "paused":
      return waiting > 0 ? `Paused · ${waiting} new` : "Paused";
    case "away":
      return `Waiting for the database${when}`;
    case "failed":
      return "Not connected";
    case "connecting":
      return "Connecting";
    default:
      return `Reconnecting${when}`;
  }
}
