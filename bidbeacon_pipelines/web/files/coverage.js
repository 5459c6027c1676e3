// A dataset's windows by account and day: states and reasons, live; the view is in the address.

import { CellDetail } from "./cell-detail.js";
import { bindBar } from "./bar.js";
import { CoverageMap } from "./coverage-map.js";
import { NONE, STATES, leftOutByDay, readColors, stateMark } from "./coverage-states.js";
import { coverageTable } from "./coverage-table.js";
import { dayAfter, daysBetween } from "./days.js";
import { byId, el, keepingFocus, linkOf, reconcile } from "./dom.js";
import { LiveData } from "./live-data.js";
import { hideNotice, showNotice } from "./notice.js";
import { fetchJson } from "./stream.js";
import { onThemeChange } from "./theme.js";
import { clock, setServerTime } from "./time.js";
import { sum } from "./words.js";
import { putIntoAddress, zoneName, zoneParameters } from "./zone.js";

const KEYS = ["dataset", "days", "to", "accounts", "state", "view", "account", "window"];
const SPANS = { 30: "30 days", 91: "3 months", 456: "15 months", 731: "24 months" };
const NOTHING_CHOSEN = { account: null, window: null };
const DAY = /^20\d\d-\d\d-\d\d$/;
const USUAL_DAYS = "91";
const RENEW_MS = 2_500;

const [box, query] = ["map", "query"].map(byId);
const map = new CoverageMap({ onChoose: (account, window) => go({ account, window }) });
const labelOf = (key) => data?.accounts.find((account) => account.key === key)?.label;
const detail = new CellDetail(byId("detail"), { onClose: closeDetail, labelOf });
let params = read();
let data = /** @type {any} */ (null);
const live = new LiveData({ read: fetchCoverage, draw: show, renewMs: RENEW_MS, noun: "windows", concerns });

function read() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.filter((key) => given.get(key)).map((key) => [key, given.get(key)]));
}

/** The address with some of its parameters changed; those that are null are removed. */
function addressWith(changes) {
  const wanted = { ...params, ...changes, ...zoneParameters() };
  const given = Object.entries(wanted).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `/coverage${given.length > 0 ? `?${new URLSearchParams(given)}` : ""}`;
}

function goTo(address, how = "pushState") {
  history[how](null, "", address);
  navigate();
}

const go = (changes) => goTo(addressWith(changes));

function navigate() {
  const before = params;
  params = read();
  putIntoAddress();
  const isSame = ["dataset", "days", "to"].every((key) => before[key] === params[key]);
  if (before.dataset !== params.dataset) open();
  else if (!isSame || (live.value && endThatShows(params.window, live.value))) live.renew();
  else live.redraw();
}

const open = () => live.open(params.dataset ? { dataset: params.dataset } : {});

/** Whether a session may have changed the shown windows; it may if its actions are unknown. */
function concerns(_, actions) {
  return live.value === null || actions.length === 0 || actions.some(({ payload }) => payload.dataset === live.value.dataset);
}

async function fetchCoverage() {
  const found = await fetchDays();
  setServerTime(found.at);
  return withLeftOut(withoutEmptyEnd(found));
}

/** Fetch the days of the address; if the chosen one is not among them, those around it. */
async function fetchDays() {
  const wanted = { dataset: params.dataset, days: params.days ?? USUAL_DAYS, to: params.to };
  const found = await fetchJson(`/api/coverage?${new URLSearchParams(/** @type {any} */ (Object.entries(wanted).filter(([, value]) => value)))}`);
  const to = endThatShows(params.window, found);
  if (to === null || to === params.to) return found;
  history.replaceState(null, "", addressWith({ to }));
  params = read();
  return fetchDays();
}

/** The last day of a range with the window, in the middle if it is old; null if it is visible. */
function endThatShows(window, { from, to }) {
  if (!DAY.test(window ?? "") || (from <= window && window <= to)) return null;
  return window > to ? window : dayAfter(window, Math.floor(daysBetween(from, to) / 2));
}

/** Hide days that have not started for any account, unless requested or the only ones. */
function withoutEmptyEnd(found) {
  if (!hasWindows(found)) return found;
  let days = found.accounts[0]?.cells.length ?? 0;
  const least = params.window ? daysBetween(found.from, params.window) + 1 : 1;
  while (!params.to && days > Math.max(1, least) && found.accounts.every(({ cells }) => cells[days - 1] === NONE)) days -= 1;
  const accounts = found.accounts.map((account) => ({ ...account, cells: account.cells.slice(0, days) }));
  return { ...found, accounts, days, to: dayAfter(found.from, days - 1) };
}

/** Each account with the names of the campaigns that are left out of its days. */
function withLeftOut(found) {
  const days = Array.from({ length: found.accounts[0]?.cells.length ?? 0 }, (_, place) => dayAfter(found.from, place));
  return { ...found, accounts: found.accounts.map((account) => ({ ...account, leftOut: leftOutByDay(account, days) })) };
}

function show(value) {
  data = value;
  readColors();
  const accounts = wantedAccounts();
  const chosen = params.account && params.window ? { account: params.account, window: params.window } : null;
  query.value = document.activeElement === query ? query.value : (params.accounts ?? "");
  document.title = `Coverage of ${data.dataset} · BidBeacon`;
  drawChoices(accounts);
  if (!showEmpty(accounts)) {
    hideNotice();
    if (params.view === "table") keepingFocus(box, () => box.replaceChildren(coverageTable(data, accounts, (account, window) => addressWith({ account, window }))));
    else reconcile(box, [map.element]);
    if (params.view !== "table") map.show(data, accounts, chosen, [data.dataset, params.days, params.to].join(" "));
  }
  box.setAttribute("aria-busy", "false");
  detail.show(chosen && { dataset: data.dataset, ...chosen });
}

function wantedAccounts() {
  const words = (params.accounts ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const letter = Object.keys(STATES).find((one) => STATES[one].name === params.state);
  return data.accounts.filter(({ key, label, cells }) => words.every((word) => `${key} ${label}`.toLowerCase().includes(word)) && (!letter || cells.includes(letter)));
}

const hasWindows = ({ accounts }) => accounts.some(({ cells }) => /[^-]/.test(cells));

/** Three kinds of empty: no accounts at all, none that match, no windows in these days. */
function showEmpty(accounts) {
  if (data.accounts.length === 0) showNotice("empty", byId("no-accounts").content.cloneNode(true));
  else if (!hasWindows(data)) showNotice("empty", el("h2", {}, "No windows in these days"), el("p", {}, `Nothing of ${data.dataset} from ${data.from} to ${data.to}. An account’s windows are made at its first refresh, back to what Amazon serves.`), (params.to || params.days) && el("a", { class: "button", href: addressWith({ to: null, days: null, ...NOTHING_CHOSEN }) }, "Show the newest days"));
  else if (accounts.length === 0) showNotice("empty", el("h2", {}, "No account matches"), el("p", {}, "None of the ", String(data.accounts.length), " accounts has ", el("code", {}, [params.accounts, params.state && `state: ${params.state}`].filter(Boolean).join(", ")), "."), el("a", { class: "button", href: addressWith({ accounts: null, state: null }) }, "Show all accounts"));
  else return false;
  box.replaceChildren();
  return true;
}

function drawChoices(accounts) {
  const select = byId("dataset");
  if (select.options.length === 0) select.append(...data.datasets.map(({ name, title }) => new Option(`${name} · ${title}`, name)));
  select.value = data.dataset;
  const days = params.days ?? USUAL_DAYS;
  chips("days", Object.entries(SPANS).map(([value, name]) => [name, { days: value === USUAL_DAYS ? null : value }, days === value]));
  const shown = Number(days);
  chips("paging", [["← Earlier", { to: dayAfter(data.to, -shown), ...NOTHING_CHOSEN }], ["Later →", { to: dayAfter(data.to, shown), ...NOTHING_CHOSEN }], params.to && ["Newest", { to: null, ...NOTHING_CHOSEN }]].filter(Boolean));
  chips("shapes", [["Map", { view: null }, params.view !== "table"], ["Table", { view: "table" }, params.view === "table"]]);
  drawLegend();
  byId("hint").hidden = params.view === "table";
  byId("as-of").textContent = `${accounts.length === data.accounts.length ? `${accounts.length} accounts` : `${accounts.length} of ${data.accounts.length} accounts`}, ${data.from} to ${data.to} · as of ${clock(data.at)} ${zoneName()}`;
}

function chips(id, rows) {
  const links = rows.map(([text, changes, isCurrent]) => el("a", { class: "chip", "data-key": text, href: addressWith(changes), "aria-current": isCurrent && "true" }, text));
  keepingFocus(byId(id), () => byId(id).replaceChildren(...links));
}

function drawLegend() {
  const rows = Object.entries(STATES).map(([letter, { name, meaning }]) => {
    const count = data.accounts.reduce((total, { cells }) => total + cells.split(letter).length - 1, 0);
    const isCurrent = params.state === name;
    const link = el("a", { class: "chip", "data-key": name, href: addressWith({ state: isCurrent ? null : name }), "aria-current": isCurrent && "true", title: `${meaning}: ${isCurrent ? "show all accounts" : "only accounts that have one"}` }, stateMark(letter), ` ${name} `, el("b", {}, count.toLocaleString("en")));
    return count > 0 || isCurrent ? el("li", {}, link) : null;
  });
  keepingFocus(byId("states"), () => byId("states").replaceChildren(...[...rows, leftOutEntry()].filter(Boolean)));
}

/** The legend of days without some campaigns, if there are any. */
function leftOutEntry() {
  const count = sum(data.accounts.map(({ leftOut }) => leftOut.filter((names) => names.length > 0).length));
  const meaning = " (Amazon reports no numbers of campaigns without ad groups)";
  return count > 0 ? el("li", { class: "left-out" }, "campaigns left out ", el("b", {}, count.toLocaleString("en")), meaning) : null;
}

function closeDetail() {
  go(NOTHING_CHOSEN);
  if (map.element.isConnected) map.cursor.focus({ preventScroll: true });
}

/** Links that stay in this view need no new page. */
function followLink(event) {
  const link = linkOf(event, "a[href^='/coverage']");
  if (!link) return;
  event.preventDefault();
  goTo(link.getAttribute("href"));
}

byId("filter").addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", () => goTo(addressWith({ accounts: query.value.trim() || null }), "replaceState"));
query.addEventListener("keydown", (event) => event.key === "Escape" && query.blur());
byId("dataset").addEventListener("change", (event) => go({ dataset: event.target.value }));
window.addEventListener("popstate", navigate);
document.addEventListener("click", followLink);
onThemeChange(() => live.redraw());
bindBar({ "/": () => query.focus(), p: () => live.togglePause(), Escape: () => params.window && closeDetail() }, () => live.redraw());
open();
