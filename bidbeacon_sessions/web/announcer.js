// Announcements for screen readers: polite, bundled, at most one every five seconds.

import { byId } from "./dom.js";

const QUIET_MS = 5_000;
const news = { sessions: 0, failed: 0 };
let waiting = /** @type {string[]} */ ([]);
let isQuiet = true;

/** Announce a sentence, immediately if none was announced lately; equal waiting ones are announced once. */
export function announce(sentence) {
  if (!waiting.includes(sentence)) waiting.push(sentence);
  if (isQuiet) publish();
}

/** Count new sessions and failures, which are announced as sums: "12 new sessions, 1 failed". */
export function announceNews({ sessions = 0, failed = 0 }) {
  news.sessions += sessions;
  news.failed += failed;
  if (isQuiet) publish();
}

function publish() {
  const { sessions, failed } = news;
  const counts = [sessions && `${sessions} new ${sessions === 1 ? "session" : "sessions"}`, failed && `${failed} failed`];
  const sentences = [...waiting, counts.filter(Boolean).join(", ")].filter(Boolean);
  isQuiet = sentences.length === 0;
  if (isQuiet) return;
  byId("announcer").textContent = sentences.join(". ");
  waiting = [];
  news.sessions = news.failed = 0;
  setTimeout(publish, QUIET_MS);
}
