// Trends of Home: how long the steps of reports took, as four charts, with what changed meanwhile.

import { byId, el, keepingFocus, linkOf, reconcile, svg } from "./dom.js";
import { fetchJson } from "./stream.js";
import { duration, minute, shortDay } from "./time.js";
import { counted, number, scrollingTable, when } from "./words.js";

const RENEW_MS = 60_000;
const HEIGHT = 56;
const SPANS = [7, 30];

// Made once, so that they stay open and focused when the trends are read again.
const marksFold = fold("New versions, changes of the contract, pauses and resumes");
const reportsFold = fold("From created to complete by report, the slowest first");
let trends = /** @type {any} */ (null);
let readAt = -RENEW_MS;

const chosen = () => (new URLSearchParams(location.search).get("days") === "30" ? 30 : 7);

/** Read the trends, at most once a minute, and show them. */
export async function renewTrends() {
  if (performance.now() - readAt < RENEW_MS) return;
  readAt = performance.now();
  try {
    const read = await fetchJson(`/api/trends?days=${chosen()}`);
    if (read.days !== chosen()) return; // the other span was chosen meanwhile
    trends = read;
    drawTrends();
  } catch {
    if (trends === null || trends.days !== chosen()) show(() => [el("p", { class: "quiet" }, "The trends could not be loaded. They are read again in a minute.")]);
  }
}

/** Show the trends that were read, if any. */
export function drawTrends() {
  if (trends !== null) show(() => sections(trends));
}

function show(children) {
  const box = byId("trends");
  box.hidden = false;
  const links = SPANS.map((days) => el("a", { class: "chip", href: addressOf(days), "data-days": days, "aria-current": days === chosen() && "true" }, `${days} days`));
  const head = el("div", { class: "trends-head" }, el("h2", { id: "trends-title" }, "Trends"), links);
  keepingFocus(box, () => reconcile(box, [head, ...children().filter(Boolean)]));
}

function fold(title) {
  return el("details", { class: "known" }, el("summary", {}, title), el("div"));
}

function filled(details, ...children) {
  details.lastElementChild?.replaceChildren(...children);
  return details;
}

function addressOf(days) {
  const url = new URL(location.href);
  url.searchParams.set("days", String(days));
  return url.pathname + url.search;
}

function sections(data) {
  if (data.charts.every(({ text }) => text === null)) return [el("p", { class: "quiet" }, `No report ended in the last ${data.days} days.`)];
  return [
    el("p", { class: "answer" }, data.sentence),
    el("div", { class: "trend-charts" }, data.charts.map((chart) => figure(chart, data))),
    el("p", { class: "quiet" }, "Line: p50, light line: p95, of the reports that ended in an interval. Bars: requests that Amazon throttled (429). Vertical line: a change."),
    data.marks.length > 0 && changes(data.marks),
    data.reports.length > 0 && reportTable(data.reports),
  ];
}

function figure(chart, data) {
  const { name, title, text, values, p95 } = chart;
  const heading = el("h3", {}, title);
  if (text === null) return el("figure", {}, heading, el("p", { class: "quiet" }, "No times yet."));
  const throttled = name === "created_to_complete" ? data.throttled : [];
  const calls = throttled.map((one) => (one ? one.creates + one.others : 0));
  const count = calls.reduce((all, one) => all + one, 0);
  const top = Math.max(1e-9, ...values, ...p95);
  const most = Math.max(1, ...calls);
  const words = [text, `at most ${shown(name, top)}`, count > 0 && `${counted(count, "request")} throttled (429)`].filter(Boolean).join("; ");
  const drawing = svg(
    "svg",
    { class: "trend", viewBox: `0 0 ${values.length} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}, ${data.days} days. ${words}` },
    ...calls.flatMap((calls, place) => (calls > 0 ? [svg("rect", { class: "throttled", x: place + 0.2, width: 0.6, y: HEIGHT - (calls / most) * (HEIGHT / 3), height: (calls / most) * (HEIGHT / 3) })] : [])),
    ...data.marks.map(({ at }) => svg("path", { class: "mark", d: `M${placeOf(at, data)} 0V${HEIGHT}` })),
    svg("path", { class: "p95", d: line(p95, top) }),
    svg("path", { class: "p50", d: line(values, top) }),
    ...values.map((_, place) => svg("rect", { class: "interval", x: place, width: 1, y: 0, height: HEIGHT }, svg("title", {}, intervalText(chart, throttled, place, data)))),
  );
  const end = Date.parse(data.start) + values.length * data.seconds * 1000;
  return el("figure", {}, heading, el("p", { class: "quiet" }, words), drawing, el("figcaption", {}, el("span", {}, shortDay(data.start)), el("span", {}, shortDay(end))));
}

const shown = (name, value) => (name === "rows_an_hour" ? number(Math.round(value)) : duration(value));
const placeOf = (at, { start, seconds }) => (Date.parse(at) - Date.parse(start)) / 1000 / seconds;

/** The path through the middle of each interval; it has a gap where a value is not known. */
function line(values, top) {
  const point = (value, place) => `${place + 0.5} ${HEIGHT - 2 - (value / top) * (HEIGHT - 4)}`;
  const isGap = (place) => (values[place] ?? null) === null;
  return values.map((value, place) => (isGap(place) ? "" : `${isGap(place - 1) ? "M" : "L"}${point(value, place)}${isGap(place - 1) && isGap(place + 1) ? "h0" : ""}`)).join("");
}

/** What the values of an interval are, and what changed in it. */
function intervalText({ name, values, p95 }, throttled, place, data) {
  const at = Date.parse(data.start) + place * data.seconds * 1000;
  const value = values[place] === null ? "no reports" : shown(name, values[place]);
  const high = (p95[place] ?? null) === null ? "" : ` (p50), ${shown(name, p95[place])} (p95)`;
  const calls = throttled[place] && `Throttled (429): ${counted(throttled[place].creates, "create")}, ${counted(throttled[place].others, "other request")}`;
  const marks = data.marks.filter((mark) => Math.floor(placeOf(mark.at, data)) === place).flatMap(textsOf);
  return [`From ${shortDay(at)}, ${minute(at)}: ${value}${high}`, calls, ...marks].filter(Boolean).join("\n");
}

const textsOf = ({ texts, more }) => [...texts, ...(more > 0 ? [`and ${counted(more, "more change")}`] : [])];

function changes(marks) {
  const rows = marks.toReversed().map((mark) => el("li", {}, when(mark.at), ": ", el("bdi", {}, textsOf(mark).join(" · "))));
  return filled(marksFold, el("ul", { class: "changes" }, rows));
}

function reportTable(reports) {
  const heads = ["Report", "Reports", "p50", "p95", "p50 the week before"];
  const rows = reports.map(({ dataset, report, reports: count, p50, p95, p50_before: before }) =>
    el("tr", {}, el("th", { scope: "row" }, dataset, " ", el("small", {}, report)), el("td", {}, number(count)), el("td", {}, duration(p50)), el("td", {}, duration(p95)), el("td", {}, before === null ? "–" : duration(before))),
  );
  return filled(reportsFold, scrollingTable("Times of each report in the last 7 days", "jobs", heads, rows));
}

byId("trends").addEventListener("click", (event) => {
  const link = linkOf(event, "a[data-days]");
  if (!link) return;
  event.preventDefault();
  history.replaceState(history.state, "", addressOf(link.dataset.days));
  readAt = -RENEW_MS;
  renewTrends();
});
