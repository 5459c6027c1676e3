// All accounts, each a link to its page; the field at the top finds some of them.

import { el } from "./dom.js";
import { bindKeys } from "./keys.js";
import { showError, showNotice } from "./notice.js";
import { accountTag } from "./parts.js";
import { showPill } from "./pill.js";
import { Stream, fetchJson } from "./stream.js";
import { keepCounting } from "./time.js";
import { bindZoneChoice } from "./zone.js";

const byId = (id) => document.getElementById(id);
const [root, query] = [byId("content"), byId("query")];
let accounts = null;
let state = { name: "connecting", asOf: null };

async function load() {
  const { cursor } = await fetchJson("/api/job-sessions?limit=1");
  ({ accounts } = await fetchJson("/api/accounts"));
  draw();
  return cursor;
}

function draw() {
  if (accounts === null) return;
  byId("skeleton").hidden = true;
  byId("notice").hidden = true;
  root.setAttribute("aria-busy", "false");
  if (accounts.length === 0) showNotice("empty", el("h2", {}, "No accounts yet"), el("p", {}, "Accounts are synced once an hour by themselves. At once: ", el("code", {}, "bidbeacon accounts sync"), "."));
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = accounts.filter(({ key, label }) => words.every((word) => `${label} ${key}`.toLowerCase().includes(word)));
  const heads = ["Account", "State", "Time zone", "Key"].map((text) => el("th", { scope: "col" }, text));
  const rows = found.map(({ key, label, stopped, time_zone: zone }) => el("tr", {}, el("th", { scope: "row" }, accountTag(key, label)), el("td", { class: stopped && "bad" }, stopped ?? "refreshed"), el("td", {}, zone.replaceAll("_", " ")), el("td", {}, el("code", {}, key))));
  root.replaceChildren(
    el("p", { class: "quiet", role: "status" }, found.length === accounts.length ? `${accounts.length} accounts` : `${found.length} of ${accounts.length} accounts`),
    el("div", { class: "table-box", tabindex: "0", role: "group", "aria-label": "Accounts" }, el("table", { class: "jobs list" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows))),
  );
}

function onState(next) {
  state = next;
  if (next.error && accounts === null) {
    byId("skeleton").hidden = true;
    showError("The accounts could not be loaded", next.error, () => stream.hurry());
  }
  showPill(state);
}

query.value = new URLSearchParams(location.search).get("search") ?? "";
byId("filter").addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", () => {
  history.replaceState(null, "", query.value ? `/accounts?${new URLSearchParams({ search: query.value })}` : "/accounts");
  draw();
});
const stream = new Stream({ query: { type: "accounts-synced" }, load, onUpdate: load, onGone: () => {}, onState });
bindKeys("home", { "/": () => query.focus() });
bindZoneChoice(byId("zone"));
keepCounting();
stream.start();
