// A session's actions on a rail: rows that are made once, folding in the middle, gaps in time.

import { el, reconcile } from "./dom.js";
import { toneIcon } from "./icons.js";
import { renderParts } from "./parts.js";
import { clock, duration, fullTime } from "./time.js";

const SHOWN_UNFOLDED = 12;
const SHOWN_FIRST = 2;
const SHOWN_LAST = 7;
const GAP_SECONDS = 5;

/** The list of one session's actions. `askForAll` is called when the reader wants those that are not loaded. */
export class Timeline {
  constructor({ folding, askForAll = null }) {
    this.element = el("ol", { class: "rail" });
    this.isExpanded = !folding;
    this.showsGaps = !folding;
    this.askForAll = askForAll;
    this.rows = new Map();
    this.folds = new Map();
    this.gaps = new Map();
  }

  /** Show these actions (in order) of `total`; rows that are there already stay as they are. */
  show(actions, total) {
    this.actions = actions;
    this.total = total;
    const visible = this.isExpanded || total <= SHOWN_UNFOLDED ? actions : actions.filter((action, index) => this.staysVisible(action, index));
    const nodes = [];
    let next = 0;
    for (const action of visible) {
      const index = actions.indexOf(action, next);
      nodes.push(...this.between(actions.slice(next, index), actions[next - 1], action), this.row(action));
      next = index + 1;
    }
    reconcile(this.element, nodes);
  }

  staysVisible(action, index) {
    return index < SHOWN_FIRST || index >= this.actions.length - SHOWN_LAST || action.tone === "error";
  }

  /** What stands between two visible rows: a fold, or the time that passed. */
  between(hidden, before, after) {
    const missing = this.missingBetween([before, ...hidden, after]);
    const count = hidden.length + missing;
    if (count > 1 || missing > 0) return [this.fold(count, after)];
    if (count === 1) return [this.row(hidden[0])];
    return this.showsGaps ? this.gap(before, after) : [];
  }

  /** How many actions were not loaded between these, where the numbers jump. */
  missingBetween(row) {
    const jumps = row.slice(1).map((action, index) => action.ord - (row[index]?.ord ?? 0) - 1);
    return Math.min(jumps.reduce((sum, jump) => sum + jump, 0), this.total - this.actions.length);
  }

  row(action) {
    if (!this.rows.has(action.ord)) this.rows.set(action.ord, actionRow(action));
    return this.rows.get(action.ord);
  }

  fold(count, after) {
    const button = this.folds.get(after.ord) ?? el("button", { type: "button", class: "more" });
    button.textContent = `… ${count} more ${count === 1 ? "action" : "actions"}`;
    if (!this.folds.has(after.ord)) {
      button.addEventListener("click", () => this.expand());
      this.folds.set(after.ord, button);
    }
    return button.parentElement ?? el("li", { class: "folded" }, button);
  }

  async expand() {
    this.isExpanded = true;
    if (this.actions.length < this.total && this.askForAll) await this.askForAll();
    else this.show(this.actions, this.total);
  }

  gap(before, after) {
    const seconds = before ? (Date.parse(after.at) - Date.parse(before.at)) / 1000 : 0;
    if (seconds < GAP_SECONDS) return [];
    if (!this.gaps.has(after.ord)) this.gaps.set(after.ord, el("li", { class: "gap" }, el("span", {}, duration(seconds))));
    return [this.gaps.get(after.ord)];
  }
}

function actionRow(action) {
  return el(
    "li",
    { class: `action ${action.tone}`, "data-type": action.type, title: action.type },
    el("time", { class: "at", datetime: action.at, title: fullTime(action.at) }, clock(action.at)),
    toneIcon(action.tone),
    el("p", { class: "sentence", dir: "auto" }, renderParts(action.parts)),
  );
}
