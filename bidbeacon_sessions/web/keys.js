// One place for the keys of a page: single letters, never while somebody types or holds a modifier.

import { lettersAreOn, toggleHelp } from "./help.js";

/** Bind keys to actions; `?` and the button in the bar open the help, which lists them (see `toggleHelp`). */
export function bindKeys(help, actions) {
  const all = { ...actions, "?": () => toggleHelp(help) };
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
    if (event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
    if (!Object.hasOwn(all, event.key) || (event.key.length === 1 && !lettersAreOn())) return;
    event.preventDefault();
    all[event.key]();
  });
  document.getElementById("help").addEventListener("click", () => toggleHelp(help));
}
