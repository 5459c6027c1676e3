// All accounts, each a link to its page; the field at the top finds some of them.

import { el } from "./dom.js";
import { PAUSE } from "./help.js";
import { bindKeys } from "./keys.js";
import { LiveData } from "./live-data.js";
import { hideNotice, showNotice } from "./notice.js";
import { accountTag } from "./parts.js";
import { fetchJson } from "./stream.js";
import { keepCounting } from "./time.js";
import { bindZoneChoice } from "./zone.js";

const RENEW_MS = 3_000;

const byId = (id) => document.getElementById(id);
const [root, query] = [byId("content"), byId("query")];
const live = new LiveData({ read, draw, renewMs: RENEW_MS, noun: "accounts" });

async function read() {
  const { accounts } = await fetchJson("/api/accounts");
  return accounts.sort((one, other) => one.label.localeCompare(other.label));
}

function draw(accounts) {
  hideNotice();
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

query.value = new URLSearchParams(location.search).get("search") ?? "";
byId("filter").addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", () => {
  history.replaceState(null, "", query.value ? `/accounts?${new URLSearchParams({ search: query.value })}` : "/accounts");
  live.redraw();
});
bindKeys({ keys: [["/", "go to the filter"], PAUSE] }, { "/": () => query.focus(), p: () => live.togglePause() });
bindZoneChoice(byId("zone"));
keepCounting();
live.open({ type: "accounts-synced" });
