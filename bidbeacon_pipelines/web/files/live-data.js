// Data that a page shows as a whole: read again when sessions change and each minute, pausable.

import { byId, whenReleased } from "./dom.js";
import { hideTrouble, showState } from "./notice.js";
import { showPill } from "./pill.js";
import { Stream, fetchJson } from "./stream.js";

const ANYWAY_MS = 60_000;

export class LiveData {
  /**
   * `read` fetches the data and `draw` shows it, `renewMs` after a change for which
   * `concerns(session, actions)` is true. `noun` is for messages: "figures" could not be loaded.
   */
  constructor(options) {
    this.options = { concerns: () => true, ...options };
    this.value = /** @type {any} */ (null);
    this.stream = /** @type {Stream | null} */ (null);
    this.failure = /** @type {any} */ (null); // of the last read; the stream may be live all the same
    this.state = /** @type {import("./types").State} */ ({ name: "connecting", asOf: null });
    this.isPaused = false;
    this.waiting = this.reading = this.renewal = 0;
    byId("pill").addEventListener("click", () => this.togglePause());
    setInterval(() => !this.isPaused && !document.hidden && this.value && this.renew(), ANYWAY_MS);
  }

  /** Forget what is shown, read the data, and follow the sessions that match a query. */
  open(query = {}) {
    this.stream?.close();
    this.value = this.failure = null;
    this.reading += 1;
    const load = async () => {
      const { cursor } = await fetchJson("/api/job-sessions?limit=1"); // first: changes during the read are sent again
      await this.fetch();
      return cursor;
    };
    this.stream = new Stream({
      query,
      load,
      onUpdate: (session, actions) => this.options.concerns(session, actions) && this.onChange(),
      onGone: () => this.onChange(),
      onState: (next) => this.showState(next, () => (this.stream?.pending ? this.stream.hurry() : this.renew())),
    });
    this.stream.start();
  }

  /** Read and draw; drop an answer if a later one was requested. */
  async fetch() {
    this.reading += 1;
    const { reading } = this;
    const value = await this.options.read();
    if (reading !== this.reading) return;
    this.value = value;
    this.failure = null;
    this.waiting = 0;
    hideTrouble();
    this.redraw();
  }

  /** Show the data, if it was read. */
  redraw() {
    this.showFreshness();
    if (this.value === null) return;
    byId("skeleton").hidden = true;
    whenReleased(this.draw);
  }

  draw = () => this.value !== null && this.options.draw(this.value);

  onChange() {
    this.waiting += 1;
    if (!this.isPaused) this.renewal ||= setTimeout(() => this.renew(), this.options.renewMs);
    this.showFreshness();
  }

  /** Read the data again now. */
  async renew() {
    clearTimeout(this.renewal);
    this.renewal = 0;
    try {
      await this.fetch();
    } catch (error) {
      this.failure = error;
      const name = this.value === null ? "failed" : this.state.name;
      this.showState({ ...this.state, name }, () => this.renew());
    }
  }

  showState(state, retry) {
    this.state = state;
    showState({ ...state, error: state.error ?? this.failure }, { noun: this.options.noun, isShown: this.value !== null, retry });
    this.showFreshness();
  }

  showFreshness() {
    showPill(this.state, { isHeld: this.isPaused, waiting: this.waiting });
    byId("pill").setAttribute("aria-pressed", String(this.isPaused));
  }

  togglePause() {
    this.isPaused = !this.isPaused;
    if (!this.isPaused && this.waiting > 0) this.renew();
    this.showFreshness();
  }
}
