// The connection: load, follow from the loaded cursor, reconnect from the last one, reload after a reset. A WebSocket, since browsers limit
// other connections to a host to six for all tabs together. A hidden tab disconnects, and catches up when it is visible again.

import { parseJson } from "./json.js";

const SILENCE_MS = 25_000;
const HIDDEN_MS = 30_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

/** Fetch JSON, or post some; throw an Error with `whatToDo`; without access, go to the login. @returns {Promise<any>} */
export async function fetchJson(path, /** @type {any} */ sent = null) {
  const post = sent ? { method: "POST", body: JSON.stringify(sent) } : {};
  const response = await fetch(path, { headers: { Accept: "application/json", ...(sent && { "Content-Type": "application/json" }) }, ...post });
  if (response.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const body = await response.text().then(parseJson).catch(() => ({}));
  if (response.ok) return body;
  throw Object.assign(new Error(body.error ?? `The server answered ${response.status}.`), { whatToDo: body.what_to_do, status: response.status });
}

/** Fetch a session with all of its actions, a thousand per request; header and cursor are of the first answer. */
export async function fetchSession(id) {
  const path = `/api/job-sessions/${id}`;
  const found = await fetchJson(path);
  for (let after = found.more_after; after !== null; ) {
    const next = await fetchJson(`${path}?after=${after}`);
    found.session.actions.push(...next.session.actions);
    after = next.more_after;
  }
  return found;
}

/**
 * Follows the sessions that match a `query`. `load` fetches the first state and returns its cursor; it is called again after a reset.
 * `onUpdate` gets a session with new actions, `onGone` the id of a deleted one, and `onState` `{name, asOf, error}`, where the name is
 * live, away, reconnecting or failed.
 */
export class Stream {
  constructor(options) {
    this.options = options;
    this.cursor = "";
    this.receivedAt = 0;
    this.retryMs = FIRST_RETRY_MS;
    this.asOf = /** @type {number | null} */ (null);
    this.socket = /** @type {WebSocket | null} */ (null);
    this.pending = /** @type {(() => void) | null} */ (null);
    this.timer = this.hiding = 0;
    this.isResting = this.isDatabaseAway = false;
    this.watchdog = setInterval(() => this.watch(), 5_000);
    this.ending = new AbortController();
    const { signal } = this.ending;
    window.addEventListener("online", () => this.hurry(), { signal });
    window.addEventListener("offline", () => this.socket && this.reconnect(), { signal });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.goOn()), { signal });
    if (document.hidden) this.rest(); // opened in the background
  }

  isClosed = () => this.ending.signal.aborted;

  async start() {
    try {
      this.cursor = await this.options.load();
    } catch (error) {
      return this.fail(error, () => this.start());
    }
    this.asOf = Date.now();
    this.connect();
  }

  close() {
    this.ending.abort();
    this.drop();
    for (const timer of [this.timer, this.hiding, this.watchdog]) clearTimeout(timer);
  }

  connect() {
    this.drop();
    if (this.isClosed() || (document.hidden && this.isResting)) return;
    const address = new URL(`/api/job-sessions/ws?${new URLSearchParams({ ...this.options.query, cursor: this.cursor })}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.receivedAt = Date.now();
    this.socket.onopen = () => this.noteAlive();
    this.socket.onclose = () => this.reconnect();
    this.socket.onmessage = ({ data }) => {
      for (const line of data.split("\n")) if (line) this.take(parseJson(line));
    };
  }

  /** Close the connection, without a reconnect. */
  drop() {
    if (!this.socket) return;
    this.socket.onopen = this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.socket = null;
  }

  take({ event, id, data }) {
    if (!this.socket) return; // a message before this one ended the stream
    if (id) this.cursor = id;
    if (event === "sync") this.isDatabaseAway = data.database === "away";
    this.noteAlive();
    if (event === "job-sessions:updated") this.options.onUpdate(data.session, data.actions);
    else if (event === "job-sessions:gone") this.options.onGone(data.session_id);
    else if (event === "reset") {
      this.drop();
      this.start();
    }
  }

  /** The tab is hidden: after a moment the connection is closed, and the cursor kept. */
  rest() {
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => {
      this.isResting = true;
      this.drop();
    }, HIDDEN_MS);
  }

  /** The tab is visible again: reconnect from the cursor, or run the pending retry now. */
  goOn() {
    clearTimeout(this.hiding);
    const rested = this.isResting;
    this.isResting = false;
    if (rested && this.cursor && !this.pending) this.connect();
    else this.hurry();
  }

  noteAlive() {
    this.receivedAt = Date.now();
    this.retryMs = FIRST_RETRY_MS;
    if (!this.isDatabaseAway) this.asOf = Date.now();
    this.report(this.isDatabaseAway ? "away" : "live");
  }

  fail(error, again) {
    this.report(this.asOf === null ? "failed" : "reconnecting", error);
    this.later(again);
  }

  /** Reconnect from the last cursor, with growing pauses. */
  reconnect() {
    this.drop();
    this.report("reconnecting");
    this.later(() => (this.retryMs > 2_000 ? this.probe() : this.connect()));
  }

  /** Send an ordinary request before a reconnect: it shows why a stream was refused, which browsers hide, and leads to the login if needed. */
  async probe() {
    try {
      await fetchJson("/api/job-sessions?limit=1");
    } catch (error) {
      return this.fail(error, () => this.probe());
    }
    this.connect();
  }

  later(action) {
    clearTimeout(this.timer);
    this.pending = action;
    this.timer = setTimeout(() => this.hurry(), this.retryMs * (0.75 + Math.random() / 2));
    this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
  }

  /** Run the pending retry now. */
  hurry() {
    const action = this.pending;
    this.pending = null;
    clearTimeout(this.timer);
    if (action && !this.isClosed()) action();
  }

  watch() {
    if (this.socket?.readyState === WebSocket.OPEN && Date.now() - this.receivedAt > SILENCE_MS) this.reconnect();
  }

  /** @param {any} error */
  report(name, error = null) {
    if (!this.isClosed()) this.options.onState({ name, asOf: this.asOf, error });
  }
}
