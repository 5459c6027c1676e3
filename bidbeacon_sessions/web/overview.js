// Above the list: links that filter by status or time, and the histogram.

import { byId, el, keepingFocus } from "./dom.js";
import { STATUSES, toAddress, toInstant, toLocal, toQuery } from "./filters.js";
import { Histogram, summaryOf } from "./histogram.js";
import { statusIcon } from "./icons.js";
import { fetchJson } from "./stream.js";
import { minute, now, shortDay } from "./time.js";

const SPANS = ["1h", "6h", "24h", "7d", "30d"];
const RENEW_MS = 5_000;

const [section, title, spans, statuses] = ["overview", "overview-title", "spans", "statuses"].map(byId);

export class Overview {
  /** `navigate` goes to another address of this page. */
  constructor({ navigate }) {
    const choose = (since, before) => navigate(toAddress({ ...this.filter, since: toLocal(since), before: toLocal(before) }));
    this.histogram = new Histogram({ onChoose: choose });
    this.filter = /** @type {import("./types").Filter} */ ({});
    this.isCounted = false;
    this.timer = 0;
  }

  /** Show another filter. @param {import("./types").Filter} filter */
  open(filter) {
    this.filter = filter;
    keepingFocus(statuses, () => statuses.replaceChildren(...statusChips(filter)));
    keepingFocus(spans, () => spans.replaceChildren(...spanChips(filter)));
  }

  /** Count again soon, at most once per interval. */
  renew() {
    this.timer ||= setTimeout(() => this.load(), RENEW_MS);
  }

  async load() {
    clearTimeout(this.timer);
    this.timer = 0;
    const requested = this.filter;
    try {
      const data = await fetchJson(`/api/job-sessions/histogram?${new URLSearchParams(toQuery({ ...requested, since: sinceOf(requested) }))}`);
      if (requested === this.filter) this.show(data);
    } catch {
      this.giveUp();
    }
  }

  /** Mark the counts as old, or as missing. The list shows the error. */
  giveUp() {
    if (this.isCounted) section.classList.add("stale");
    else title.replaceChildren("Not counted");
    section.setAttribute("aria-busy", "false");
  }

  show(data) {
    this.isCounted = true;
    section.classList.toggle("stale", data.counts === null);
    section.setAttribute("aria-busy", "false");
    if (data.counts === null) {
      title.replaceChildren("Too many to count in this stretch: choose a shorter one");
      return;
    }
    this.histogram.show(data);
    title.replaceChildren(el("b", {}, spanName(this.filter)), ` · ${summaryOf(data.counts)}`);
  }
}

function chip(key, filter, isCurrent, hint, ...words) {
  return el("a", { class: "chip", "data-key": key, href: toAddress(filter), "aria-current": isCurrent && "true", title: hint }, words);
}

/** Links to all sessions, to those with problems, and to each status. @param {import("./types").Filter} filter */
function statusChips({ status, outcome, ...rest }) {
  const bad = "Sessions that failed, crashed, or ran to their end with problems. Retries that succeeded don’t count.";
  return [
    chip("", rest, !status && !outcome, null, "all"),
    chip("problems", { ...rest, outcome: "problems" }, outcome === "problems", bad, statusIcon("problems", true), "problems"),
    ...STATUSES.map((each) => chip(each, { ...rest, status: each }, each === status, null, statusIcon(each, true), each)),
  ];
}

/** @param {import("./types").Filter} filter */
function spanChips({ since, before, ...rest }) {
  const chips = SPANS.map((span) => {
    const isCurrent = since === span && !before;
    return chip(span, isCurrent ? rest : { ...rest, since: span }, isCurrent, isCurrent ? "Show all of time again" : `Only sessions of the last ${span}`, span);
  });
  const isZoomed = before || (since && !SPANS.includes(since));
  return isZoomed ? [...chips, chip("whole", rest, false, null, "✕ whole time")] : chips;
}

/** The start of the histogram; by default a day before `before`, or before now. @param {import("./types").Filter} filter */
function sinceOf({ since, before }) {
  return since ?? new Date((toInstant(before ?? "") ?? now()) - 86_400_000).toISOString();
}

/** @param {import("./types").Filter} filter */
function spanName({ since, before }) {
  if (!since && !before) return "Last 24 hours";
  if (since && SPANS.includes(since) && !before) return `Last ${since.replace("h", " h").replace("d", " days").replace(/^1 h/, "hour")}`;
  return since ? `${at(since)} – ${before ? at(before) : "now"}` : `24 hours up to ${at(before)}`;
}

function at(value) {
  const instant = toInstant(value);
  return `${shortDay(instant)}, ${minute(instant)}`;
}
