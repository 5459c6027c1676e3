// Above the list: the statuses and problems to choose from, the stretch of time with its histogram, and how the two change the filter.

import { el, keepingFocus } from "./dom.js";
import { STATUSES, rangeZone, toAddress, toInstant, toLocal, toQuery } from "./filters.js";
import { Histogram, told } from "./histogram.js";
import { statusIcon } from "./icons.js";
import { fetchJson } from "./stream.js";
import { minute, now, shortDay, zoneBehind } from "./time.js";

const SPANS = ["1h", "6h", "24h", "7d", "30d"];
const RENEW_MS = 5_000;

export class Overview {
  /** `navigate` goes to another address of this page. */
  constructor({ navigate }) {
    this.section = document.getElementById("overview");
    this.title = document.getElementById("overview-title");
    this.spans = document.getElementById("spans");
    this.histogram = new Histogram(document.getElementById("histogram"), { onChoose: (since, before) => navigate(toAddress({ ...this.filter, since: this.local(since), before: this.local(before) })) });
    this.filter = {};
    this.isCounted = false;
  }

  local(instant) {
    return toLocal(instant, rangeZone(this.filter));
  }

  /** Show what belongs to another filter. */
  open(filter) {
    this.filter = filter;
    this.showStatuses();
    this.showSpans();
  }

  /** Something happened: count again, but not at every event. */
  renew() {
    this.timer ??= setTimeout(() => this.load(), RENEW_MS);
  }

  async load() {
    clearTimeout(this.timer);
    this.timer = null;
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
    if (this.isCounted) this.section.classList.add("stale");
    else this.title.replaceChildren("Not counted");
    this.section.setAttribute("aria-busy", "false");
  }

  show(data) {
    this.isCounted = true;
    this.section.classList.remove("stale");
    this.section.setAttribute("aria-busy", "false");
    if (data.counts === null) {
      this.section.classList.add("stale");
      this.title.replaceChildren("Too many to count in this stretch: choose a shorter one");
      return;
    }
    this.histogram.show(data);
    this.title.replaceChildren(el("b", {}, spanName(this.filter)), ` · ${told(data.counts)}`);
  }

  /** One choice: a status, or all that went wrong whatever the status. */
  showStatuses() {
    const { status, outcome, ...rest } = this.filter;
    const chip = (key, word, more, isCurrent, title) => el("a", { class: "chip", "data-key": key, href: toAddress({ ...rest, ...more }), "aria-current": isCurrent && "true", title }, key && statusIcon(key, true), word);
    const links = [
      chip("", "all", {}, !status && !outcome),
      chip("problems", "problems", { outcome: "problems" }, outcome === "problems", "Sessions that failed, crashed, or ran to their end with problems. Retries that succeeded don’t count."),
      ...STATUSES.map((each) => chip(each, each, { status: each }, each === status)),
    ];
    const statuses = document.getElementById("statuses");
    keepingFocus(statuses, () => statuses.replaceChildren(...links));
  }

  showSpans() {
    const { since: _, before: __, ...rest } = this.filter;
    const links = SPANS.map((span) => {
      const isCurrent = this.filter.since === span && !this.filter.before;
      return el("a", { class: "chip", "data-key": span, href: toAddress(isCurrent ? rest : { ...rest, since: span }), "aria-current": isCurrent && "true", title: isCurrent ? "Show all of time again" : `Only sessions of the last ${span}` }, span);
    });
    const isZoomed = this.filter.before || (this.filter.since && !SPANS.includes(this.filter.since));
    const whole = isZoomed ? [el("a", { class: "chip", href: toAddress(rest) }, "✕ whole time")] : [];
    keepingFocus(this.spans, () => this.spans.replaceChildren(...links, ...whole));
  }
}

/** Without a beginning the last day is counted, up to `before` where that is given. */
function sinceOf(filter) {
  const { since, before } = filter;
  if (since) return since;
  return new Date((before ? (toInstant(before, rangeZone(filter)) ?? now()) : now()) - 86_400_000).toISOString();
}

function spanName(filter) {
  const { since, before } = filter;
  if (!since && !before) return "Last 24 hours";
  if (SPANS.includes(since) && !before) return `Last ${since.replace("h", " h").replace("d", " days").replace(/^1 h/, "hour")}`;
  const zone = rangeZone(filter);
  const show = (value) => at(toInstant(value, zone), zone);
  return since ? `${show(since)} – ${before ? show(before) : "now"}` : `24 hours up to ${show(before)}`;
}

const at = (instant, zone) => `${shortDay(instant, zone)}, ${minute(instant, zone)}${zoneBehind(instant, zone)}`;
