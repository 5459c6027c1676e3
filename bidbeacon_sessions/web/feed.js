// The list of sessions under their days: cards that are made once, and stay where they are while others come.

import { el, reconcile } from "./dom.js";
import { SessionCard } from "./session-card.js";
import { dayKey, dayName } from "./time.js";
import { zoneOf } from "./zone.js";

export class Feed {
  /**
   * `accountsOf` gives the keys of the accounts that are asked for: days are told in the zone of one, and of sessions of others their actions are
   * shown. `merges` says whether runs of the same action are told as one.
   */
  constructor(root, { askForAll, accountsOf, merges }) {
    Object.assign(this, { root, askForAll, accountsOf, merges });
    this.cards = new Map();
    this.days = new Map();
  }

  /** Show exactly these sessions, newest first. */
  draw(entries) {
    const nodes = [];
    this.lay(entries, nodes, null);
    const shown = new Set(entries.map(({ session }) => session.id));
    for (const id of this.cards.keys()) if (!shown.has(id)) this.cards.delete(id);
    reconcile(this.root, nodes);
    this.root.setAttribute("aria-busy", "false");
  }

  /** Show older sessions below what is there, and leave what is there untouched. */
  append(entries) {
    const nodes = [...this.root.childNodes];
    const oldest = this.root.lastElementChild?.dataset.startedAt;
    const older = entries.filter(({ session }) => !this.cards.has(session.id) && (oldest === undefined || Date.parse(session.started_at) <= Date.parse(oldest)));
    this.lay(older, nodes, nodes.findLast((node) => node.matches("h2")) ?? null);
    reconcile(this.root, nodes);
  }

  lay(entries, nodes, heading) {
    const accounts = this.accountsOf();
    const zone = zoneOf(accounts.length === 1 ? accounts[0] : null);
    let day = heading;
    for (const entry of entries) {
      const next = this.dayHeading(dayKey(entry.session.started_at, zone), entry.session.started_at, zone);
      if (next !== day) nodes.push((day = next));
      nodes.push(this.card(entry));
    }
  }

  card(entry) {
    const known = this.cards.get(entry.session.id);
    if (known) known.update(entry);
    else this.cards.set(entry.session.id, new SessionCard(entry, { askForAll: this.askForAll, only: this.accountsOf(), merges: this.merges() }));
    return this.cards.get(entry.session.id).element;
  }

  dayHeading(key, instant, zone) {
    if (!this.days.has(key)) this.days.set(key, el("h2", { class: "day" }, el("span", {}), el("small", {})));
    const heading = this.days.get(key);
    heading.firstChild.textContent = dayName(instant, zone);
    heading.lastChild.textContent = zone.replaceAll("_", " ");
    return heading;
  }

  /** Forget every card: another filter shows other sessions. */
  clear() {
    this.cards.clear();
  }

  /** Show times anew: the zone was chosen. */
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
