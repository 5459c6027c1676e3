// The Event Stream page: the newest sessions, live, without moving rows that are being read.

import { announce, announceNews } from "./announcer.js";
import { bindBar } from "./bar.js";
import { Completion } from "./completion.js";
import { byId, el, linkOf } from "./dom.js";
import { Feed } from "./feed.js";
import { fromAddress, parse, toAddress, toInstant, toQuery, toText } from "./filters.js";
import { Model } from "./model.js";
import { hideNotice, showNotice, showState } from "./notice.js";
import { Overview } from "./overview.js";
import { showPill } from "./pill.js";
import { bindRangePicker } from "./range-picker.js";
import { bindSavedFilters } from "./saved-filters.js";
import { Stream, fetchJson, fetchSession } from "./stream.js";
import { now, setServerTime } from "./time.js";
import { putIntoAddress } from "./zone.js";

const FIRST_PAGE = 10; // one or two screens
const PAGE = 30;
const NEAR_END_PX = 600;
const MOST_LIVE = 300;
const MOST_COMPLETED = 100;
const HOLD_BELOW_PX = 48;

const [skeleton, older, end, newAbove, query, problem] = ["skeleton", "older", "end", "new-above", "query", "query-problem"].map(byId);

const model = new Model();
const feed = new Feed(byId("feed"), { loadAll, accountsOf: () => namedAccounts });
const overview = new Overview({ navigate: goTo });
let filter = /** @type {import("./types").Filter} */ ({});
let namedAccounts = /** @type {string[]} */ ([]);
let stream = /** @type {Stream | null} */ (null);
let state = /** @type {import("./types").State} */ ({ name: "connecting", asOf: null });
let isPaused = false;
let waiting = 0;
let isDrawn = false;

const isHeld = () => isPaused || window.scrollY > HOLD_BELOW_PX;

function open(nextFilter) {
  stream?.close();
  filter = nextFilter;
  query.value = toText(filter);
  overview.open(filter);
  isDrawn = false;
  feed.cards.clear(); // another filter shows other sessions
  state = { name: "connecting", asOf: null };
  stream = new Stream({ query: streamQuery(), load, onUpdate, onGone, onState });
  stream.start();
  showFreshness();
}

/** The filter of the stream; an address with an invalid time is not followed. */
function streamQuery() {
  try {
    return toQuery(filter);
  } catch {
    return {};
  }
}

const listOf = (more) => fetchJson(`/api/job-sessions?${new URLSearchParams({ ...toQuery(filter), ...more })}`);

async function load() {
  const requested = filter;
  const list = await listOf({ limit: FIRST_PAGE });
  if (requested !== filter) return list.cursor;
  if (`${list.accounts}` !== `${namedAccounts}`) feed.cards.clear(); // a card shows the actions of these accounts
  namedAccounts = list.accounts;
  setServerTime(list.server_time);
  Object.assign(byId("dagster"), { href: list.dagster_url, hidden: !/^https?:/.test(list.dagster_url) });
  model.replace(list.sessions, list.sessions.length === FIRST_PAGE);
  if (isDrawn && isHeld()) waiting += 1;
  else draw();
  overview.load();
  completeRuns();
  return list.cursor;
}

/** @param {import("./types").Session} session @param {import("./types").Action[]} actions */
function onUpdate(session, actions) {
  const known = model.get(session.id);
  if (!known && model.isBeforeLoaded(session)) return;
  announceNews({ sessions: known ? 0 : 1, failed: isBad(session) && !(known && isBad(known.session)) ? 1 : 0 });
  waiting += model.merge(session, actions);
  const entry = model.get(session.id);
  if (entry.actions.length < session.action_count && entry.actions.length === actions.length) loadAll(session.id);
  overview.renew();
  scheduleDraw();
}

const completed = new Set();
/** Load the middle of longer sessions, which lists omit, if it may be part of a run of equal actions, so that the run is shown as one. */
function completeRuns() {
  for (const { session, actions } of model.ordered()) {
    const jump = actions.findIndex((action, index) => index > 0 && action.ord !== actions[index - 1].ord + 1);
    if (jump < 0 || session.action_count > MOST_COMPLETED || completed.has(session.id) || actions[jump].type !== actions[jump - 1].type) continue;
    completed.add(session.id);
    loadAll(session.id);
  }
}

const isBad = ({ status }) => status === "failed" || status === "crashed";

function onGone(id) {
  if (model.remove(id)) scheduleDraw();
}

function onState(next) {
  state = next;
  if (next.error && !isDrawn) overview.giveUp();
  showState(next, { noun: "sessions", isShown: isDrawn, retry: () => stream?.hurry() });
  showFreshness();
}

/** Load every action of a session; if that fails, its fold stays and can be opened again. */
async function loadAll(id) {
  const found = await fetchSession(id).catch(() => null);
  if (!found || !model.get(id)) return;
  const { actions, ...session } = found.session;
  model.merge(session, actions);
  feed.cards.get(id)?.update(model.get(id));
}

let frame = 0;
function scheduleDraw() {
  if (frame > 0) return;
  frame = requestAnimationFrame(() => {
    frame = 0;
    if (isHeld()) showFreshness();
    else draw();
  });
}

/** Show the model's state. While the page is held, only the waiting rows are counted. */
function draw() {
  waiting = 0;
  isDrawn = true;
  model.trim(MOST_LIVE);
  const entries = model.ordered();
  feed.draw(entries);
  skeleton.hidden = true;
  showEnd(entries.length);
  if (entries.length === 0) showEmpty();
  else hideNotice();
  showFreshness();
}

function showEnd(count) {
  older.hidden = !model.hasOlder;
  end.hidden = model.hasOlder || count === 0;
}

/** Three kinds of empty: nothing in this stretch of time, nothing that matches, nothing at all. */
function showEmpty() {
  const { since, before, ...rest } = filter;
  const clear = el("a", { class: "button", href: toAddress({}) }, "Clear the filter");
  if (since || before) {
    const wider = el("a", { class: "button", href: toAddress(rest) }, "Show the whole time");
    showNotice("empty", el("h2", {}, "Nothing in this stretch of time"), el("p", {}, "No session ", el("code", {}, toText(filter)), ". "), el("p", { class: "row" }, wider, Object.keys(rest).length > 0 && clear));
  } else if (Object.keys(rest).length > 0) {
    showNotice("empty", el("h2", {}, "No session matches"), el("p", {}, "Nothing yet for ", el("code", {}, toText(filter)), ". New ones appear here as they happen."), clear);
  } else showNotice("empty", byId("no-sessions").content.cloneNode(true));
}

/** The end of the range if it is past, else null: no session starts in it any more, but running ones are followed to their end. */
function endOfRange() {
  const ended = filter.before ? toInstant(filter.before) : null;
  return ended !== null && ended <= now() ? ended : null;
}

function showFreshness() {
  const held = isHeld() && isDrawn;
  showPill(state, { isHeld: held, waiting, until: endOfRange() });
  newAbove.hidden = !(held && waiting > 0 && window.scrollY > HOLD_BELOW_PX);
  newAbove.textContent = `↑ ${waiting} new`;
  byId("pill").setAttribute("aria-pressed", String(held));
  document.title = `${waiting > 0 ? `(${waiting}) ` : ""}Event Stream · BidBeacon`;
}

/** Go back to live, and show everything that waited. */
function release() {
  isPaused = false;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (window.scrollY > HOLD_BELOW_PX) window.scrollTo({ top: 0, behavior: isStill ? "instant" : "smooth" });
  else draw();
}

function togglePause() {
  if (isHeld()) release();
  else {
    isPaused = true;
    showFreshness();
  }
}

let isLoadingOlder = false;
async function loadOlder() {
  const oldest = model.oldest();
  if (isLoadingOlder || !model.hasOlder || !oldest) return;
  isLoadingOlder = true;
  older.textContent = "Loading older …";
  try {
    const requested = filter;
    const list = await listOf({ older_than: oldest.id, limit: PAGE });
    if (requested === filter) {
      model.append(list.sessions, list.sessions.length === PAGE);
      feed.append(model.ordered());
      completeRuns();
      showEnd(1);
    }
    older.textContent = "Load older";
    if (!older.hidden && older.getBoundingClientRect().top < window.innerHeight + NEAR_END_PX) setTimeout(loadOlder);
  } catch (error) {
    older.textContent = "Older sessions could not be loaded. Try again";
    announce(/** @type {Error} */ (error).message);
  } finally {
    isLoadingOlder = false;
  }
}

function submitFilter(event) {
  event.preventDefault();
  const { filter: next, problem: wrong } = parse(query.value);
  problem.hidden = !wrong;
  problem.textContent = wrong ?? "";
  query.toggleAttribute("aria-invalid", Boolean(wrong));
  if (next) goTo(toAddress(next));
}

function goTo(address) {
  history.pushState(null, "", address);
  navigate();
}

function navigate() {
  problem.hidden = true;
  window.scrollTo({ top: 0, behavior: "instant" });
  isPaused = false;
  waiting = 0;
  putIntoAddress();
  open(fromAddress());
}

/** Links that only change the filter need no new page. */
function followFilterLink(event) {
  const link = linkOf(event, "a[href^='/sessions?'], a[href='/sessions']");
  if (!link) return;
  event.preventDefault();
  goTo(link.getAttribute("href"));
}

let wasHeld = false;
function onScroll() {
  const held = isHeld();
  if (wasHeld && !held) draw();
  else if (held !== wasHeld) showFreshness();
  wasHeld = held;
}

byId("filter").addEventListener("submit", submitFilter);
new Completion(query, byId("suggestions")); // before the next listeners: Escape closes its list first
query.addEventListener("search", () => query.value === "" && byId("filter").requestSubmit());
query.addEventListener("keydown", (event) => event.key === "Escape" && query.blur());
byId("pill").addEventListener("click", togglePause);
newAbove.addEventListener("click", release);
older.addEventListener("click", loadOlder);
window.addEventListener("scroll", onScroll, { passive: true });
window.addEventListener("popstate", navigate);
document.addEventListener("click", followFilterLink);
new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && loadOlder(), { rootMargin: `${NEAR_END_PX}px` }).observe(older);
bindBar({ "/": () => query.focus(), p: togglePause, j: () => feed.moveFocus(1), k: () => feed.moveFocus(-1) }, () => {
  overview.open(filter);
  overview.load();
  if (isDrawn) feed.refresh(model.ordered());
});
bindRangePicker({ current: () => filter, navigate: goTo });
bindSavedFilters({ current: () => filter });
open(fromAddress());
