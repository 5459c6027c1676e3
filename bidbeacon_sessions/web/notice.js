// Empty and error states: what is the matter, and what to do. An error over data that is there is a bar, and the data stays.

import { el, keepingFocus, withCommands } from "./dom.js";

const box = document.getElementById("notice");
const bar = document.getElementById("trouble");

export function hideNotice() {
  hide(box);
}

/** Who has just tried again, with success, goes on where the data is. */
function hide(element) {
  const hadFocus = element.contains(document.activeElement);
  element.hidden = true;
  if (hadFocus) document.querySelector("main [tabindex='-1']").focus({ preventScroll: true });
}

/** Nothing is there yet, and it could not be loaded. */
export function showError(title, error, retry) {
  showNotice(
    "error",
    el("h2", {}, title),
    el("p", {}, withCommands(causeOf(error))),
    error.whatToDo && el("p", {}, withCommands(error.whatToDo)),
    el("button", { type: "button", class: "button", on: { click: retry } }, "Try again"),
  );
}

/** What is there stays; the bar says why it is not renewed. */
export function showTrouble(what, error, retry) {
  const again = el("button", { type: "button", class: "button", on: { click: retry } }, "Try again");
  keepingFocus(bar, () => bar.replaceChildren(el("span", {}, `${what} `, el("bdi", {}, withCommands(causeOf(error))), " ", el("bdi", {}, withCommands(error.whatToDo ?? ""))), again));
  bar.hidden = false;
}

export function hideTrouble() {
  hide(bar);
}

export const causeOf = (error) => (error.status ? error.message : navigator.onLine ? "The stream does not answer. Is it running? `make dev` or `bidbeacon dev` starts it." : "This machine is offline.");

export function showNotice(kind, ...children) {
  box.className = `notice ${kind}`;
  keepingFocus(box, () => box.replaceChildren(...children.filter(Boolean)));
  box.hidden = false;
}
