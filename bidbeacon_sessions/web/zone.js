// In which zone times are shown: the browser's or UTC. Chosen once, kept, and in the address where it is not the usual one.

import { keep, kept } from "./kept.js";

const KEY = "bidbeacon.zone";
const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
let isUtc = (new URLSearchParams(location.search).get("zone") ?? kept(KEY)) === "utc";

export const zone = () => (isUtc ? "UTC" : browserZone);

/** The zone for people to read. */
export const zoneName = () => zone().replaceAll("_", " ");

/** The parameter that an address of ours needs, so that whoever opens it sees the same times. */
export const zoneParameters = () => (isUtc ? { zone: "utc" } : {});

/** Make the choice in the page's bar work; `redraw` is called when another zone is chosen. */
export function bindZoneChoice(select, redraw) {
  const names = { browser: browserZone === "UTC" ? "Browser · UTC" : shortName(browserZone), utc: "UTC" };
  select.replaceChildren(...Object.entries(names).map(([key, name]) => new Option(name, key, false, (key === "utc") === isUtc)));
  select.addEventListener("change", () => {
    isUtc = select.value === "utc";
    keep(KEY, select.value);
    putIntoAddress();
    redraw();
  });
  putIntoAddress();
}

/** The city of a zone, "Buenos Aires"; the signs of "Etc/GMT+5" are the other way round than people expect, so that name stays whole. */
const shortName = (name) => (name.startsWith("Etc/") ? name : (name.split("/").at(-1) ?? name).replaceAll("_", " "));

/** Put the choice into the address of the page, where it is not the usual one. */
export function putIntoAddress() {
  const url = new URL(location.href);
  url.searchParams.delete("zone");
  for (const [key, value] of Object.entries(zoneParameters())) url.searchParams.set(key, value);
  if (url.href !== location.href) history.replaceState(history.state, "", url);
}
