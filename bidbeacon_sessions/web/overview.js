// Above the list: the statuses and problems to choose from, the stretch of time with its histogram, and how the two change the filter.

import { byId, el, keepingFocus } from "./dom.js";
import { STATUSES, toAddress, toInstant, toLocal, toQuery } from "./filters.js";
import { Histogram, told } from "./histogram.js";
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

  /** Show what belongs to another filter. @param {import("./types").Filter} filter */
  open(filter) {
    this.filter = filter;
    keepingFocus(statuses, () => statuses.replaceChildren(...statusChips(filter)));
    keepingFocus(spans, () => spans.replaceChildren(...spanChips(filter)));
  }

  /** Something happened: count again, but not at every event. */
  renew() {
    this.timer ||= setTimeout(() => this.load(), RENEW_MS);
  }

  async load() {
    clearTimeout(this.timer);
    this.timer = 0;
    const asked = this.filter;
    try {
      const data = await fetchJson(`/api/job-sessions/histogram?${new URLSearchParams(toQuery({ ...asked, since: sinceOf(asked) }))}`);
      if (asked === this.filter) this.show(data);
    } catch {
      this.giveUp();
    }
  }

  /** What is shown is old; where nothing was counted yet, nothing will be for now. The list itself says what is wrong. */
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
    title.replaceChildren(el("b", {}, spanName(this.filter)), ` · ${told(data.counts)}`);
  }
}

function chip(key, filter, isCurrent, hint, ...words) {
  return el("a", { class: "chip", "data-key": key, href: toAddress(filter), "aria-current": isCurrent && "true", title: hint }, words);
}

/** One choice: a status, or all that went wrong whatever the status. @param {import("./types").Filter} filter */
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

/** Without a beginning the last day is counted, up to `before` where that is given. @param {import("./types").Filter} filter */
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
