// One session in the stream: head, actions on a rail, error, input. Updated in place, so that focus and selection stay.

import { el, outLink, sessionPath, withCommands } from "./dom.js";
import { markOf, statusIcon, wordOf } from "./icons.js";
import { jsonText } from "./json.js";
import { accountTag } from "./parts.js";
import { ago, clock, duration, fullTime, now, zoneLetters } from "./time.js";
import { Timeline } from "./timeline.js";
import { zoneChoice, zoneOf } from "./zone.js";

export class SessionCard {
  constructor(entry, { askForAll, only, merges }) {
    const { session } = entry;
    this.timeline = new Timeline({ folding: true, account: session.account, only, merges, askForAll: () => askForAll(session.id) });
    this.mark = el("span", { class: "mark" });
    this.word = el("span", {});
    this.length = el("span", { class: "length" });
    this.error = el("p", { class: "error", hidden: true });
    this.when = el("div", { class: "when" });
    const input = el("pre", { class: "input", dir: "auto", hidden: true, tabindex: "0" });
    this.element = el(
      "article",
      { class: "session", "data-id": session.id, "data-started-at": session.started_at, "aria-label": `${session.job_name}, ${clock(session.started_at, zoneOf(session.account))}` },
      this.when,
      this.mark,
      el("div", { class: "head" }, headParts(session), this.word, el("span", { class: "links" }, this.length, inputToggle(session, input), runLink(session))),
      input,
      this.timeline.element,
      this.error,
    );
    this.showWhen(session);
    this.update(entry);
  }

  update({ session, actions }) {
    if (wordsOf(session) !== this.shown) this.showStatus(session);
    this.timeline.show(actions, session.action_count);
    this.element.classList.toggle("bare", session.action_count === 0);
  }

  /** Show times in the zone that was chosen, and fold what can be folded now. */
  refresh({ session }) {
    this.showWhen(session);
    this.timeline.refresh();
  }

  showWhen(session) {
    const zone = zoneOf(session.account);
    this.when.replaceChildren(
      el("time", { class: "clock", datetime: session.started_at, title: fullTime(session.started_at, zone) }, clock(session.started_at, zone)),
      zoneChoice() === "account" ? el("span", { class: "letters", title: zone }, ` ${zoneLetters(session.started_at, zone)}`) : "",
      el("span", { class: "ago", "data-ago": session.started_at }, ago(session.started_at)),
    );
  }

  showStatus(session) {
    this.shown = wordsOf(session);
    const mark = (this.element.dataset.mark = markOf(session));
    this.mark.replaceChildren(statusIcon(mark));
    this.word.replaceChildren(mark === "succeeded" ? "" : statusWord(session));
    this.length.replaceChildren(lengthOf(session));
    this.error.hidden = !session.error;
    if (session.error) this.error.replaceChildren(...errorWords(session.error));
  }
}

/** What went wrong and what helps, as the server explains the cause; without one, the class and message of the error. */
function errorWords({ explained, type, message }) {
  const [what, more] = explained ? [explained.sentence, explained.advice] : [type ?? "Error", message];
  return [el("b", {}, el("bdi", {}, withCommands(what))), " ", el("bdi", {}, withCommands(more ?? ""))];
}

/** What became of a session; of a failed attempt, with a link to the later one that did its work, also where its own actions are errors. */
export function statusWord(session) {
  const mark = markOf(session);
  const isRetried = mark === "retried";
  const later = session.recovered_by && el("a", { href: sessionPath(session.recovered_by) }, isRetried ? "recovered by a later attempt" : "a later attempt succeeded");
  const attempt = later || (isRetried && "retried");
  return el("span", { class: `word ${mark}` }, isRetried ? session.status : wordOf(mark), attempt && ", ", attempt);
}

export const wordsOf = (session) => statusWord(session).textContent;

/** How long it took, or counting while it runs. */
export function lengthOf(session) {
  if (session.duration !== null) return el("span", { title: "Duration" }, duration(session.duration));
  return el("span", { "data-since": session.started_at, title: "Running for" }, duration(Math.floor((now() - Date.parse(session.started_at)) / 1000)));
}

/** A link to the run in Dagster, where there is one. */
export function runLink(session) {
  return session.run_url && outLink("Run ↗", session.run_url, { class: "run-link", title: `Run ${session.run_id} in Dagster` });
}

/** "attempt 2", for a second try. */
export function attemptBadge(session) {
  return session.retry_number > 0 && el("span", { class: "tag attempt" }, `attempt ${session.retry_number + 1}`);
}

function headParts(session) {
  return [
    el("a", { class: "job", href: sessionPath(session.id), title: "Open this session" }, el("bdi", {}, session.job_name)),
    session.account && accountTag(session.account, session.account_label),
    attemptBadge(session),
  ];
}

/** A button that shows what the job was given, made when it is first asked for. */
function inputToggle(session, body) {
  if (Object.keys(session.input ?? {}).length === 0) return null;
  const button = el("button", { type: "button", class: "as-link", "aria-expanded": "false" }, "Input");
  button.addEventListener("click", () => {
    body.textContent ||= jsonText(session.input);
    body.hidden = !body.hidden;
    button.setAttribute("aria-expanded", String(!body.hidden));
  });
  return button;
}
