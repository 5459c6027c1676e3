// What happens, for those who listen instead of looking: politely, bundled, never more than one sentence in five seconds.

const QUIET_MS = 5_000;
const element = document.getElementById("announcer");
let waiting = [];
let timer = null;

/** Say a sentence, at once where nothing was said lately; of several that wait, equal ones are said once. */
export function announce(sentence) {
  if (waiting.includes(sentence)) return;
  waiting.push(sentence);
  if (timer === null) say();
}

/** Count something that goes on happening; what waits is summed up: "12 new sessions, 1 failed". */
export function announceNews({ sessions = 0, failed = 0 }) {
  news.sessions += sessions;
  news.failed += failed;
  if (timer === null && (sessions || failed)) say();
}

const news = { sessions: 0, failed: 0 };

function say() {
  const sentences = [...waiting, ...newsSentence()];
  waiting = [];
  timer = setTimeout(() => ((timer = null), (waiting.length > 0 || news.sessions || news.failed) && say()), QUIET_MS);
  if (sentences.length > 0) element.textContent = sentences.join(". ");
}

function newsSentence() {
  const { sessions, failed } = news;
  news.sessions = news.failed = 0;
  const parts = [sessions && `${sessions} new ${sessions === 1 ? "session" : "sessions"}`, failed && `${failed} failed`].filter(Boolean);
  return parts.length > 0 ? [parts.join(", ")] : [];
}
