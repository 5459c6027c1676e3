// The list of sessions by day. Cards are made once, and stay in place while others are added.

import { el, reconcile } from "./dom.js";
import { SessionCard } from "./session-card.js";
import { dayKey, dayName } from "./time.js";
import { zoneName } from "./zone.js";

export class Feed {
  /** `accountsOf` returns the filter's accounts: in sessions of other accounts, only their actions are shown. */
  constructor(root, { loadAll, accountsOf }) {
    this.root = root;
    this.loadAll = loadAll;
    this.accountsOf = accountsOf;
    this.cards = /** @type {Map<string, SessionCard>} */ (new Map());
    this.days = /** @type {Map<string, HTMLElement>} */ (new Map());
  }

  /** Show exactly these sessions, newest first. @param {import("./types").Entry[]} entries */
  draw(entries) {
    const nodes = this.lay(entries, null);
    const shown = new Set(entries.map(({ session }) => session.id));
    for (const id of this.cards.keys()) if (!shown.has(id)) this.cards.delete(id);
    reconcile(this.root, nodes);
    this.root.setAttribute("aria-busy", "false");
  }

  /** Add older sessions below the present ones, which are not changed. @param {import("./types").Entry[]} entries */
  append(entries) {
    const nodes = [...this.root.childNodes];
    const oldest = this.root.lastElementChild?.dataset.startedAt;
    const older = entries.filter(({ session }) => !this.cards.has(session.id) && (oldest === undefined || Date.parse(session.started_at) <= Date.parse(oldest)));
    reconcile(this.root, [...nodes, ...this.lay(older, nodes.findLast((node) => node.matches("h2")) ?? null)]);
  }

  /** The nodes of sessions, with a heading before each day but that of the heading above. */
  lay(entries, above) {
    return entries.flatMap((entry) => {
      const heading = this.dayHeading(entry.session.started_at);
      const begins = heading === above ? [] : [heading];
      above = heading;
      return [...begins, this.card(entry)];
    });
  }

  card(entry) {
    const known = this.cards.get(entry.session.id);
    if (known) known.update(entry);
    const card = known ?? new SessionCard(entry, { loadAll: this.loadAll, only: this.accountsOf() });
    this.cards.set(entry.session.id, card);
    return card.element;
  }

  dayHeading(instant) {
    const key = dayKey(instant);
    const heading = this.days.get(key) ?? el("h2", { class: "day" });
    this.days.set(key, heading);
    heading.replaceChildren(el("span", {}, dayName(instant)), el("small", {}, zoneName()));
    return heading;
  }

  /** Show times in the zone that was chosen. */
  refresh(entries) {
    this.days.clear();
    for (const entry of entries) this.cards.get(entry.session.id)?.refresh(entry);
    this.draw(entries.filter(({ session }) => this.cards.has(session.id)));
  }

  /** Move the focus to the next session's name, or the one before. */
  moveFocus(step) {
    const links = [...this.root.querySelectorAll(".job")];
    const here = links.indexOf(document.activeElement?.closest(".session")?.querySelector(".job"));
    links[here < 0 ? firstVisible(links) : Math.min(links.length - 1, Math.max(0, here + step))]?.focus();
  }
}

const firstVisible = (links) => Math.max(0, links.findIndex((link) => link.getBoundingClientRect().top > 100));
