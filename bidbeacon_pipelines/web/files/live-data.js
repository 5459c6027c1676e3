// Data that a page shows whole: read at once, read again when sessions change or a minute has passed, held while the reader pauses it.

import { loadAccounts } from "./accounts.js";
import { hideTrouble, showError, showTrouble } from "./notice.js";
import { showPill } from "./pill.js";
import { Stream, fetchJson } from "./stream.js";

const ANYWAY_MS = 60_000;

export class LiveData {
  /**
   * `read` fetches the data and `draw` shows it. Changes are gathered for `renewMs` before they are read; `concerns(session, actions)` says
   * whether one may have changed the data. `noun` names the data in messages: "The figures could not be loaded".
   */
  constructor({ read, draw, renewMs, noun, concerns = () => true }) {
    Object.assign(this, { read, draw, renewMs, noun, concerns });
    this.value = null;
    this.state = { name: "connecting", asOf: null };
    this.isPaused = false;
    this.waiting = 0;
    this.reading = 0;
    document.getElementById("pill").addEventListener("click", () => this.togglePause());
    setInterval(() => !this.isPaused && !document.hidden && this.value && this.renew(), ANYWAY_MS);
  }

  /** Forget what is shown, read the data, and follow the sessions that match a query. */
  open(query = {}) {
    this.stream?.close();
    this.value = null;
    this.reading += 1;
    this.stream = new Stream({
      query,
      load: () => this.load(),
      onUpdate: (session, actions) => this.concerns(session, actions) && this.onChange(),
      onGone: () => this.onChange(),
      onState: (next) => this.onState(next),
    });
    this.stream.start();
  }

  /** The cursor first: what changes while the data is read is told again rather than missed. */
  async load() {
    const { cursor } = await fetchJson("/api/job-sessions?limit=1");
    await this.fetch();
    return cursor;
  }

  /** Read and draw; an answer that a later reading has overtaken is dropped. */
  async fetch() {
    this.reading += 1;
    const { reading } = this;
    const [value] = await Promise.all([this.read(), loadAccounts()]);
    if (reading !== this.reading) return;
    this.value = value;
    this.waiting = 0;
    this.redraw();
  }

  /** Show what was read, where something was. */
  redraw() {
    this.showFreshness();
    if (this.value === null) return;
    document.getElementById("skeleton").hidden = true;
    this.draw(this.value);
  }

  onChange() {
    this.waiting += 1;
    if (!this.isPaused) this.renewal ??= setTimeout(() => this.renew(), this.renewMs);
    this.showFreshness();
  }

  /** Read the data again now. */
  async renew() {
    clearTimeout(this.renewal);
    this.renewal = null;
    try {
      await this.fetch();
      hideTrouble();
    } catch (error) {
      if (this.value === null) this.onState({ ...this.state, name: "failed", error });
      else this.showTrouble(error, () => this.renew());
    }
  }

  onState(next) {
    this.state = next;
    if (next.error && this.value === null) {
      document.getElementById("skeleton").hidden = true;
      showError(`The ${this.noun} could not be loaded`, next.error, () => (this.stream.pending ? this.stream.hurry() : this.renew()));
    } else if (next.error) this.showTrouble(next.error, () => this.stream.hurry());
    if (next.name === "live") hideTrouble();
    this.showFreshness();
  }

  showTrouble(error, retry) {
    showTrouble(`The ${this.noun} can't be renewed.`, error, retry);
  }

  showFreshness() {
    showPill(this.state, { isHeld: this.isPaused, waiting: this.waiting });
    document.getElementById("pill").setAttribute("aria-pressed", String(this.isPaused));
  }

  togglePause() {
    this.isPaused = !this.isPaused;
    if (!this.isPaused && this.waiting > 0) this.renew();
    this.showFreshness();
  }
}
