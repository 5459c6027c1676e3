// The sections of Home, each from its figures: what is right, what is wrong and for which cause, jobs, limits, promises, checks.

import { actions, loadProblem } from "./act.js";
import { el, withCommands } from "./dom.js";
import { statusIcon, toneIcon } from "./icons.js";
import { ago, duration, fullTime, moment, zoneBehind } from "./time.js";

const SVG = "http://www.w3.org/2000/svg";
const TONES = { ok: "success", warning: "warning", failure: "error" };
const ALL_DAYS = 731;
// From fine to worst, as on the map; what is fresh and what is not due yet are both as they should be.
const STATES = ["fresh", "not due", "requested", "due", "unconfirmed", "suspicious", "late", "failed", "expired"];
const FINE = ["fresh", "not due"];
const BAD = ["late", "failed", "suspicious", "unconfirmed", "expired"];
const GOING_ON = ["due", "requested"];
const WORDS = { requested: "being loaded" };

/** Each section's figures, and what makes its children of them; null where it has nothing to say. */
export const SECTIONS = {
  verdict: { figures: ({ problems, checks, accounts, datasets, starting, is_sandbox: sandbox }) => [problems.length, checks.map(({ level }) => level), accounts, datasets, starting, sandbox], render: verdict },
  problems: { figures: ({ problems, more_problems: more }) => [problems, more], render: problemList },
  datasets: { figures: ({ datasets }) => datasets, render: datasetList },
  jobs: { figures: ({ jobs }) => jobs, render: jobTable },
  limits: { figures: ({ throttling }) => throttling, render: limits },
  promises: { figures: ({ promises }) => promises, render: promises },
  checks: { figures: ({ checks }) => checks, render: checkList },
};

const number = (value) => value.toLocaleString("en");
const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
const percent = (part, whole) => (part === whole ? "100 %" : `${(Math.floor((part / whole) * 1000) / 10).toLocaleString("en")} %`);
const sum = (values) => values.reduce((total, value) => total + value, 0);
const stateSum = (dataset, states) => sum(states.map((state) => dataset.states[state] ?? 0));
const heading = (id, text) => el("h2", { id: `${id}-title` }, text);

/** How everything is, as `{level, title}`; `level` is ok, warning, failure, or empty where nothing is known yet. */
export function verdictOf({ problems, more_problems: more, checks, accounts, starting }) {
  // What a check finds broken is a problem already, and so is an account that needs attention.
  const levels = [...problems, ...checks.filter(({ name, level }) => level === "warning" && name !== "accounts")].map(({ level }) => level);
  const failures = levels.filter((level) => level === "failure").length + more;
  const warnings = levels.filter((level) => level === "warning").length;
  if (starting !== null && failures === 0) return { level: "empty", title: "Starting" };
  if (accounts.accounts === 0 && failures === 0) return { level: "empty", title: "Nothing is set up yet" };
  if (failures > 0) return { level: "failure", title: `${counted(failures, "problem")}${warnings > 0 ? `, ${counted(warnings, "warning")}` : ""}` };
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
    return count === 0 ? [] : [", ", el("a", { href: coverage(name, state) }, `${number(count)} ${WORDS[state] ?? state}`)];
  };
  const { accounts, ads_accounts: adsAccounts, countries } = data.accounts;
  const mark = { ok: "succeeded", warning: "warnings", failure: "problems", empty: "skipped" }[level];
  return [
    el("h1", {}, statusIcon(mark, true), title),
    level === "empty" && data.starting && el("p", { class: "summary" }, data.starting.now, " ", data.starting.first_data),
    el(
      "p",
      { class: "summary" },
      accounts > 0 && [el("a", { href: "/accounts" }, counted(accounts, "account")), ` of ${counted(adsAccounts, "advertiser")} in ${number(countries)} ${countries === 1 ? "country" : "countries"}`],
      accounts > 0 && windows > 0 && !data.starting && [" · ", el("a", { href: "/coverage" }, `${counted(windows, "day")} of data`), ` in ${counted(data.datasets.filter((one) => one.windows > 0).length, "dataset")}`],
      accounts === 0 && !data.starting && "Amazon lists no account. Accounts are synced once an hour by themselves. ",
      accounts === 0 && ["To sync them now: ", el("code", {}, "bidbeacon accounts sync"), "."],
      windows > 0 && !data.starting && [": ", el("b", {}, `${percent(fine, windows)} fresh`), ...inState("due"), ...inState("requested")],
      data.is_sandbox && el("span", { class: "tag sandbox", title: "Amazon’s stand-in on this machine: the data is made up" }, "sandbox"),
    ),
    el("p", { class: "purpose" }, "BidBeacon asks Amazon Ads for reports, asks again while their figures still change, and records everything it does as ", el("a", { href: "/sessions" }, "sessions"), "."),
  ];
}

function problemList({ problems, more_problems: more }) {
  for (const key of loads.keys()) if (!problems.some(({ load }) => load === key)) loads.delete(key);
  if (problems.length === 0) return null;
  const rows = problems.map((problem) =>
    el(
      "li",
      { class: `is-${problem.level}`, "data-key": problem.link + problem.cause },
      toneIcon(TONES[problem.level]),
      el("div", {}, whatAndWhy(problem), el("p", { class: "quiet" }, el("bdi", {}, problem.kind), problem.is_recovered && ", has succeeded since", extent(problem), since(problem.since), whose(problem)), loadButton(problem)),
    ),
  );
  return [heading("problems", "What is wrong"), el("ul", { class: "rows" }, rows), more > 0 && el("p", { class: "quiet" }, `and ${number(more)} more`)];
}

const loads = new Map();
/** Made once for a problem, so that what its button says stays when the list is renewed; null where nothing can be loaded. */
function loadButton({ load, count }) {
  if (load === null) return null;
  if (!loads.has(load)) loads.set(load, actions([loadProblem(load)]));
  const acts = loads.get(load);
  acts.querySelector("button").textContent = count === 1 ? "Load again" : `Load all ${number(count)} windows again`;
  return acts;
}

/** What went wrong, which is the first sentence and a link, and behind it why and what to do. */
function whatAndWhy({ cause, to_do: toDo, link }) {
  const [what] = cause.split(". ", 1);
  const why = cause.slice(what.length + 2);
  const more = [toDo ? ended(why) : why, toDo].filter(Boolean).join(" ");
  const sentence = more ? ended(what) : what;
  return el("div", { dir: "auto" }, el("a", { class: "cause", href: link }, el("bdi", {}, withCommands(sentence))), more && [" ", el("bdi", {}, withCommands(more))]);
}

/** A text with the mark that ends its last sentence. */
const ended = (text) => (text && !/[.!?…]$/.test(text) ? `${text}.` : text);

/** "Acme Merch · US, Acme Merch · CA and 4 more accounts". */
function whose({ names, accounts }) {
  if (names.length === 0) return [];
  const more = accounts - names.length;
  return [" · ", el("bdi", {}, names.join(", ")), more > 0 && ` and ${counted(more, "more account")}`];
}

/** "120 windows of 3 accounts, in daily_targets and 2 more datasets". */
function extent({ count, noun, accounts, datasets }) {
  if (count === null) return "";
  const inDatasets = datasets.length === 0 ? "" : ` in ${datasets[0]}${datasets.length > 1 ? ` and ${counted(datasets.length - 1, "more dataset")}` : ""}`;
  return ` · ${counted(count, noun)}${noun === "window" && accounts > 1 ? ` of ${counted(accounts, "account")}` : ""}${inDatasets}`;
}

const since = (instant) => (instant === null ? [] : [" · since ", when(instant)]);
const when = (instant) => el("time", { datetime: instant, title: fullTime(instant) }, moment(instant), zoneBehind(instant));

const coverage = (dataset, state, of) => `/coverage?${new URLSearchParams({ dataset, ...(state && { state }), days: ALL_DAYS, ...of })}`;

/** Each dataset's windows by state; `of` restricts the map that the figures lead to, to an account for example. */
export function datasetList({ datasets }, of = {}) {
  const rows = datasets.map((dataset) => {
    const { name, title, windows } = dataset;
    const link = (state) => coverage(name, state, of);
    const chips = [...BAD, ...GOING_ON].filter((state) => dataset.states[state]).map((state) => el("a", { class: `chip state ${state}`, href: link(state) }, el("i", { class: `dot ${state}` }), `${number(dataset.states[state])} ${WORDS[state] ?? state}`));
    return el(
      "li",
      { "data-key": name },
      el("a", { class: "name", href: link() }, title),
      el("span", { class: "share" }, windows > 0 ? `${percent(stateSum(dataset, FINE), windows)} fresh` : "no windows yet"),
      bar(dataset),
      el("span", { class: "counts" }, chips, windows > 0 && el("span", { class: "quiet" }, `of ${counted(windows, "day")}`)),
    );
  });
  return [heading("datasets", "Data, all of history"), el("ul", { class: "datasets" }, rows)];
}

/** A bar of the states' shares; each that is there can be seen, however small. */
function bar({ windows, states, title }) {
  const chart = svg("svg", { class: "bar-of-states", viewBox: "0 0 100 1", preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${STATES.filter((state) => states[state]).map((state) => `${number(states[state])} ${state}`).join(", ") || "no windows"}` });
  const widths = STATES.map((state) => (states[state] ? Math.max(1, (states[state] / windows) * 100) : 0));
  const scale = 100 / Math.max(1, sum(widths));
  let x = 0;
  STATES.forEach((state, place) => {
    if (widths[place] === 0) return;
    chart.append(svg("rect", { class: state.replace(" ", "-"), x, y: 0, width: widths[place] * scale, height: 1 }));
    x += widths[place] * scale;
  });
  return chart;
}

function jobTable({ jobs }) {
  if (jobs.length === 0) return null;
  const head = ["Job", "Runs", "Failed", "Other problems", "p50", "p95", "Runs an hour"].map((text) => el("th", { scope: "col" }, text));
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
  return [heading("jobs", "Jobs, last 24 hours"), el("div", { class: "table-box", tabindex: "0", role: "group", "aria-label": "Figures of each job" }, el("table", { class: "jobs" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)))];
}

/** A bar an hour; the part that failed is on top of it. */
function sparkline({ intervals, job_name: name }) {
  const highest = Math.max(1, ...intervals.map(({ count }) => count));
  const chart = svg("svg", { class: "sparkline", viewBox: `0 0 ${intervals.length} ${highest}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name}: runs an hour, ${number(highest)} at most` });
  intervals.forEach(({ count, failures }, place) => {
    if (count === 0) return;
    chart.append(svg("rect", { class: "runs", x: place + 0.1, width: 0.8, y: highest - count, height: count }));
    if (failures > 0) chart.append(svg("rect", { class: "failures", x: place + 0.1, width: 0.8, y: highest - count, height: failures }));
  });
  return chart;
}

function limits({ throttling }) {
  const { throttled, gates, calls, put_off: putOff } = throttling;
  const throttledRows = throttled.map((one) =>
    el(
      "li",
      { class: one.paused_until && "is-warning", "data-key": `${one.region} ${one.kind} ${one.account}` },
      toneIcon(one.paused_until ? "warning" : "neutral"),
      el(
        "p",
        {},
        el("b", {}, one.region),
        `: ${one.what}`,
        one.account_name !== null && [" of ", el("bdi", {}, one.account_name)],
        ` throttled ${number(one.count)} × in the last hour (429)`,
        one.reports > 0 && `, ${counted(one.reports, "report")} waiting`,
        one.paused_until && ["; none is sent before ", when(one.paused_until)],
      ),
    ),
  );
  const gateRows = gates.map((gate) =>
    el(
      "li",
      { class: gate.closed_until && "is-warning", "data-key": `${gate.client_id} ${gate.region}` },
      toneIcon(gate.closed_until ? "warning" : "neutral"),
      el(
        "p",
        {},
        el("b", {}, gate.region),
        `: ${number(gate.in_flight)} of at most ${number(gate.places)} reports in flight, ${number(gate.planned)} planned`,
        gate.refused > 0 && [", ", el("a", { href: "/sessions?type=creates-paused" }, `refused ${number(gate.refused)} ×`), `, closed for ${duration(gate.closed_seconds)} in all`],
        gate.closed_until && ["; none is created before ", when(gate.closed_until)],
      ),
    ),
  );
  const waits = putOff.map(({ dataset, reports, since: first }) => el("li", { "data-key": dataset }, toneIcon("neutral"), el("p", {}, el("a", { href: `/sessions?${new URLSearchParams({ type: "reports-planned", text: dataset })}` }, dataset), `: ${counted(reports, "report")} planned since `, when(first))));
  return [
    heading("limits", "Amazon’s limits"),
    el("p", {}, callsText(calls)),
    throttledRows.length > 0 && el("ul", { class: "rows" }, throttledRows),
    gateRows.length > 0 && el("ul", { class: "rows" }, gateRows),
    waits.length > 0 && el("h3", {}, "Put off until it is their turn"),
    waits.length > 0 && el("ul", { class: "rows" }, waits),
  ];
}

function callsText(calls) {
  if (calls === null) return "The calls to Amazon can’t be seen: under Health stands which right is missing.";
  const { count, failed, throttled, waited_seconds: waited, queued_seconds: queued } = calls;
  if (count === 0) return "No calls in the last 24 hours.";
  return `${counted(count, "call")} in the last 24 hours: ${number(failed)} failed, ${number(throttled)} throttled (429). Time spent waiting for Amazon: ${duration(waited)}, in our own queue: ${duration(queued)}.`;
}

function promises({ promises: { open, lost, lost_last: last } }) {
  const rows = last.map((one) => el("li", { class: "is-failure", "data-key": one.link + one.key }, toneIcon("error"), el("p", {}, el("a", { href: one.link }, el("bdi", {}, one.key)), " of ", el("bdi", {}, one.job_name), ": nothing came by ", when(one.deadline_at))));
  return [
    heading("promises", "Promised work"),
    el("p", {}, `${number(open)} open, `, lost > 0 ? el("b", { class: "bad" }, `${number(lost)} lost`) : "none lost", ". Work that a session queued for another is open until that one did it."),
    rows.length > 0 && el("ul", { class: "rows" }, rows),
  ];
}

function checkList({ checks }) {
  const rows = checks.map(({ name, level, found, to_do: toDo, details }) =>
    el("li", { class: `is-${level}`, "data-key": name }, toneIcon(TONES[level]), el("div", {}, el("p", {}, el("b", {}, name), ": ", el("bdi", {}, withCommands(found))), level !== "ok" && toDo && el("p", { class: "quiet" }, withCommands(toDo)), level !== "ok" && details.map((detail) => el("p", { class: "quiet", dir: "auto" }, withCommands(detail))))),
  );
  return [heading("checks", "Health"), el("ul", { class: "rows" }, rows), el("p", { class: "quiet" }, "As ", el("code", {}, "bidbeacon doctor"), " says it, which asks Amazon too.")];
}

export function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
