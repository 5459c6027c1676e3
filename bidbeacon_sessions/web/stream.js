// The connection: load, go on from the loaded cursor, reconnect from the last one, load again when told to. A WebSocket, since a browser
// keeps at most six other connections to a host, in all tabs together. A hidden tab disconnects, and catches up when it is seen again.

import { parseJson } from "./json.js";

const PATH = "/api/job-sessions/ws";
const SILENCE_MS = 25_000;
const HIDDEN_MS = 30_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

/** The answer that was asked for before this module was here, once, where it is the same question. */
function takeEarly(path) {
  const early = window.earlyAnswer;
  window.earlyAnswer = null;
  return early?.path === path ? early.response : null;
}

/** Fetch JSON; throws an Error with `whatToDo`; without access it goes to the login. */
export async function fetchJson(path, signal) {
  const response = await (takeEarly(path) ?? fetch(path, { signal, headers: { Accept: "application/json" } }));
  if (response.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const body = await response.text().then(parseJson).catch(() => ({}));
  if (response.ok) return body;
  throw Object.assign(new Error(body.error ?? `The server answered ${response.status}.`), { whatToDo: body.what_to_do, status: response.status });
}

/** A session with all of its actions, of which an answer holds a thousand; header and cursor are of the first answer. */
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
 * Follows the sessions that match a query. `load` fetches the first state and gives its cursor; it is called again after a reset.
 * `onState` hears `{name: "live" | "away" | "reconnecting" | "failed", asOf, error}`.
 */
export class Stream {
  constructor({ query, load, onUpdate, onGone, onState }) {
    Object.assign(this, { query, load, onUpdate, onGone, onState });
    this.retryMs = FIRST_RETRY_MS;
    this.asOf = null;
    this.watchdog = setInterval(() => this.watch(), 5_000);
    this.onOnline = () => this.hurry();
    this.onOffline = () => this.socket && this.reconnect();
    this.onVisibility = () => (document.hidden ? this.rest() : this.goOn());
    window.addEventListener("online", this.onOnline);
    window.addEventListener("offline", this.onOffline);
    document.addEventListener("visibilitychange", this.onVisibility);
    if (document.hidden) this.rest(); // opened in the background
  }

  async start() {
    try {
      this.cursor = await this.load();
    } catch (error) {
      if (!this.isClosed) this.fail(error);
      return;
    }
    this.asOf = Date.now();
    if (!this.isClosed) this.connect();
  }

  close() {
    this.isClosed = true;
    this.drop();
    clearTimeout(this.timer);
    clearTimeout(this.hiding);
    clearInterval(this.watchdog);
    window.removeEventListener("online", this.onOnline);
    window.removeEventListener("offline", this.onOffline);
    document.removeEventListener("visibilitychange", this.onVisibility);
  }

  connect() {
    this.drop();
    if (document.hidden && this.isResting) return;
    const address = new URL(`${PATH}?${new URLSearchParams({ ...this.query, cursor: this.cursor })}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.heardAt = Date.now();
    this.socket.onopen = () => this.hear();
    this.socket.onclose = () => this.reconnect();
    this.socket.onmessage = ({ data }) => data.split("\n").forEach((line) => line && this.take(parseJson(line)));
  }

  /** Close the connection without going on. */
  drop() {
    if (!this.socket) return;
    this.socket.onopen = this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.socket = null;
  }

  take({ event, id, data }) {
    if (!this.socket) return; // a message before this one ended the stream
    if (id) this.cursor = id;
    this.hear();
    if (event === "job-sessions:updated") this.onUpdate(data.session, data.actions);
    else if (event === "job-sessions:gone") this.onGone(data.session_id);
    else if (event === "sync") this.sync(data);
    else if (event === "reset") this.reset();
  }

  /** Nobody looks: after a moment the connection is closed, and the cursor kept. */
  rest() {
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => {
      this.isResting = true;
      this.drop();
    }, HIDDEN_MS);
  }

  /** Somebody looks again: go on from the cursor, and do at once what was put off. */
  goOn() {
    clearTimeout(this.hiding);
    const rested = this.isResting;
    this.isResting = false;
    if (rested && this.cursor && !this.pending && !this.isClosed) this.connect();
    else this.hurry();
  }

  hear() {
    this.heardAt = Date.now();
    this.retryMs = FIRST_RETRY_MS;
    if (!this.isDatabaseAway) this.say("live", { asOf: (this.asOf = Date.now()) });
  }

  sync(data) {
    this.isDatabaseAway = data.database === "away";
    if (this.isDatabaseAway) this.say("away");
  }

  reset() {
    this.drop();
    this.start();
  }

  fail(error, again = () => this.start()) {
    this.say(this.asOf === null ? "failed" : "reconnecting", { error });
    this.later(again);
  }

  /** The connection broke: go on from the last cursor, later and later. */
  reconnect() {
    this.drop();
    this.say("reconnecting");
    this.later(() => (this.retryMs > 2_000 ? this.probe() : this.connect()));
  }

  /** A browser does not say why a stream was refused, so ask with an ordinary request: it leads to the login where needed. */
  async probe() {
    try {
      await fetchJson("/api/job-sessions?limit=1");
    } catch (error) {
      return this.isClosed ? null : this.fail(error, () => this.probe());
    }
    if (!this.isClosed) this.connect();
  }

  later(action) {
    clearTimeout(this.timer);
    this.pending = action;
    this.timer = setTimeout(() => this.hurry(), this.retryMs * (0.75 + Math.random() / 2));
    this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
  }

  /** Do at once what was put off. */
  hurry() {
    const action = this.pending;
    this.pending = null;
    clearTimeout(this.timer);
    if (action && !this.isClosed) action();
  }

  watch() {
    if (this.socket?.readyState === WebSocket.OPEN && Date.now() - this.heardAt > SILENCE_MS) this.reconnect();
  }

  say(name, detail = {}) {
    if (!this.isClosed) this.onState({ name, asOf: this.asOf, ...detail });
  }
}
