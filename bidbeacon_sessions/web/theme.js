// Light or dark: as the system, or as chosen and stored in the browser. The style sheet has the dark colors in one media query.

import { keep, kept } from "./kept.js";

const KEY = "bidbeacon.theme";
const SYSTEM = "(prefers-color-scheme: dark)";
const MEDIA = { system: SYSTEM, light: "not all", dark: "all" };
const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter((rule) => rule instanceof CSSMediaRule).filter(({ media }) => media.mediaText === SYSTEM);

/** The choice: system, light or dark. */
export function themeChoice() {
  const choice = kept(KEY) ?? "system";
  return Object.hasOwn(MEDIA, choice) ? choice : "system";
}

export function chooseTheme(choice) {
  keep(KEY, choice);
  apply(choice);
  document.dispatchEvent(new Event("theme-chosen"));
}

/** Call a listener when the colors change, by choice or with the system. */
export function onThemeChange(listener) {
  document.addEventListener("theme-chosen", listener);
  matchMedia(SYSTEM).addEventListener("change", listener);
}

function apply(choice) {
  for (const rule of rules) rule.media.mediaText = MEDIA[choice];
  document.documentElement.style.colorScheme = choice === "system" ? "" : choice;
}

apply(themeChoice());
