// A session in the stream: head, actions, error, input. Updated in place, so that focus and selection stay.

import { el, outLink, sessionPath, withCommands } from "./dom.js";
import { markOf, statusIcon } from "./icons.js";
import { jsonText } from "./json.js";
import { accountTag } from "./parts.js";
import { ago, clock, duration, fullTime, sinceThen } from "./time.js";
import { Timeline } from "./timeline.js";

export class SessionCard {
  /** @param {import("./types").Entry} entry */
  constructor(entry, { loadAll, only }) {
    const { session } = entry;
    this.timeline = new Timeline({ folding: true, account: session.account, only, loadAll: () => loadAll(session.id) });
    this.mark = el("span", { class: "mark" });
    this.word = el("span", {});
    this.length = el("span", { class: "length" });
    this.error = el("p", { class: "error", hidden: true });
    this.when = el("div", { class: "when" });
    const job = el("a", { class: "job", href: sessionPath(session.id), title: "Open this session" }, el("bdi", {}, session.job_name));
    const input = el("pre", { class: "input", dir: "auto", hidden: true, tabindex: "0" });
    this.element = el(
      "article",
      { class: "session", "data-id": session.id, "data-started-at": session.started_at, "aria-label": `${session.job_name}, ${clock(session.started_at)}` },
      this.when,
      this.mark,
      el("div", { class: "head" }, job, tagsOf(session), this.word, el("span", { class: "links" }, this.length, inputToggle(session, input), runLink(session))),
      input,
      this.timeline.element,
      this.error,
    );
    this.showWhen(session);
    this.update(entry);
  }

  /** Show the session's present state. @param {import("./types").Entry} entry */
  update({ session, actions }) {
    if (wordsOf(session) !== this.shown) this.showStatus(session);
    this.timeline.show(actions, session.action_count);
    this.element.classList.toggle("bare", session.action_count === 0);
  }

  /** Show times in the zone that was chosen. */
  refresh({ session }) {
    this.showWhen(session);
    this.timeline.refresh();
  }

  showWhen({ started_at: at }) {
    this.when.replaceChildren(el("time", { class: "clock", datetime: at, title: fullTime(at) }, clock(at)), el("span", { class: "ago", "data-ago": at }, ago(at)));
  }

  /** @param {import("./types").Session} session */
  showStatus(session) {
    this.shown = wordsOf(session);
    const mark = markOf(session);
    this.element.dataset.mark = mark;
    this.mark.replaceChildren(statusIcon(mark));
    this.word.replaceChildren(mark === "succeeded" ? "" : statusWord(session));
    this.length.replaceChildren(lengthOf(session));
    this.error.hidden = !session.error;
    if (!session.error) return;
    const [what, more] = errorWords(session.error).map((words) => el("bdi", {}, withCommands(words)));
    this.error.replaceChildren(el("b", {}, what), " ", more);
  }
}

/** The server's explanation of the cause, and advice; without a cause, the class and message of the error. */
export const errorWords = ({ explained, type = "Error", message }) => (explained ? [explained.sentence, explained.advice ?? ""] : [type, message ?? ""]);

/** A session's status; for a recovered attempt, with a link to the later one that succeeded. @param {import("./types").Session} session */
export function statusWord(session) {
  const [state, attempt] = session.recovered_by ? session.status_text.split(", ") : [session.status_text];
  const later = attempt ? el("a", { href: sessionPath(session.recovered_by) }, attempt) : null;
  return el("span", { class: `word ${markOf(session)}` }, state, later && ", ", later);
}

export const wordsOf = (session) => session.status_text;

/** The duration, which counts up while the session runs. @param {import("./types").Session} session */
export function lengthOf(session) {
  if (session.duration !== null) return el("span", { title: "Duration" }, duration(session.duration));
  return el("span", { "data-since": session.started_at, title: "Running for" }, sinceThen(session.started_at));
}

/** A link to the run in Dagster, if there is one. */
export const runLink = ({ run_url: url, run_id: run }) => url && outLink("Run ↗", url, { class: "run-link", title: `Run ${run} in Dagster` });

/** The account, and "attempt 2" for a second try. */
export const tagsOf = ({ account, account_label: label, retry_number: number }) => [account && accountTag(account, label), number > 0 && el("span", { class: "tag attempt" }, `attempt ${number + 1}`)];

/** A button that shows the job's input, rendered at the first click. */
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
