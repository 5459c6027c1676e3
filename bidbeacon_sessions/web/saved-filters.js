// Filters that a user has named. Only this browser stores them.

import { byId, el } from "./dom.js";
import { parse, toAddress, toText } from "./filters.js";
import { keep, kept } from "./kept.js";
import { bindPanel } from "./panel.js";

const KEY = "bidbeacon.filters";
const MOST = 50;

/** Bind the list; `current` returns the filter that would be saved. */
export function bindSavedFilters({ current }) {
  const panel = byId("saved-panel");
  bindPanel(byId("saved"), panel, () => draw(byId("saved-list"), toText(current()), () => panel.close()));
}

function draw(box, text, close) {
  const saved = read();
  const change = (filters) => {
    const isKept = keep(KEY, JSON.stringify(filters));
    draw(box, text, close);
    if (!isKept) box.prepend(el("p", { class: "problem", role: "alert" }, "This browser keeps nothing for this page, so the filter can’t be saved."));
    (box.querySelector("input") ?? box).focus();
  };
  const without = (name) => saved.filter((one) => one.name !== name);
  const hint = (words) => el("p", { class: "hint" }, words);
  box.replaceChildren(
    saved.length === 0 ? hint("No filter is saved yet.") : el("ul", {}, saved.map((one) => row(one, text, close, () => change(without(one.name))))),
    text === "" ? hint("Filter the sessions, and the filter can be saved here under a name.") : saveForm(text, (name) => change([...without(name), { name, text }].slice(-MOST))),
  );
}

function row({ name, text }, current, close, remove) {
  const { filter = {} } = parse(text);
  return el(
    "li",
    {},
    el("a", { href: toAddress(filter), "aria-current": text === current && "true", on: { click: close } }, el("bdi", {}, name), el("small", {}, text)),
    el("button", { type: "button", class: "round", "aria-label": `Delete ${name}`, title: "Delete", on: { click: remove } }, "✕"),
  );
}

function saveForm(text, save) {
  const name = el("input", { name: "name", maxlength: "60", required: true, autocomplete: "off", placeholder: "Name" });
  const submit = (event) => {
    event.preventDefault();
    if (name.value.trim()) save(name.value.trim());
  };
  return el("form", { on: { submit } }, el("label", {}, el("span", {}, "Save ", el("code", {}, text), " as"), name), el("button", { class: "button" }, "Save"));
}

/** The stored filters by name; invalid data is ignored. */
function read() {
  try {
    const isOurs = (one) => typeof one?.name === "string" && typeof one?.text === "string";
    return JSON.parse(kept(KEY) ?? "[]").filter(isOurs).sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  } catch {
    return [];
  }
}
