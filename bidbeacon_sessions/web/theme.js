// Light or dark: as the system says, or as chosen and kept by the browser. The sheet names the dark colours under one media query.

const KEY = "bidbeacon.theme";
const SYSTEM = "(prefers-color-scheme: dark)";
const MEDIA = { system: SYSTEM, light: "not all", dark: "all" };
const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter((rule) => rule.media?.mediaText === SYSTEM);
const listeners = new Set();

/** What is chosen: system, light or dark. */
export function themeChoice() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept in MEDIA ? kept : "system";
  } catch {
    return "system";
  }
}

export function chooseTheme(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // Not kept; it holds for this page.
  }
  apply(choice);
  for (const listener of listeners) listener();
}

/** Call a listener when the colours change, by choice or with the system. */
export function onThemeChange(listener) {
  listeners.add(listener);
  matchMedia(SYSTEM).addEventListener("change", listener);
}

function apply(choice) {
  for (const rule of rules) rule.media.mediaText = MEDIA[choice];
  document.documentElement.style.colorScheme = choice === "system" ? "" : choice;
}

apply(themeChoice());
