// What is known of the sessions: merged from the list and the stream, newest revision wins, actions by their number.

export class Model {
  constructor() {
    this.sessions = new Map();
    this.hasOlder = false;
  }

  /** Replace everything by a freshly loaded list. */
  replace(sessions, hasOlder) {
    this.sessions.clear();
    this.hasOlder = hasOlder;
    for (const { actions, ...session } of sessions) this.merge(session, actions);
  }

  /** Add an older page; give how many sessions are new. */
  append(sessions, hasOlder) {
    this.hasOlder = hasOlder;
    const before = this.sessions.size;
    for (const { actions, ...session } of sessions) this.merge(session, actions);
    return this.sessions.size - before;
  }

  /** Take in a session's state and some of its actions; give how many rows are new: the session's own and its actions'. */
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

  remove(id) {
    return this.sessions.delete(id);
  }

  get(id) {
    return this.sessions.get(id);
  }

  /** Whether a session lies before the part of the past that is loaded. */
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

  /** Forget the oldest beyond a number; they can be loaded again. */
  trim(most) {
    if (this.sessions.size <= most) return;
    for (const { session } of this.ordered().slice(most)) this.sessions.delete(session.id);
    this.hasOlder = true;
  }
}

const startOf = (session) => Date.parse(session.started_at);
/** Of two in one millisecond, all that a Date knows, the text of the instant (UTC, to the microsecond) says which is newer. */
const placeOf = (session) => `${session.started_at} ${session.id}`;
const newestFirst = (one, other) => startOf(other) - startOf(one) || (placeOf(one) < placeOf(other) ? 1 : -1);
