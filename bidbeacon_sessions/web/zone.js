// The zone that times are shown in: the browser's or UTC. The choice is stored in the browser, and UTC is also in the address.

import { keep, kept } from "./kept.js";

const KEY = "bidbeacon.zone";
const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
let isUtc = (new URLSearchParams(location.search).get("zone") ?? kept(KEY)) === "utc";

export const zone = () => (isUtc ? "UTC" : browserZone);

/** The name of the zone for people. */
export const zoneName = () => zone().replaceAll("_", " ");

/** The parameter of an address that makes it show the same times to everyone. */
export const zoneParameters = () => (isUtc ? { zone: "utc" } : {});

/** Bind the choice in the page's bar; `redraw` is called when another zone is chosen. */
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

/** The city of a zone, "Buenos Aires"; "Etc/GMT+5" stays whole, since its sign is the opposite of what people expect. */
const shortName = (name) => (name.startsWith("Etc/") ? name : (name.split("/").at(-1) ?? name).replaceAll("_", " "));

/** Add UTC to the page's address if it is chosen. */
export function putIntoAddress() {
  const url = new URL(location.href);
  url.searchParams.delete("zone");
  for (const [key, value] of Object.entries(zoneParameters())) url.searchParams.set(key, value);
  if (url.href !== location.href) history.replaceState(history.state, "", url);
}
