// What happens, for those who listen instead of looking: politely, bundled, never more than one sentence in five seconds.

import { byId } from "./dom.js";

const QUIET_MS = 5_000;
const news = { sessions: 0, failed: 0 };
let waiting = /** @type {string[]} */ ([]);
let isQuiet = true;

/** Say a sentence, at once where nothing was said lately; of several that wait, equal ones are said once. */
export function announce(sentence) {
  if (!waiting.includes(sentence)) waiting.push(sentence);
  if (isQuiet) say();
}

/** Count something that goes on happening; what waits is summed up: "12 new sessions, 1 failed". */
export function announceNews({ sessions = 0, failed = 0 }) {
  news.sessions += sessions;
  news.failed += failed;
  if (isQuiet) say();
}

function say() {
  const { sessions, failed } = news;
  const counts = [sessions && `${sessions} new ${sessions === 1 ? "session" : "sessions"}`, failed && `${failed} failed`];
  const sentences = [...waiting, counts.filter(Boolean).join(", ")].filter(Boolean);
  isQuiet = sentences.length === 0;
  if (isQuiet) return;
  byId("announcer").textContent = sentences.join(". ");
  waiting = [];
  news.sessions = news.failed = 0;
  setTimeout(say, QUIET_MS);
}
