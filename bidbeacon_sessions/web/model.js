// The loaded sessions, merged from the list and the stream: the newest revision wins, actions by their number.

export class Model {
  constructor() {
    this.sessions = /** @type {Map<string, import("./types").Entry>} */ (new Map());
    this.hasOlder = false;
  }

  /** Replace everything by a freshly loaded list. */
  replace(sessions, hasOlder) {
    this.sessions.clear();
    this.append(sessions, hasOlder);
  }

  /** Add an older page. */
  append(sessions, hasOlder) {
    this.hasOlder = hasOlder;
    for (const { actions, ...session } of sessions) this.merge(session, actions);
  }

  /** Merge a session's state and some of its actions; return the number of new rows, its own included. @param {import("./types").Session} session @param {import("./types").Action[]} actions */
  merge(session, actions) {
    const known = this.sessions.get(session.id);
    const entry = known ?? { session, byOrd: new Map(), actions: [] };
    if (session.revision >= entry.session.revision) entry.session = session;
    const before = entry.byOrd.size;
    for (const action of actions) entry.byOrd.set(action.ord, entry.byOrd.get(action.ord) ?? action);
    if (entry.byOrd.size !== before) entry.actions = [...entry.byOrd.values()].sort((a, b) => a.ord - b.ord);
    this.sessions.set(session.id, entry);
    return (known ? 0 : 1) + entry.byOrd.size - before;
  }

  remove = (id) => this.sessions.delete(id);

  /** @returns {any} */
  get = (id) => this.sessions.get(id);

  /** Whether a session is older than the loaded ones. */
  isBeforeLoaded(session) {
    const oldest = this.oldest();
    return this.hasOlder && oldest !== null && newestFirst(session, oldest) > 0;
  }

  /** Newest first. */
  ordered() {
    return [...this.sessions.values()].sort((a, b) => newestFirst(a.session, b.session));
  }

  oldest() {
    return this.ordered().at(-1)?.session ?? null;
  }

  /** Evict the oldest beyond a number; they can be loaded again. */
  trim(most) {
    if (this.sessions.size <= most) return;
    for (const { session } of this.ordered().slice(most)) this.sessions.delete(session.id);
    this.hasOlder = true;
  }
}

/** Compares instants as text (UTC, in microseconds), since a Date has milliseconds only. */
const placeOf = (session) => `${session.started_at} ${session.id}`;
const newestFirst = (one, other) => (placeOf(one) < placeOf(other) ? 1 : -1);
