// The Event Stream page: the newest sessions, live, and never moving what is being read.

import { loadAccounts } from "./accounts.js";
import { announce, announceNews } from "./announcer.js";
import { Completion } from "./completion.js";
import { el } from "./dom.js";
import { Feed } from "./feed.js";
import { fromAddress, parse, rangeZone, toAddress, toInstant, toQuery, toText } from "./filters.js";
import { PAUSE } from "./help.js";
import { bindKeys } from "./keys.js";
import { Model } from "./model.js";
import { hideNotice, hideTrouble, showError, showNotice, showTrouble } from "./notice.js";
import { Overview } from "./overview.js";
import { showPill } from "./pill.js";
import { bindRangePicker } from "./range-picker.js";
import { bindSavedFilters } from "./saved-filters.js";
import { Stream, fetchJson, fetchSession } from "./stream.js";
import { keepCounting, now, setServerTime } from "./time.js";
import { bindZoneChoice, onZoneChange, putIntoAddress, zoneChoice } from "./zone.js";

const LIST = "/api/job-sessions";
const FIRST_PAGE = 10; // what fits on a screen or two; as in early.js
const PAGE = 30;
const NEAR_END_PX = 600;
const FIRST_DRAWN = 3;
const MOST_LIVE = 300;
const MOST_COMPLETED = 100;
const HOLD_BELOW_PX = 48;

const byId = (id) => document.getElementById(id);
const [skeleton, older, end, newAbove, query, problem] = ["skeleton", "older", "end", "new-above", "query", "query-problem"].map(byId);

const model = new Model();
const feed = new Feed(byId("feed"), { askForAll: loadAll, accountsOf: () => namedAccounts, merges: () => !isFiltered() });
const overview = new Overview({ navigate: goTo });
let filter = {};
let namedAccounts = [];
let stream = null;
let state = { name: "connecting", asOf: null };
let isPaused = false;
let waiting = 0;
let isDrawn = false;

const isFiltered = () => Object.keys(filter).length > 0;
const isHeld = () => isPaused || window.scrollY > HOLD_BELOW_PX;

async function open(nextFilter) {
  stream?.close();
  filter = nextFilter;
  if (zoneChoice() === "account" && filter.account) await loadAccounts(); // its times may be of the account's zone
  if (filter !== nextFilter) return;
  query.value = toText(filter);
  overview.open(filter);
  isDrawn = false;
  feed.clear();
  state = { name: "connecting", asOf: null };
  stream = new Stream({ query: streamQuery(), load, onUpdate, onGone, onState });
  stream.start();
  showFreshness();
}

/** A stretch that has ended, or an address that holds no time, is nothing that a stream can follow. */
function streamQuery() {
  try {
    return toQuery(filter);
  } catch {
    return {};
  }
}

async function load() {
  const asked = filter;
  const list = await fetchJson(`${LIST}?${new URLSearchParams({ ...toQuery(filter), limit: FIRST_PAGE })}`);
  if (zoneChoice() === "account") await loadAccounts();
  if (asked !== filter) return list.cursor;
  namedAccounts = list.accounts;
  setServerTime(list.server_time);
  showDagster(list.dagster_url);
  model.replace(list.sessions, list.sessions.length === FIRST_PAGE);
  if (isDrawn && isHeld()) waiting += 1;
  else draw();
  overview.load();
  loadRest();
  return list.cursor;
}

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

/** What makes the page richer comes when the sessions are there: names of accounts, and whole runs of actions. */
let rest = null;
function loadRest() {
  rest ??= loadAccounts().then(() => (redraw(), completeRuns()), () => (rest = null));
}

const redraw = () => isDrawn && feed.refresh(model.ordered());

const completed = new Set();
/** The list leaves out the middle of longer sessions; where that may be the middle of a run, it is loaded, so that the run is told as one. */
function completeRuns() {
  if (isFiltered()) return;
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
  if (next.error && !isDrawn) {
    skeleton.hidden = true;
    overview.giveUp();
    showError("The sessions could not be loaded", next.error, () => stream.hurry());
  } else if (next.error) showTrouble("New sessions can't be loaded.", next.error, () => stream.hurry());
  if (next.name === "live") hideTrouble();
  showFreshness();
}

/** Load every action of a session; where that fails, its fold stays and can be opened again. */
async function loadAll(id) {
  const found = await fetchSession(id).catch(() => null);
  if (!found || !model.get(id)) return;
  const { actions, ...session } = found.session;
  model.merge(session, actions);
  feed.cards.get(id)?.update(model.get(id));
}

let frame = 0;
function scheduleDraw() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    if (isHeld()) showFreshness();
    else draw();
  });
}

/** Bring the page to the model's state. While the page is held, only the waiting rows are counted. */
function draw() {
  waiting = 0;
  isDrawn = true;
  model.trim(MOST_LIVE);
  const entries = model.ordered();
  const isFirst = feed.cards.size === 0 && entries.length > FIRST_DRAWN;
  feed.draw(isFirst ? entries.slice(0, FIRST_DRAWN) : entries);  // what fits on a screen, at once
  if (isFirst) setTimeout(scheduleRest);
  skeleton.hidden = true;
  showEnd(entries.length);
  if (entries.length === 0) showEmpty();
  else hideNotice();
  showFreshness();
}

/** The sessions below the first screen, once that is painted; a reader who has scrolled already finds them appended. */
function scheduleRest() {
  requestAnimationFrame(() => {
    feed.append(model.ordered());
    showEnd(1);
    if (rest) completeRuns();
  });
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
    const wider = el("a", { class: "button", href: toAddress(rest) }, "Look at the whole time");
    showNotice("empty", el("h2", {}, "Nothing in this stretch of time"), el("p", {}, "No session ", el("code", {}, toText(filter)), ". "), el("p", { class: "row" }, wider, Object.keys(rest).length > 0 && clear));
  } else if (Object.keys(rest).length > 0) {
    showNotice("empty", el("h2", {}, "No session matches"), el("p", {}, "Nothing yet for ", el("code", {}, toText(filter)), ". New ones appear here as they happen."), clear);
  } else {
    showNotice(
      "empty",
      el("h2", {}, "No sessions yet"),
      el("p", {}, "Every job that runs is recorded as a session and appears here the moment it starts. To see one now:"),
      el("ul", {}, el("li", {}, "materialize a partition in Dagster, or"), el("li", {}, "run ", el("code", {}, "bidbeacon refresh"), ".")),
    );
  }
}

/** The instant at which the range ended, where it has: nothing new begins in it. What still runs in it is followed to its end. */
function endOfRange() {
  const end = filter.before ? toInstant(filter.before, rangeZone(filter)) : null;
  return end !== null && end <= now() ? end : null;
}

function showFreshness() {
  const held = isHeld() && isDrawn;
  showPill(state, { isHeld: held, waiting, until: endOfRange() });
  newAbove.hidden = !(held && waiting > 0 && window.scrollY > HOLD_BELOW_PX);
  newAbove.textContent = `↑ ${waiting} new`;
  byId("pill").setAttribute("aria-pressed", String(held));
  document.title = `${waiting > 0 ? `(${waiting}) ` : ""}Event Stream · BidBeacon`;
}

function showDagster(url) {
  byId("dagster").href = url;
  byId("dagster").hidden = !/^https?:/.test(url);
}

/** Go back to live: everything that waited is shown. */
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
    const asked = filter;
    const list = await fetchJson(`${LIST}?${new URLSearchParams({ ...toQuery(filter), older_than: oldest.id, limit: PAGE })}`);
    if (asked === filter) {
      model.append(list.sessions, list.sessions.length === PAGE);
      feed.append(model.ordered());
      completeRuns();
      showEnd(1);
    }
    older.textContent = "Load older";
    if (!older.hidden && older.getBoundingClientRect().top < window.innerHeight + NEAR_END_PX) setTimeout(loadOlder);
  } catch (error) {
    older.textContent = "Older sessions could not be loaded. Try again";
    announce(error.message);
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
  const link = event.target.closest("a[href^='/sessions?'], a[href='/sessions']");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
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
new Completion(query, byId("suggestions")); // before us: Escape closes its list first
query.addEventListener("search", () => query.value === "" && byId("filter").requestSubmit());
query.addEventListener("keydown", (event) => event.key === "Escape" && query.blur());
byId("pill").addEventListener("click", togglePause);
newAbove.addEventListener("click", release);
older.addEventListener("click", loadOlder);
window.addEventListener("scroll", onScroll, { passive: true });
window.addEventListener("popstate", navigate);
document.addEventListener("click", followFilterLink);
new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && loadOlder(), { rootMargin: `${NEAR_END_PX}px` }).observe(older);
const HELP_KEYS = [["/", "go to the filter"], ["j", "next session"], ["k", "previous session"], ["Enter", "open it"], PAUSE, ["Esc", "leave the filter, close this sheet"]];
bindKeys({ keys: HELP_KEYS, filters: true }, { "/": () => query.focus(), p: togglePause, j: () => feed.moveFocus(1), k: () => feed.moveFocus(-1) });
bindZoneChoice(byId("zone"));
bindRangePicker(byId("range"), { current: () => filter, navigate: goTo });
bindSavedFilters(byId("saved"), { current: () => filter });
keepCounting();
open(fromAddress());

onZoneChange(async () => {
  await loadAccounts();
  overview.open(filter);
  overview.load();
  redraw();
});
