// Filters that the reader has named. This browser keeps them; the server knows nothing of them.

import { el } from "./dom.js";
import { parse, toAddress, toText } from "./filters.js";
import { bindPanel } from "./panel.js";

const KEY = "bidbeacon.filters";
const MOST = 50;

/** Make a button open the list; `current` gives the filter that would be saved. */
export function bindSavedFilters(button, { current }) {
  bindPanel(button, "Saved filters", (close) => {
    const box = el("div", { class: "saved", tabindex: "-1" });
    draw(box, toText(current()), close);
    return [box];
  });
}

function draw(box, text, close) {
  const saved = read();
  const change = (filters) => {
    const isKept = write(filters);
    draw(box, text, close);
    if (!isKept) box.prepend(el("p", { class: "problem", role: "alert" }, "This browser keeps nothing for this page, so the filter can’t be saved."));
    (box.querySelector("input") ?? box).focus();
  };
  box.replaceChildren(
    saved.length === 0 ? el("p", { class: "hint" }, "No filter is saved yet.") : el("ul", {}, saved.map((one) => row(one, text, close, () => change(saved.filter(({ name }) => name !== one.name))))),
    text === "" ? el("p", { class: "hint" }, "Filter the sessions, and the filter can be saved here under a name.") : saveForm(text, (name) => change([...saved.filter((one) => one.name !== name), { name, text }].slice(-MOST))),
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

/** What is kept, in the order of its names; anything else that stands there is nothing of ours. */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    const isOurs = (one) => typeof one?.name === "string" && typeof one?.text === "string";
    return kept.filter(isOurs).sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  } catch {
    return [];
  }
}

function write(filters) {
  try {
    localStorage.setItem(KEY, JSON.stringify(filters));
    return true;
  } catch {
    return false;
  }
}
