// One window: the server's explanation, buttons, and the sessions that refer to it.

import { actions, changeCadence, decisions, loadAgain, partitionLink, pauseOrResume, syncEntities } from "./act.js";
import { el, keepingFocus, sessionPath, withCommands } from "./dom.js";
import { statusIcon, toneIcon } from "./icons.js";
import { accountTag, renderParts } from "./parts.js";
import { causeOf } from "./notice.js";
import { fetchJson } from "./stream.js";
import { ago, clock, dayKey, fullTime, now } from "./time.js";
import { zone } from "./zone.js";

const SHOWN = 12;
const FINAL_ROWS_LOST = "final-rows-lost";

export class CellDetail {
  /** `labelOf` returns the label of an account's key. */
  constructor(root, { onClose, labelOf }) {
    this.root = root;
    this.onClose = onClose;
    this.labelOf = labelOf;
    this.chosen = /** @type {any} */ (null);
    this.acts = /** @type {any} */ (null);
    this.isUnfolded = false;
    root.addEventListener("keydown", (event) => event.key === "Escape" && onClose());
  }

  /** Show a window, or nothing. The former content stays until the answer has arrived. */
  async show(chosen) {
    const isAnother = JSON.stringify(chosen) !== JSON.stringify(this.chosen);
    this.chosen = chosen;
    if (isAnother) [this.isUnfolded, this.acts] = [false, null];
    this.root.hidden = chosen === null;
    if (chosen === null) return;
    if (isAnother) this.put(this.head(chosen), el("div", { class: "skeleton", "aria-hidden": "true" }, el("i"), el("i"), el("i")));
    try {
      const explanation = await fetchJson(`/api/explain?${new URLSearchParams(chosen)}`);
      if (this.chosen === chosen) this.put(this.head(chosen), ...this.body(explanation));
    } catch (error) {
      if (this.chosen === chosen && isAnother) this.put(this.head(chosen), el("p", { class: "problem" }, withCommands(causeOf(error))), el("button", { type: "button", class: "button", on: { click: () => this.show({ ...chosen }) } }, "Try again"));
    }
  }

  put(...nodes) {
    keepingFocus(this.root, () => this.root.replaceChildren(...nodes));
  }

  head({ account, dataset, window }) {
    const close = el("button", { type: "button", class: "round", "aria-label": "Close", title: "Close (Esc)", on: { click: this.onClose } }, "✕");
    return el("header", {}, el("h2", {}, window), close, el("p", {}, accountTag(account, this.labelOf(account)), " ", el("bdi", { class: "tag badge" }, dataset)));
  }

  /** Made once for a window, so that the buttons' messages stay when the map is renewed. */
  buttons({ account, dataset, window }, isPaused, cause, address) {
    if (this.acts?.isPaused !== isPaused || this.acts.cause !== cause) {
      const renew = () => this.show(this.chosen);
      const turned = (nowPaused) => {
        this.acts.isPaused = nowPaused;
        renew();
      };
      const decide = cause === FINAL_ROWS_LOST ? decisions(account, dataset, [window], renew) : [];
      const made = [...decide, loadAgain(account, dataset, [window]), syncEntities(account), pauseOrResume(account, isPaused, turned), changeCadence(account, renew)];
      this.acts = { isPaused, cause, element: actions([...made, ...(address ? [partitionLink(address)] : [])]) };
    }
    return this.acts.element;
  }

  body({ verdict, facts, timeline, left_out: leftOut, partition_url: address }) {
    const newest = [...timeline].reverse();
    const next = Date.parse(verdict.next_at) > now() && `${dayKey(verdict.next_at)} ${clock(verdict.next_at)} ${zone()}`;
    return [
      el(
        "div",
        { class: `verdict ${verdict.severity}` },
        el("b", {}, verdict.state),
        el("p", {}, el("bdi", {}, withCommands(verdict.sentence))),
        verdict.advice && el("p", {}, el("bdi", {}, withCommands(verdict.advice))),
        verdict.session && el("p", {}, el("a", { href: sessionPath(verdict.session.id) }, "Show the session")),
      ),
      leftOut.length > 0 && el("p", { class: "left-out" }, "Amazon leaves out campaigns without ad groups: ", el("bdi", {}, leftOut.join(", "))),
      next && el("p", { class: "quiet" }, "Next: ", el("time", { datetime: verdict.next_at, title: fullTime(verdict.next_at) }, next)),
      facts.account && this.buttons(this.chosen, facts.account.can_resume, verdict.cause, address),
      el("h3", {}, newest.length > 0 ? "Sessions that refer to it, newest first" : "No session refers to it yet"),
      ...this.stories(newest),
    ].filter(Boolean);
  }

  /** One story per session with all its references to the window. */
  stories(newest) {
    const stories = [...Map.groupBy(newest, ({ session_id: id }) => id).values()].map(story);
    const list = (some) => el("ol", { class: "stories" }, some);
    const rest = stories.slice(SHOWN);
    const toggle = ({ target }) => (this.isUnfolded = target.open);
    const earlier = el("details", { open: this.isUnfolded, on: { toggle } }, el("summary", {}, `${rest.length} earlier`), list(rest));
    return rest.length > 0 ? [list(stories.slice(0, SHOWN)), earlier] : [list(stories)];
  }
}

/** A session with its references below it, newest first. */
function story(actions) {
  const [{ session_id: id, session_mark: mark, job_name: job }] = actions;
  return el(
    "li",
    { class: "story" },
    el("p", {}, el("a", { href: sessionPath(id) }, statusIcon(mark), " ", el("bdi", {}, job))),
    ...actions.map(reference),
  );
}

function reference({ tone, parts, at }) {
  const time = el("time", { datetime: at, title: fullTime(at) }, `${dayKey(at)} ${clock(at)}`);
  const sentence = el("span", { class: "sentence", dir: "auto" }, renderParts(parts));
  return el("p", { class: `reference ${tone}` }, toneIcon(tone), " ", sentence, " ", time, " ", el("span", { "data-ago": at }, ago(at)));
}
