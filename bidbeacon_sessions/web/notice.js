// Empty and error states: what is the matter, and what to do.

import { el } from "./dom.js";

const box = document.getElementById("notice");

export function hideNotice() {
  box.hidden = true;
}

export function showError(error, retry) {
  show(
    "error",
    el("h2", {}, "The sessions could not be loaded"),
    el("p", {}, error.status ? error.message : "The stream does not answer. Is it running? `make dev` or `bidbeacon dev` starts it."),
    error.whatToDo && el("p", {}, error.whatToDo),
    el("button", { type: "button", class: "button", on: { click: retry } }, "Try again"),
  );
}

export function showEmpty(filterText) {
  if (filterText) {
    show("empty", el("h2", {}, "No session matches"), el("p", {}, "Nothing yet for ", el("code", {}, filterText), ". New ones appear here as they happen."), el("a", { class: "button", href: "/" }, "Clear the filter"));
    return;
  }
  show(
    "empty",
    el("h2", {}, "No sessions yet"),
    el("p", {}, "Every job that runs is recorded as a session and appears here the moment it starts. To see one now:"),
    el("ul", {}, el("li", {}, "materialize a partition in Dagster, or"), el("li", {}, "run ", el("code", {}, "bidbeacon refresh"), ".")),
  );
}

function show(kind, ...children) {
  box.className = `notice ${kind}`;
  box.replaceChildren(...children.filter(Boolean));
  box.hidden = false;
}
