// All accounts with their states, each a link to its page; searchable, and sortable by columns.

import { amount } from "./account-figures.js";
import { bindBar } from "./bar.js";
import { byId, el, keepingFocus, svg } from "./dom.js";
import { LiveData } from "./live-data.js";
import { hideNotice, showNotice } from "./notice.js";
import { accountTag } from "./parts.js";
import { fetchJson } from "./stream.js";
import { fullTime, moment, now, setServerTime } from "./time.js";
import { scrollingTable } from "./words.js";

const RENEW_MS = 3_000;
const [BAR, HEIGHT] = [8, 22];

const [root, query] = [byId("content"), byId("query")];
const live = new LiveData({ read: () => fetchJson("/api/account-list"), draw, renewMs: RENEW_MS, noun: "accounts" });

const sum = ({ spend }) => (spend.every((day) => day === null) ? null : spend.reduce((total, day) => total + Number(day ?? 0), 0));
const share = ({ windows, fresh }) => (fresh === null || windows === 0 ? null : fresh / windows);

/** Columns: sort key (null is last) and cell. Amounts are sorted within their currency. */
const COLUMNS = [
  { name: "account", text: "Account", key: ({ label }) => label.toLowerCase(), cell: ({ key, label }) => el("th", { scope: "row" }, accountTag(key, label)) },
  { name: "state", text: "State", key: ({ stopped }) => stopped ?? "refreshed", cell: ({ stopped }) => el("td", { class: stopped && "bad" }, stopped ?? "refreshed") },
  { name: "fresh", text: "Fresh", isNumber: true, key: share, cell: (account) => el("td", { "data-head": "Fresh", title: `${account.fresh ?? 0} of ${account.windows} days of data` }, percent(share(account))) },
  { name: "yesterday", text: "Spend yesterday", isNumber: true, currency: true, key: ({ spend }) => spend.at(-1) && Number(spend.at(-1)), cell: ({ spend, to, currency }) => el("td", { title: to }, spend.at(-1) === null ? "not loaded" : `${amount(spend.at(-1))} ${currency}`) },
  { name: "days", text: "14 days", isNumber: true, currency: true, key: sum, cell: (account) => el("td", {}, sparkline(account)) },
  { name: "next", text: "Next refresh", key: ({ next_at: at }) => at && Date.parse(at), cell: ({ next_at: at }) => el("td", { "data-head": "Next refresh", title: at && fullTime(at) }, nextText(at)) },
];

const percent = (value) => (value === null ? "–" : `${Math.floor(value * 1000) / 10} %`);
const nextText = (at) => (at === null ? "–" : Date.parse(at) <= now() ? "now" : moment(at));

/** A bar per day; days that are not loaded have a mark at the foot. */
function sparkline({ spend, currency, from, to, label }) {
  const known = spend.filter((day) => day !== null).map(Number);
  const [highest, holes] = [Math.max(1e-6, ...known), spend.length - known.length];
  const range = known.length === 0 ? "no day is loaded" : `${amount(String(Math.min(...known)))} to ${amount(String(Math.max(...known)))} ${currency} a day${holes > 0 ? `, ${holes} ${holes === 1 ? "day is" : "days are"} not loaded` : ""}`;
  const bars = spend.map((day, place) => {
    const height = day === null ? 2 : Math.max(1, (Number(day) / highest) * HEIGHT);
    return svg("rect", { class: day === null ? "hole" : "spend", x: place * BAR + 1, y: HEIGHT - height, width: BAR - 2, height });
  });
  return svg("svg", { class: "spend-days", viewBox: `0 0 ${spend.length * BAR} ${HEIGHT}`, role: "img", "aria-label": `${label}, spend from ${from} to ${to}: ${range}` }, ...bars);
}

/** The column and direction of the address: `?sort=-yesterday` is the highest first. */
function chosenSort() {
  const sort = new URLSearchParams(location.search).get("sort") ?? "";
  const column = COLUMNS.find(({ name }) => name === sort.replace(/^-/, "")) ?? COLUMNS[0];
  return { column, isDescending: sort.startsWith("-") };
}

function compare({ column, isDescending }, one, other) {
  const [a, b] = [column.key(one), column.key(other)];
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const currencies = column.currency ? one.currency.localeCompare(other.currency) : 0;
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return currencies || (isDescending ? -order : order) || one.label.localeCompare(other.label);
}

/** A button in the head, for mouse and keyboard; numbers are first sorted descending. */
function head(column, sort) {
  const isChosen = column === sort.column;
  const isDescending = isChosen ? !sort.isDescending : column.isNumber === true;
  const mark = isChosen ? (sort.isDescending ? " ↓" : " ↑") : "";
  const press = () => address({ sort: `${isDescending ? "-" : ""}${column.name}` });
  const order = isChosen ? (sort.isDescending ? "descending" : "ascending") : null;
  return el("th", { scope: "col", "aria-sort": order }, el("button", { type: "button", class: "sort", "data-key": column.name, on: { click: press } }, column.text, el("span", { "aria-hidden": "true" }, mark)));
}

/** Change parameters of the address, and redraw. */
function address(changes) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) value ? parameters.set(name, value) : parameters.delete(name);
  history.replaceState(null, "", `/accounts${parameters.size > 0 ? `?${parameters}` : ""}`);
  live.redraw();
}

function draw({ accounts, at }) {
  setServerTime(at);
  hideNotice();
  root.setAttribute("aria-busy", "false");
  if (accounts.length === 0) showNotice("empty", byId("no-accounts").content.cloneNode(true));
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const sort = chosenSort();
  const found = accounts.filter(({ key, label }) => words.every((word) => `${label} ${key}`.toLowerCase().includes(word))).sort((one, other) => compare(sort, one, other));
  const rows = found.map((account) => el("tr", { "data-key": account.key }, COLUMNS.map(({ cell }) => cell(account))));
  const heads = COLUMNS.map((column) => head(column, sort));
  keepingFocus(root, () =>
    root.replaceChildren(
      el("p", { class: "quiet", role: "status" }, found.length === accounts.length ? `${accounts.length} accounts` : `${found.length} of ${accounts.length} accounts`),
      scrollingTable("Accounts", "jobs list account-list", heads, rows),
    ),
  );
}

query.value = new URLSearchParams(location.search).get("search") ?? "";
byId("filter").addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", () => address({ search: query.value }));
bindBar({ "/": () => query.focus(), p: () => live.togglePause() }, () => live.redraw());
live.open();
