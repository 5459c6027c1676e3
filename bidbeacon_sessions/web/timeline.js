// A session's actions on a rail: rows that are made once, runs of the same action as one, folding in the middle, gaps in time.

import { el, keepingFocus, reconcile } from "./dom.js";
import { eachAlone, foldRuns } from "./folding.js";
import { toneIcon } from "./icons.js";
import { accountTags, renderParts } from "./parts.js";
import { clock, duration, fullTime } from "./time.js";
import { zoneOf } from "./zone.js";

const SHOWN_UNFOLDED = 12;
const SHOWN_FIRST = 2;
const SHOWN_LAST = 7;
const GAP_SECONDS = 5;

/**
 * The list of one session's actions. Runs of the same action are told as one where it `merges`. `askForAll` is called when the reader wants those that are not loaded. Where `only` names other
 * accounts than the session's, their actions are shown and the others are folded.
 */
export class Timeline {
  constructor({ folding, account, only = [], merges = true, askForAll = null }) {
    this.element = el("ol", { class: "rail", tabindex: "-1" });
    this.isExpanded = !folding;
    this.showsGaps = !folding;
    this.account = account;
    this.only = only.length === 0 || only.includes(account) ? null : new Set(only);
    this.groupsOf = merges ? foldRuns : eachAlone;
    this.askForAll = askForAll;
    this.opened = new Set();
    this.rows = new Map();
    this.folds = new Map();
    this.gaps = new Map();
  }

  /** Show these actions (in order) of `total`; rows that are there already stay as they are. */
  show(actions, total) {
    this.all = actions;
    this.actions = this.only === null ? actions : actions.filter(({ accounts }) => accounts.some(({ key }) => this.only.has(key)));
    this.total = total;
    const runs = this.groupsOf(this.actions);
    const opened = new Set(runs.filter(([first]) => this.opened.has(first.ord)).flat());
    const groups = runs.flatMap((run) => (opened.has(run[0]) ? eachAlone(run) : [run]));
    const isShort = groups.length <= SHOWN_UNFOLDED && (this.actions.length === total || groups.length === this.actions.length && total <= SHOWN_UNFOLDED);
    const visible = this.isExpanded || isShort ? groups : groups.filter((group, index) => opened.has(group[0]) || staysVisible(group, index, groups.length));
    const nodes = [];
    let next = 0;
    for (const group of visible) {
      const index = groups.indexOf(group, next);
      nodes.push(...this.between(groups.slice(next, index), groups[next - 1], group), this.row(group, groups[index - 1]));
      next = index + 1;
    }
    if (this.only !== null) nodes.push(...this.foldAfter(groups.at(-1)));
    keepingFocus(this.element, () => reconcile(this.element, nodes));
  }

  /** What stands below the last action of the account asked for: a fold of those of others. */
  foldAfter(last) {
    const count = this.total - (last?.at(-1).ord ?? 0);
    return count > 0 ? [this.fold(count, { ord: "end" })] : [];
  }

  /** Make every row anew: the zone of times, or what can be folded, has changed. */
  refresh() {
    for (const made of [this.rows, this.folds, this.gaps]) made.clear();
    if (this.all) this.show(this.all, this.total);
  }

  /** What stands between two visible rows: a fold, or the time that passed. */
  between(hidden, before, after) {
    const missing = this.missingBetween([before, ...hidden, after]);
    const count = hidden.flat().length + missing;
    if (hidden.length > 1 || missing > 0) return [this.fold(count, after[0])];
    if (hidden.length === 1) return [this.row(hidden[0], before)];
    return this.showsGaps ? this.gap(before?.at(-1), after[0]) : [];
  }

  /** How many actions were not loaded between these, where the numbers jump. */
  missingBetween(groups) {
    const jumps = groups.slice(1).map(([first], index) => first.ord - (groups[index]?.at(-1).ord ?? 0) - 1);
    return Math.min(jumps.reduce((sum, jump) => sum + jump, 0), this.total - this.actions.length);
  }

  row(group, before) {
    const [first] = group;
    const key = `${first.ord}-${group.length}`;
    if (!this.rows.has(key)) this.rows.set(key, group.length > 1 ? this.runRow(group) : actionRow(first, this.account, this.showsGaps ? before?.at(-1) : null));
    return this.rows.get(key);
  }

  /** Several actions of one kind as the first one's sentence, with a button that shows them one by one. */
  runRow(actions) {
    const [first] = actions;
    const open = el("button", { type: "button", class: "run", "aria-expanded": "false", title: "Show them one by one" }, `${actions.length} ×`);
    open.addEventListener("click", () => {
      this.opened.add(first.ord);
      this.show(this.all, this.total);
      this.rows.get(`${first.ord}-1`)?.querySelector("a, button")?.focus();
    });
    return row({ ...first, accounts: actions.flatMap(({ accounts }) => accounts) }, this.account, open, `${fullTime(first.at, zoneOf(this.account))}\nuntil ${fullTime(actions.at(-1).at, zoneOf(this.account))}`);
  }

  fold(count, after) {
    const button = this.folds.get(after.ord) ?? el("button", { type: "button", class: "more" });
    button.textContent = `… ${count.toLocaleString("en")} more ${count === 1 ? "action" : "actions"}`;
    if (!this.folds.has(after.ord)) {
      button.addEventListener("click", () => this.expand());
      this.folds.set(after.ord, button);
    }
    return button.parentElement ?? el("li", { class: "folded", "data-key": "fold" }, button);
  }

  async expand() {
    this.isExpanded = true;
    this.only = null;
    if (this.all.length < this.total && this.askForAll) await this.askForAll();
    else this.show(this.all, this.total);
  }

  gap(before, after) {
    const seconds = secondsBetween(before, after);
    if (seconds < GAP_SECONDS) return [];
    if (!this.gaps.has(after.ord)) this.gaps.set(after.ord, el("li", { class: "gap" }, el("span", {}, `${duration(seconds)} later`)));
    return [this.gaps.get(after.ord)];
  }
}

const staysVisible = ([first], index, count) => index < SHOWN_FIRST || index >= count - SHOWN_LAST || first.tone === "error";
const secondsBetween = (before, after) => (before ? (Date.parse(after.at) - Date.parse(before.at)) / 1000 : 0);

function actionRow(action, account, before) {
  const seconds = secondsBetween(before, action);
  const took = before && seconds < GAP_SECONDS ? el("span", { class: "took", title: "Since the action before" }, `+${duration(seconds)}`) : null;
  return row(action, account, took);
}

function row(action, account, addition, title = null) {
  const zone = zoneOf(account);
  return el(
    "li",
    { class: `action ${action.tone}`, "data-type": action.type, "data-key": action.ord, title: action.type },
    el("time", { class: "at", datetime: action.at, title: title ?? fullTime(action.at, zone) }, clock(action.at, zone)),
    toneIcon(action.tone),
    el("p", { class: "sentence", dir: "auto" }, whose(action, account), renderParts(action.parts, account), addition && " ", addition),
  );
}

/** The accounts that an action is about, as far as neither its sentence names them nor the session is about them. */
function whose({ accounts, parts }, account) {
  const named = new Set([account, ...parts.filter(({ kind }) => kind === "account").map(({ value }) => value)]);
  const others = [...new Map(accounts.map((one) => [one.key, one])).values()].filter(({ key }) => !named.has(key));
  return others.length > 0 && [...accountTags(others), " "];
}
