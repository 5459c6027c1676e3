// The sections of Home, each from its figures: verdict, findings, data, jobs, limits.

import { el, svg } from "./dom.js";
import { findingList } from "./home-findings.js";
import { statusIcon, toneIcon } from "./icons.js";
import { duration } from "./time.js";
import { counted, number, percent, scrollingTable, sum, when } from "./words.js";

const ALL_DAYS = 731;
// From fine to worst, as on the map.
const FINE = ["fresh", "missing"];
const GOING_ON = ["requested", "loading", "due"];
const AT_REST = ["not served", "paused", "disabled"];
const BAD = ["late at Amazon", "unconfirmed", "suspicious", "late", "needs attention", "failed", "expired"];
const STATES = [...FINE, ...GOING_ON, ...AT_REST, ...BAD];
const WHAT_A_WINDOW_IS = "A window is one day of one report of an account";

/** Each section's figures, and the function that renders them; null hides the section. */
export const SECTIONS = {
  verdict: { figures: ({ findings, more_findings: more, accounts, datasets, starting, fill, is_sandbox: sandbox }) => [findings.map(({ severity, acknowledged }) => [severity, acknowledged]), more, accounts, datasets, starting, fill, sandbox], render: verdict },
  findings: { figures: ({ findings, more_findings: more }) => [findings, more], render: findingList },
  datasets: { figures: ({ datasets }) => datasets, render: datasetList },
  jobs: { figures: ({ jobs }) => jobs, render: jobTable },
  limits: { figures: ({ limits: figures }) => figures, render: limits },
};

const stateSum = (dataset, states) => sum(states.map((state) => dataset.states[state] ?? 0));
const classOf = (state) => state.replaceAll(" ", "-").toLowerCase();
const heading = (id, text) => el("h2", { id: `${id}-title` }, text);

/** The verdict `{level, title}`; `level` is ok, warning, failure, or empty if unknown. */
export function verdictOf({ findings, more_findings: more, accounts, starting, fill }) {
  const open = findings.filter(({ acknowledged }) => acknowledged === null).map(({ severity }) => severity);
  const failures = open.filter((severity) => severity === "error").length + more;
  const warnings = open.filter((severity) => severity === "warning").length;
  if (starting !== null && failures === 0) return { level: "empty", title: "Starting" };
  if (accounts.accounts === 0 && failures === 0) return { level: "empty", title: "Nothing is set up yet" };
  if (failures > 0) return { level: "failure", title: `${counted(failures, "problem")}${warnings > 0 ? `, ${counted(warnings, "warning")}` : ""}` };
  if (fill && starting === null) return { level: "filling", title: `Loading history${warnings > 0 ? `, ${counted(warnings, "warning")}` : ""}` };
  if (warnings > 0) return { level: "warning", title: counted(warnings, "warning") };
  return { level: "ok", title: "Everything is all right" };
}

function verdict(data) {
  const { level, title } = verdictOf(data);
  const windows = sum(data.datasets.map((one) => one.windows));
  const fine = sum(data.datasets.map((one) => stateSum(one, FINE)));
  const inState = (state) => {
    const count = sum(data.datasets.map((one) => stateSum(one, [state])));
    const { name } = data.datasets.find((one) => stateSum(one, [state]) > 0) ?? {};
    return count === 0 ? [] : [", ", el("a", { href: coverage(name, state) }, `${number(count)} ${state}`)];
  };
  const { accounts, ads_accounts: adsAccounts, countries } = data.accounts;
  const mark = { ok: "succeeded", filling: "running", warning: "warnings", failure: "problems", empty: "skipped" }[level];
  return [
    el("h1", {}, statusIcon(mark, true), title),
    level === "empty" && data.starting && el("p", { class: "summary" }, data.starting.now, " ", data.starting.first_data),
    el(
      "p",
      { class: "summary" },
      accounts > 0 && [el("a", { href: "/accounts" }, counted(accounts, "account")), ` of ${counted(adsAccounts, "advertiser")} in ${number(countries)} ${countries === 1 ? "country" : "countries"}`],
      accounts > 0 && windows > 0 && !data.starting && [" · ", el("a", { href: "/coverage", title: WHAT_A_WINDOW_IS }, counted(windows, "window")), ` in ${counted(data.datasets.filter((one) => one.windows > 0).length, "dataset")}`],
      accounts === 0 && !data.starting && "Amazon lists no account. Accounts are synced once an hour by themselves. ",
      accounts === 0 && ["To sync them now: ", el("code", {}, "bidbeacon accounts sync"), "."],
      windows > 0 && !data.starting && [": ", el("b", {}, `${percent(fine, windows)} fresh`), ...[...GOING_ON, ...AT_REST, ...BAD].flatMap(inState)],
      data.is_sandbox && el("span", { class: "tag sandbox", title: "Amazon’s stand-in on this machine: the data is made up" }, "sandbox"),
    ),
    !data.starting && fillSection(data),
    el("p", { class: "purpose" }, "BidBeacon requests reports from Amazon Ads, requests them again while their figures still change, and records everything it does as ", el("a", { href: "/sessions" }, "sessions"), "."),
  ];
}

/** How far the first load of the history is, and what limits it; null once it is over. */
export function fillSection({ fill }, of = {}) {
  if (!fill) return null;
  const bar = el("progress", { value: fill.loaded, max: fill.total, "aria-label": "Days of history that are loaded" });
  return el("div", { class: "fill" }, bar, el("p", {}, [fill.sentence, ...fill.limits].join(" "), " ", el("a", { href: `/queue?${new URLSearchParams(of)}` }, "Report requests")));
}

const coverage = (dataset, state, of) => `/coverage?${new URLSearchParams({ dataset, ...(state && { state }), days: ALL_DAYS, ...of })}`;

/** Each dataset's windows by state; `of` filters the linked map, for example by account. */
export function datasetList({ datasets }, of = {}) {
  const rows = datasets.map((dataset) => {
    const { name, title, windows } = dataset;
    const link = (state) => coverage(name, state, of);
    const chips = [...BAD, ...GOING_ON, ...AT_REST].filter((state) => dataset.states[state]).map((state) => el("a", { class: `chip state ${classOf(state)}`, href: link(state) }, el("i", { class: `dot ${classOf(state)}` }), `${number(dataset.states[state])} ${state}`));
    return el(
      "li",
      { "data-key": name },
      el("a", { class: "name", href: link() }, title),
      el("span", { class: "share" }, windows > 0 ? `${percent(stateSum(dataset, FINE), windows)} fresh` : "no windows yet"),
      bar(dataset),
      el("span", { class: "counts" }, chips, windows > 0 && el("span", { class: "quiet", title: WHAT_A_WINDOW_IS }, `of ${counted(windows, "window")}`)),
    );
  });
  return [heading("datasets", "Data, all of history"), el("ul", { class: "datasets" }, rows)];
}

/** A bar of the states' shares, each at least 1 % wide. */
function bar({ windows, states, title }) {
  const shown = STATES.filter((state) => states[state]);
  const widths = shown.map((state) => Math.max(1, (states[state] / windows) * 100));
  const rects = shown.map((state, place) => svg("rect", { class: classOf(state), x: sum(widths.slice(0, place)), y: 0, width: widths[place], height: 1 }));
  const label = `${title}: ${shown.map((state) => `${number(states[state])} ${state}`).join(", ") || "no windows"}`;
  return svg("svg", { class: "bar-of-states", viewBox: `0 0 ${Math.max(1, sum(widths))} 1`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...rects);
}

function jobTable({ jobs }) {
  if (jobs.length === 0) return null;
  const heads = ["Job", "Runs", "Failed", "Other problems", "p50", "p95", "Runs an hour"];
  const rows = jobs.map((job) => {
    const link = (more) => `/sessions?${new URLSearchParams({ job: job.job_name, ...more, since: "24h" })}`;
    const share = (count, more) => (count === 0 ? el("td", { class: "zero" }, "0") : el("td", { class: "bad" }, el("a", { href: link(more) }, `${number(count)} (${percent(count, job.count)})`)));
    return el(
      "tr",
      { "data-key": job.job_name },
      el("th", { scope: "row" }, el("a", { href: link({}) }, el("bdi", {}, job.job_name))),
      el("td", {}, el("a", { href: link({}) }, number(job.count))),
      share(job.failures, { status: "failed", outcome: "problems" }),
      share(job.problems - job.failures, { status: "succeeded", outcome: "problems" }),
      el("td", {}, job.p50 === null ? "–" : duration(job.p50)),
      el("td", {}, job.p95 === null ? "–" : duration(job.p95)),
      el("td", {}, sparkline(job)),
    );
  });
  return [heading("jobs", "Jobs, last 24 hours"), scrollingTable("Figures of each job", "jobs", heads, rows)];
}

/** A bar per hour, with the failed part on top. */
function sparkline({ intervals, job_name: name }) {
  const highest = Math.max(1, ...intervals.map(({ count }) => count));
  const bar = (className, place, top, height) => (height > 0 ? [svg("rect", { class: className, x: place + 0.1, width: 0.8, y: highest - top, height })] : []);
  const bars = intervals.flatMap(({ count, failures }, place) => [...bar("runs", place, count, count), ...bar("failures", place, count, failures)]);
  const label = `${name}: runs an hour, ${number(highest)} at most`;
  return svg("svg", { class: "sparkline", viewBox: `0 0 ${intervals.length} ${highest}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...bars);
}

function limits({ limits: { gates, calls, put_off: putOff } }) {
  const gateRows = gates.map((gate) =>
    el(
      "li",
      { class: gate.closed_until && "is-warning", "data-key": `${gate.client_id} ${gate.region}` },
      toneIcon(gate.closed_until ? "warning" : "neutral"),
      el(
        "p",
        {},
        el("b", {}, gate.region),
        `: ${number(gate.in_flight)} of ${number(gate.places)} report slots in use, `,
        el("a", { href: "/queue" }, `${number(gate.planned)} planned`),
        gate.refused > 0 && [", ", el("a", { href: "/sessions?type=creates-paused" }, `refused ${number(gate.refused)} ×`), `, closed for ${duration(gate.closed_seconds)} in all`],
        gate.limit && `. ${gate.limit}`,
      ),
    ),
  );
  const waits = putOff.map(({ dataset, reports, since: first }) => el("li", { "data-key": dataset }, toneIcon("neutral"), el("p", {}, el("a", { href: `/queue?${new URLSearchParams({ dataset })}` }, dataset), `: ${counted(reports, "report")} planned, the oldest since `, when(first))));
  return [
    heading("limits", "Amazon’s limits"),
    el("p", {}, calls.count === 0 ? "No calls in the last 24 hours." : callsText(calls)),
    gateRows.length > 0 && el("ul", { class: "rows" }, gateRows),
    waits.length > 0 && el("h3", {}, "Planned reports"),
    waits.length > 0 && el("ul", { class: "rows" }, waits),
  ];
}

function callsText({ count, failed, throttled, waited_seconds: waited, queued_seconds: queued }) {
  return `${counted(count, "call")} in the last 24 hours: ${number(failed)} failed, ${number(throttled)} throttled (429). Time spent waiting for Amazon: ${duration(waited)}, in our own queue: ${duration(queued)}.`;
}
