// Completion of the filter field, a combobox: suggestions below, chosen by arrows, taken by Enter or Tab.

import { el } from "./dom.js";
import { KEYS, quoted } from "./filters.js";
import { accountLabel, loadAccounts } from "./product.js";
import { fetchJson } from "./stream.js";
import { dayKey, now } from "./time.js";

const MOST = 9;
const FRESH_MS = 60_000;
const TIMES = ["1h", "6h", "24h", "7d", "30d", "today", "yesterday"];
const HINTS = { job: "a job’s name", account: "an account", status: "how it ended", outcome: "what it achieved", type: "an action’s type", dataset: "a dataset", window: "a day", run: "a run’s id", since: "from when on", before: "up to when" };

export class Completion {
  constructor(input, list) {
    this.input = input;
    this.list = list;
    this.options = /** @type {{insert: string, label: string, hint: string}[]} */ ([]);
    this.active = -1;
    this.values = /** @type {Record<string, string[]>} */ ({});
    this.isDismissed = false;
    this.loadedAt = -FRESH_MS;
    input.addEventListener("focus", () => this.load());
    input.addEventListener("input", () => this.suggest());
    input.addEventListener("click", () => this.suggest());
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.onKey(event));
    list.addEventListener("pointerdown", (event) => this.onPointer(event));
  }

  /** Load the values that sessions have; if that fails, only keys are suggested. */
  async load() {
    if (performance.now() - this.loadedAt < FRESH_MS) return this.suggest();
    this.loadedAt = performance.now();
    this.isDismissed = false;
    [this.values] = await Promise.all([fetchJson("/api/job-sessions/values").catch(() => this.values), loadAccounts()]);
    if (this.isDismissed) return;
    const chosen = this.options[this.active]?.insert;
    this.suggest();
    this.show(this.options.findIndex(({ insert }) => insert === chosen));
  }

  /** Suggest keys or values for the word, with none chosen yet. */
  suggest() {
    this.isDismissed = false;
    const word = this.word();
    const colon = word.indexOf(":");
    const key = colon < 0 ? null : word.slice(0, colon);
    this.options = key === null ? keysFor(word) : this.valuesFor(key, word.slice(colon + 1).replace(/^"/, "").toLowerCase());
    this.show(-1);
  }

  /** The word at the caret, up to the caret. */
  word() {
    const before = this.input.value.slice(0, this.input.selectionStart ?? this.input.value.length);
    return /(?:[a-z]+:"[^"]*|\S*)$/.exec(before)?.[0] ?? "";
  }

  valuesFor(key, begun) {
    const known = { ...this.values, window: lastDays(), since: TIMES, before: TIMES }[key] ?? [];
    const shown = (value) => (key === "account" && accountLabel(value)) || value;
    const found = known.filter((value) => `${shown(value)} ${value}`.toLowerCase().includes(begun)).slice(0, MOST);
    if (found.length === 1 && [found[0], shown(found[0])].some((one) => one.toLowerCase() === begun)) return [];
    return found.map((value) => ({ insert: `${key}:${quoted(nameOf(value, known, shown))} `, label: shown(value), hint: shown(value) === value ? "" : value }));
  }

  show(active) {
    this.active = active;
    const isOpen = this.options.length > 0 && document.activeElement === this.input;
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", String(isOpen));
    this.list.replaceChildren(...(isOpen ? this.options.map((option, index) => optionRow(option, index, index === active)) : []));
    if (active >= 0) this.input.setAttribute("aria-activedescendant", `option-${active}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  /** Close the list until the next key or focus, also for values that arrive later. */
  close() {
    this.isDismissed = true;
    this.options = [];
    this.show(-1);
  }

  onKey(event) {
    const count = this.options.length;
    const isTaking = this.active >= 0 && (event.key === "Enter" || event.key === "Tab");
    if (event.key === "Escape" && count > 0) this.close();
    else if (event.key === "ArrowDown" && count > 0) this.show((this.active + 1) % count);
    else if (event.key === "ArrowUp" && count > 0) this.show((this.active + count - (this.active < 0 ? 0 : 1)) % count);
    else if (isTaking) this.take(this.options[this.active]);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  onPointer(event) {
    const row = event.target.closest("[role=option]");
    if (!row) return;
    event.preventDefault();
    this.take(this.options[Number(row.dataset.index)]);
  }

  /** Replace the begun word by a suggestion. */
  take({ insert }) {
    const end = this.input.selectionStart ?? this.input.value.length;
    const start = end - this.word().length;
    this.input.setRangeText(insert, start, end, "end");
    this.suggest();
  }
}

/** The label of a value if it is unique, else the value. */
const nameOf = (value, known, shown) => (known.filter((other) => shown(other).includes(shown(value))).length === 1 ? shown(value) : value);

const keysFor = (word) => KEYS.filter((key) => key !== "text" && key.startsWith(word.toLowerCase())).map((key) => ({ insert: `${key}:`, label: `${key}:`, hint: HINTS[key] }));

/** The last 14 days, newest first, without a zone: windows are account-local days. */
const lastDays = () => Array.from({ length: 14 }, (_, back) => dayKey(now() - back * 86_400_000));

function optionRow({ label, hint }, index, isActive) {
  return el("li", { id: `option-${index}`, role: "option", "aria-selected": String(isActive), "data-index": index }, el("bdi", {}, label), hint && el("small", {}, hint));
}
