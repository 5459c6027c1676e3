// A session's actions as a list: rows are made once, runs of the same action are one row, the middle is folded, gaps in time are shown.

import { el, keepingFocus, reconcile } from "./dom.js";
import { eachAlone, foldRuns } from "./folding.js";
import { toneIcon } from "./icons.js";
import { accountTags, renderParts } from "./parts.js";
import { clock, duration, fullTime } from "./time.js";

const SHOWN_UNFOLDED = 12;
const SHOWN_FIRST = 2;
const SHOWN_LAST = 7;
const GAP_SECONDS = 5;

/**
 * The list of one session's actions. `loadAll` is called when a user expands it and actions are not loaded. If `only` names other accounts
 * than the session's, their actions are shown and the others are folded.
 */
export class Timeline {
  /** @param {{folding: boolean, account: string | null, only?: string[], loadAll?: (() => Promise<void>) | null}} options */
  constructor({ folding, account, only = [], loadAll = null }) {
    this.element = el("ol", { class: "rail", tabindex: "-1" });
    this.isExpanded = !folding;
    this.showsGaps = !folding;
    this.account = account;
    /** @type {Set<string> | null} */
    this.only = only.length === 0 || (account !== null && only.includes(account)) ? null : new Set(only);
    this.loadAll = loadAll;
    this.opened = /** @type {Set<number>} */ (new Set());
    this.rows = /** @type {Map<string, HTMLElement>} */ (new Map());
    this.folds = /** @type {Map<number | string, HTMLElement>} */ (new Map());
    this.gaps = /** @type {Map<number, HTMLElement>} */ (new Map());
    this.all = /** @type {import("./types").Action[]} */ ([]);
    this.total = 0;
  }

  /** Show these actions (in order) of `total`; existing rows are not changed. @param {import("./types").Action[]} actions @param {number} total */
  show(actions, total) {
    this.all = actions;
    this.total = total;
    const { only } = this;
    const wanted = only === null ? actions : actions.filter(({ accounts }) => accounts.some(({ key }) => only.has(key)));
    const groups = this.groupsOf(wanted);
    const isShort = groups.length <= SHOWN_UNFOLDED && (wanted.length === total || (groups.length === wanted.length && total <= SHOWN_UNFOLDED));
    const visible = this.isExpanded || isShort ? groups : groups.filter((group, index) => this.opened.has(group[0].ord) || staysVisible(group, index, groups.length));
    const nodes = /** @type {HTMLElement[]} */ ([]);
    let next = 0;
    for (const group of visible) {
      const index = groups.indexOf(group, next);
      nodes.push(...this.between(groups.slice(next, index), groups[next - 1], group, wanted.length), this.row(group, groups[index - 1]));
      next = index + 1;
    }
    if (only !== null) nodes.push(...this.foldAfter(groups.at(-1)));
    keepingFocus(this.element, () => reconcile(this.element, nodes));
  }

  /** Group runs, except those that a user has opened. */
  groupsOf(actions) {
    const known = new Set(this.all.map(({ ord }) => ord));
    const isKnown = (ord) => known.has(ord) || this.all.length === this.total || ord === 0 || ord > this.total;
    return foldRuns(actions, isKnown).flatMap((run) => {
      if (!run.some(({ ord }) => this.opened.has(ord))) return [run];
      for (const { ord } of run) this.opened.add(ord); // also those that joined the run later
      return eachAlone(run);
    });
  }

  /** A fold of other accounts' actions below the last action of the filter's. */
  foldAfter(last) {
    const count = this.total - (last?.at(-1).ord ?? 0);
    return count > 0 ? [this.fold(count, "end")] : [];
  }

  /** Make every row again, in the zone that was chosen. */
  refresh() {
    for (const made of [this.rows, this.folds, this.gaps]) made.clear();
    this.show(this.all, this.total);
  }

  /** The nodes between two visible rows: a fold, or the time between them. */
  between(hidden, before, after, wanted) {
    const missing = this.missingBetween([before, ...hidden, after], wanted);
    const count = hidden.flat().length + missing;
    if (hidden.length > 1 || missing > 0) return [this.fold(count, after[0].ord)];
    if (hidden.length === 1) return [this.row(hidden[0], before)];
    return this.showsGaps ? this.gap(before?.at(-1), after[0]) : [];
  }

  /** The number of actions between these groups that are not loaded. */
  missingBetween(groups, wanted) {
    const jumps = groups.slice(1).map(([first], index) => first.ord - (groups[index]?.at(-1).ord ?? 0) - 1);
    return Math.min(jumps.reduce((sum, jump) => sum + jump, 0), this.total - wanted);
  }

  row(group, before) {
    const [first] = group;
    const key = `${first.ord}-${group.length}`;
    const made = this.rows.get(key) ?? (group.length > 1 ? this.runRow(group) : actionRow(first, this.account, this.showsGaps ? before?.at(-1) : null));
    this.rows.set(key, made);
    return made;
  }

  /** A row for a run: the first action's sentence, with a button that shows all one by one. */
  runRow(actions) {
    const [first] = actions;
    const open = el("button", { type: "button", class: "run", "aria-expanded": "false", title: "Show them one by one" }, `${actions.length} ×`);
    open.addEventListener("click", () => {
      this.opened.add(first.ord);
      this.show(this.all, this.total);
      /** @type {HTMLElement | null | undefined} */ (this.rows.get(`${first.ord}-1`)?.querySelector("a, button"))?.focus();
    });
    const accounts = actions.flatMap((action) => action.accounts);
    return row({ ...first, accounts }, this.account, open, `${fullTime(first.at)}\nuntil ${fullTime(actions.at(-1).at)}`);
  }

  fold(count, key) {
    const button = this.folds.get(key) ?? el("button", { type: "button", class: "more", on: { click: () => this.expand() } });
    this.folds.set(key, button);
    button.textContent = `… ${count.toLocaleString("en")} more ${count === 1 ? "action" : "actions"}`;
    return button.parentElement ?? el("li", { class: "folded", "data-key": "fold" }, button);
  }

  async expand() {
    this.isExpanded = true;
    this.only = null;
    if (this.all.length < this.total && this.loadAll) await this.loadAll();
    else this.show(this.all, this.total);
  }

  gap(before, after) {
    const seconds = secondsBetween(before, after);
    if (seconds < GAP_SECONDS) return [];
    const made = this.gaps.get(after.ord) ?? el("li", { class: "gap" }, el("span", {}, `${duration(seconds)} later`));
    this.gaps.set(after.ord, made);
    return [made];
  }
}

const staysVisible = ([first], index, count) => index < SHOWN_FIRST || index >= count - SHOWN_LAST || first.tone === "error";
const secondsBetween = (before, after) => (before ? (Date.parse(after.at) - Date.parse(before.at)) / 1000 : 0);

function actionRow(action, account, before) {
  const seconds = secondsBetween(before, action);
  const took = before && seconds < GAP_SECONDS ? el("span", { class: "took", title: "Since the action before" }, `+${duration(seconds)}`) : null;
  return row(action, account, took);
}

/** @param {string | null} title */
function row(action, account, addition, title = null) {
  return el(
    "li",
    { class: `action ${action.tone}`, "data-type": action.type, "data-key": action.ord, title: action.type },
    el("time", { class: "at", datetime: action.at, title: title ?? fullTime(action.at) }, clock(action.at)),
    toneIcon(action.tone),
    el("p", { class: "sentence", dir: "auto" }, whose(action, account), renderParts(action.parts), addition && " ", addition),
  );
}

/** The accounts of an action that neither its sentence nor its session shows. */
function whose({ accounts, parts }, account) {
  const named = new Set([account, ...parts.filter(({ kind }) => kind === "account").map(({ value }) => value)]);
  const others = [...new Map(accounts.map((one) => [one.key, one])).values()].filter(({ key }) => !named.has(key));
  return others.length > 0 && [...accountTags(others), " "];
}
