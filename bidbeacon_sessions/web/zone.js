// In which zone times are shown: the browser's, UTC, or each account's own. Chosen once, kept, and in the address where it is not the usual one.

import { accountZone } from "./accounts.js";

const KEY = "bidbeacon.zone";
const CHOICES = { browser: "Browser", utc: "UTC", account: "Account" };
const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const listeners = new Set();
const root = document.documentElement;
let choice = (root.dataset.zone = readChoice()); // the sheet makes room for the letters of zones

function readChoice() {
  const given = new URLSearchParams(location.search).get("zone") ?? storage()?.getItem(KEY);
  return given in CHOICES ? given : "browser";
}

function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

export const zoneChoice = () => choice;

/** The zone of an instant that belongs to an account, or to none. */
export function zoneOf(account = null) {
  if (choice === "utc") return "UTC";
  return (choice === "account" && accountZone(account)) || browserZone;
}

/** The parameter that an address of ours needs, so that whoever opens it sees the same times. */
export const zoneParameters = () => (choice === "browser" ? {} : { zone: choice });

export function onZoneChange(listener) {
  listeners.add(listener);
}

/** Make the choice in the page's bar work. */
export function bindZoneChoice(select) {
  const names = { browser: browserZone === "UTC" ? "Browser · UTC" : shortName(browserZone), utc: "UTC", account: "Account’s own" };
  select.replaceChildren(...Object.keys(CHOICES).map((key) => new Option(names[key], key, false, key === choice)));
  select.addEventListener("change", () => {
    choice = root.dataset.zone = select.value;
    storage()?.setItem(KEY, choice);
    putIntoAddress();
    for (const listener of listeners) listener();
  });
  putIntoAddress();
}

/** The city of a zone, "Buenos Aires"; the signs of "Etc/GMT+5" are the other way round than people expect, so that name stays whole. */
const shortName = (zone) => (zone.startsWith("Etc/") ? zone : zone.split("/").at(-1).replaceAll("_", " "));

/** Put the choice into the address of the page, where it is not the usual one. */
export function putIntoAddress() {
  const url = new URL(location.href);
  url.searchParams.delete("zone");
  for (const [key, value] of Object.entries(zoneParameters())) url.searchParams.set(key, value);
  if (url.href !== location.href) history.replaceState(history.state, "", url);
}
