// The queue: open requests, what each waits for, and what limits them all.

import { bindBar } from "./bar.js";
import { byId, el, keepingFocus } from "./dom.js";
import { LiveData } from "./live-data.js";
import { hideNotice } from "./notice.js";
import { fetchJson } from "./stream.js";
import { setServerTime } from "./time.js";
import { counted, number, scrollingTable, sum, when } from "./words.js";

const KEYS = ["account", "dataset", "state", "cause"];
const [RENEW_MS, MORE, MOST] = [2_500, 200, 5_000];
const HEADS = ["State", "Account", "What happens next", "Report", "Days", "Attempt", "Since"];

const query = byId("query");
const live = new LiveData({ read, draw, renewMs: RENEW_MS, noun: "queue" });
const bottom = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && showMore());
let limit = MORE;

function chosen() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.filter((key) => given.get(key)).map((key) => [key, given.get(key)]));
}

function addressWith(changes) {
  const wanted = new URLSearchParams(/** @type {any} */ (Object.entries({ ...chosen(), ...changes }).filter(([, value]) => value)));
  return `/queue${wanted.size > 0 ? `?${wanted}` : ""}`;
}

function go(changes) {
  history.pushState(null, "", addressWith(changes));
  open();
}

function open() {
  limit = MORE;
  query.value = chosen().account ?? "";
  live.open();
}

async function read() {
  const data = await fetchJson(`/api/queue?${new URLSearchParams({ ...chosen(), limit: String(limit) })}`);
  setServerTime(data.at);
  return data;
}

/** Read more rows when the end of the table is seen. */
function showMore() {
  const { matching, requests } = live.value;
  if (requests.length >= Math.min(matching, MOST) || requests.length < limit) return;
  limit += MORE;
  live.renew();
}

function draw(data) {
  hideNotice();
  put("head", headSection(data));
  put("limits", limitsSection(data));
  put("requests", requestsSection(data));
  byId("content").setAttribute("aria-busy", "false");
  bottom.disconnect();
  const last = byId("requests").querySelector("tbody tr:last-child");
  if (last) bottom.observe(last);
}

function put(id, children) {
  byId(id).hidden = false;
  keepingFocus(byId(id), () => byId(id).replaceChildren(...children.filter(Boolean)));
}

const classOf = (state) => state.replaceAll(" ", "-").toLowerCase();

function headSection({ counts }) {
  const { state: current } = chosen();
  const all = sum(Object.values(counts));
  const chips = Object.entries(counts).map(([state, count]) =>
    el("a", { class: `chip state ${classOf(state)}`, href: addressWith({ state: state === current ? null : state }), "data-key": state, "aria-current": state === current && "true" }, el("i", { class: `dot ${classOf(state)}` }), `${number(count)} ${state}`),
  );
  const title = all === 0 ? "No report is requested or planned" : counted(all, "report request");
  return [el("div", { class: "queue-head" }, el("h1", {}, title), el("div", { class: "states" }, chips))];
}

function limitsSection({ gates, loads }) {
  const rows = gates.map((gate) => [`Reports in ${gate.region}`, `${number(gate.in_flight)} of ${number(gate.places)} slots are in use, ${number(gate.planned)} planned, ${number(gate.created)} requested in the last hour.`, gate.limit && [" ", el("b", {}, gate.limit)]]);
  rows.push(["Loads", `${number(loads.running)} of ${number(loads.at_once)} are running; ${counted(loads.last_hour, "report")} with ${counted(loads.rows_last_hour, "row")} loaded in the last hour.`, loads.limit && [" ", el("b", {}, loads.limit)]]);
  return [el("h2", { id: "limits-title" }, "What limits it"), el("dl", { class: "limits" }, rows.map(([name, ...value]) => [el("dt", {}, name), el("dd", {}, value.flat())]).flat())];
}

function requestsSection({ requests, matching, datasets }) {
  const { dataset, account, state, cause } = chosen();
  const options = ["", ...datasets].map((name) => el("option", { value: name, selected: name === (dataset ?? "") }, name || "all datasets"));
  const select = el("select", { "data-key": "dataset", on: { change: (event) => go({ dataset: event.target.value }) } }, options);
  const isNarrowed = dataset || account || state || cause;
  const tools = el("div", { class: "queue-tools" }, el("label", {}, "Dataset ", select), el("span", { class: "quiet", role: "status" }, shownText(requests.length, matching), cause && ` whose last attempt failed with ${cause}`), isNarrowed && el("a", { href: "/queue", "data-key": "all" }, "Show all"));
  const table = requests.length > 0 && scrollingTable("Report requests", "jobs list queue", HEADS, requests.map(requestRow));
  return [el("h2", { id: "requests-title" }, "Requests"), tools, table];
}

const shownText = (shown, matching) => (shown === matching ? counted(matching, "request") : `the first ${number(shown)} of ${counted(matching, "request")}`);

function requestRow(request) {
  const { id, dataset, report, from, to, days, state, attempt, attempts, failure, session } = request;
  const next = session ? el("a", { href: session }, request.next_step) : request.next_step;
  return el(
    "tr",
    { "data-key": id },
    el("th", { scope: "row" }, el("i", { class: `dot ${classOf(state)}` }), state),
    el("td", { class: "countries" }, accountCell(request)),
    el("td", { class: "next" }, next, failure && el("small", {}, `The last attempt failed: ${failure}`)),
    el("td", {}, dataset, el("small", {}, report)),
    el("td", {}, days === 1 ? from : `${from} to ${to}`, days > 1 && el("small", {}, `${number(days)} days`)),
    el("td", {}, attempt > 0 && `${attempt} of ${attempts}`),
    el("td", {}, when(request.since), request.wanted_by.length > 0 && el("small", {}, `wanted by ${request.wanted_by.join(", ")}`)),
  );
}

/** The ads account, and its countries as links to their accounts: one report covers all of them. */
const accountCell = ({ name, accounts }) => [el("bdi", {}, name), ...accounts.map(({ key, label }) => el("a", { href: `/accounts/${encodeURIComponent(key)}`, "data-key": key, title: label }, label.split(" · ").at(-1)))];

async function nameAccounts() {
  const { accounts } = await fetchJson("/api/accounts");
  byId("account-names").replaceChildren(...accounts.map(({ label }) => el("option", { value: label })));
}

query.setAttribute("list", "account-names");
query.addEventListener("focus", () => nameAccounts().catch(() => {}), { once: true });
byId("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  go({ account: query.value.trim() });
});
document.addEventListener("click", (event) => {
  const link = /** @type {any} */ (event.target).closest("a[href^='/queue']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  open();
});
window.addEventListener("popstate", open);
bindBar({ "/": () => query.focus(), p: () => live.togglePause() }, () => live.redraw());
open();
