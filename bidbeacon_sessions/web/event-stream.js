// The Event Stream page: the newest sessions, live, and never moving what is being read.

import { el, reconcile } from "./dom.js";
import { STATUSES, fromAddress, parse, toAddress, toText } from "./filters.js";
import { Model } from "./model.js";
import { hideNotice, showEmpty, showError } from "./notice.js";
import { showPill } from "./pill.js";
import { SessionCard } from "./session-card.js";
import { Stream, fetchJson } from "./stream.js";
import { dayKey, dayName, keepCounting, setServerTime, zoneName } from "./time.js";

const LIST = "/api/job-sessions";
const PAGE = 50;
const MOST_LIVE = 300;
const HOLD_BELOW_PX = 48;

const byId = (id) => document.getElementById(id);
const [feed, skeleton, older, end, newAbove, query, problem] = ["feed", "skeleton", "older", "end", "new-above", "query", "query-problem"].map(byId);

const model = new Model();
const cards = new Map();
const days = new Map();
let filter = {};
let stream = null;
let state = { name: "connecting", asOf: null };
let isPaused = false;
let waiting = 0;
let isDrawn = false;

const isHeld = () => isPaused || window.scrollY > HOLD_BELOW_PX;

function open(nextFilter) {
  stream?.close();
  filter = nextFilter;
  query.value = toText(filter);
  showStatuses();
  isDrawn = false;
  cards.clear();
  state = { name: "connecting", asOf: null };
  stream = new Stream({ query: filter, load, onUpdate, onGone, onState });
  stream.start();
  showFreshness();
}

async function load() {
  const asked = filter;
  const list = await fetchJson(`${LIST}?${new URLSearchParams({ ...filter, limit: PAGE })}`);
  if (asked !== filter) return list.cursor;
  setServerTime(list.server_time);
  showDagster(list.dagster_url);
  model.replace(list.sessions, list.sessions.length === PAGE);
  if (isDrawn && isHeld()) waiting += 1;
  else draw();
  return list.cursor;
}

function onUpdate(session, actions) {
  if (!model.get(session.id) && model.isBeforeLoaded(session)) return;
  waiting += model.merge(session, actions);
  const known = model.get(session.id);
  if (known.actions.length < session.action_count && known.actions.length === actions.length) loadAll(session.id);
  scheduleDraw();
}

function onGone(id) {
  if (model.remove(id)) scheduleDraw();
}

function onState(next) {
  state = next;
  if (next.error && !isDrawn) showError(next.error, () => stream.hurry());
  showFreshness();
}

/** Load every action of a session; where that fails, its fold stays and can be opened again. */
async function loadAll(id) {
  const found = await fetchJson(`${LIST}/${id}`).catch(() => null);
  if (!found || !model.get(id)) return;
  const { actions, ...session } = found.session;
  model.merge(session, actions);
  cards.get(id)?.update(model.get(id));
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
  drawFeed();
  showFreshness();
}

function drawFeed() {
  const entries = model.ordered();
  const nodes = [];
  let day = null;
  for (const entry of entries) {
    const key = dayKey(entry.session.started_at);
    if (key !== day) nodes.push(dayHeading((day = key), entry.session.started_at));
    nodes.push(card(entry));
  }
  const shown = new Set(entries.map(({ session }) => session.id));
  for (const id of cards.keys()) if (!shown.has(id)) cards.delete(id);
  reconcile(feed, nodes);
  feed.setAttribute("aria-busy", "false");
  skeleton.hidden = true;
  older.hidden = !model.hasOlder;
  end.hidden = model.hasOlder || entries.length === 0;
  if (entries.length === 0) showEmpty(toText(filter));
  else hideNotice();
}

function card(entry) {
  const known = cards.get(entry.session.id);
  if (known) known.update(entry);
  else cards.set(entry.session.id, new SessionCard(entry, { askForAll: loadAll }));
  return cards.get(entry.session.id).element;
}

function dayHeading(key, instant) {
  if (!days.has(key)) days.set(key, el("h2", { class: "day" }, el("span", {}), el("small", {}, zoneName)));
  days.get(key).firstChild.textContent = dayName(instant);
  return days.get(key);
}

function showFreshness() {
  const held = isHeld() && isDrawn;
  showPill(state, { isHeld: held, waiting });
  newAbove.hidden = !(held && waiting > 0 && window.scrollY > HOLD_BELOW_PX);
  newAbove.textContent = `↑ ${waiting} new`;
  byId("pill").setAttribute("aria-pressed", String(held));
  document.title = `${waiting > 0 ? `(${waiting}) ` : ""}Event Stream · BidBeacon`;
}

function showStatuses() {
  const links = ["", ...STATUSES].map((status) => {
    const { status: _, ...rest } = filter;
    const target = status ? { ...rest, status } : rest;
    const isCurrent = (filter.status ?? "") === status;
    return el("a", { class: "chip", href: toAddress(target), "aria-current": isCurrent && "true" }, status || "all");
  });
  byId("statuses").replaceChildren(...links);
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
  try {
    const asked = filter;
    const list = await fetchJson(`${LIST}?${new URLSearchParams({ ...filter, before: oldest.started_at, limit: PAGE })}`);
    if (asked === filter) {
      const held = waiting;
      model.append(list.sessions, list.sessions.length === PAGE);
      appendBelow();
      waiting = held;
    }
  } catch (error) {
    older.textContent = `${error.message} Try again`;
  } finally {
    isLoadingOlder = false;
  }
}

/** Show older sessions below what is there, leaving what waits above for later. */
function appendBelow() {
  const nodes = [...feed.childNodes];
  let day = nodes.findLast((node) => node.matches("h2"));
  for (const entry of model.ordered()) {
    if (cards.has(entry.session.id) || isNewerThanDrawn(entry)) continue;
    const heading = dayHeading(dayKey(entry.session.started_at), entry.session.started_at);
    if (heading !== day) nodes.push((day = heading));
    nodes.push(card(entry));
  }
  reconcile(feed, nodes);
  older.hidden = !model.hasOlder;
  end.hidden = model.hasOlder;
}

function isNewerThanDrawn({ session }) {
  const last = model.get(feed.lastElementChild?.dataset.id);
  return last !== undefined && Date.parse(session.started_at) > Date.parse(last.session.started_at);
}

function submitFilter(event) {
  event.preventDefault();
  const { filter: next, problem: wrong } = parse(query.value);
  problem.hidden = !wrong;
  problem.textContent = wrong ?? "";
  if (!next) return;
  history.pushState(null, "", toAddress(next));
  navigate();
}

function navigate() {
  problem.hidden = true;
  window.scrollTo({ top: 0, behavior: "instant" });
  isPaused = false;
  waiting = 0;
  open(fromAddress());
}

/** Links that only change the filter need no new page. */
function followFilterLink(event) {
  const link = event.target.closest("a[href^='/?'], a[href='/']");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  navigate();
}

function onKey(event) {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key === "Escape" && event.target === query) query.blur();
  if (event.target.matches("input, textarea, select")) return;
  const action = { "/": () => query.focus(), p: togglePause, j: () => moveFocus(1), k: () => moveFocus(-1) }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function moveFocus(step) {
  const links = [...feed.querySelectorAll(".job")];
  const here = links.indexOf(document.activeElement?.closest(".session")?.querySelector(".job"));
  const next = links[Math.min(links.length - 1, Math.max(0, here + step))];
  next?.focus();
}

let wasHeld = false;
function onScroll() {
  const held = isHeld();
  if (wasHeld && !held) draw();
  else if (held !== wasHeld) showFreshness();
  wasHeld = held;
}

byId("filter").addEventListener("submit", submitFilter);
query.addEventListener("search", () => query.value === "" && byId("filter").requestSubmit());
byId("pill").addEventListener("click", togglePause);
newAbove.addEventListener("click", release);
older.addEventListener("click", loadOlder);
window.addEventListener("scroll", onScroll, { passive: true });
window.addEventListener("popstate", navigate);
document.addEventListener("click", followFilterLink);
document.addEventListener("keydown", onKey);
new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && loadOlder(), { rootMargin: "600px" }).observe(older);
keepCounting();
open(fromAddress());
