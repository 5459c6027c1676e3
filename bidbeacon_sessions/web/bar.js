// The bar of every page: the time zone, single keys, and the sheet that lists the keys and has the choice of colors.

import { byId, el } from "./dom.js";
import { statusIcon, wordOf } from "./icons.js";
import { keep, kept } from "./kept.js";
import { chooseTheme, themeChoice } from "./theme.js";
import { keepCounting } from "./time.js";
import { bindZoneChoice } from "./zone.js";

const MARKS = ["running", "succeeded", "skipped", "warnings", "problems", "failed", "crashed", "retried", "cancelled"];
const KEYS_OFF = "bidbeacon.keys-off";
const [sheet, theme, letters] = ["sheet", "theme", "letters"].map(byId);

/** Bind the bar, and keep times counting: `actions` are functions by key, `redraw` shows the page in another zone. */
export function bindBar(actions, redraw) {
  bindKeys({ ...actions, "?": showHelp });
  bindZoneChoice(byId("zone"), redraw);
  byId("help").addEventListener("click", showHelp);
  sheet.addEventListener("click", ({ target }) => target === sheet && sheet.close());
  theme.addEventListener("change", () => chooseTheme(theme.value));
  letters.addEventListener("change", () => keep(KEYS_OFF, letters.checked ? null : "1"));
  keepCounting();
}

/** Bind keys, except in fields and with modifiers; letters can be turned off, for users of speech input. */
function bindKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
    if (/** @type {Element} */ (event.target).matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
    if (!Object.hasOwn(actions, event.key) || (event.key.length === 1 && kept(KEYS_OFF) !== null)) return;
    event.preventDefault();
    actions[event.key]();
  });
}

function showHelp() {
  byId("marks")?.replaceChildren(...MARKS.map((mark) => el("li", {}, statusIcon(mark), wordOf(mark))));
  theme.value = themeChoice();
  letters.checked = kept(KEYS_OFF) === null;
  sheet.showModal();
}
