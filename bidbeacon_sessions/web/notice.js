// Empty and error states: the cause, and what to do. Over data that is shown, an error is a bar, and the data stays.

import { byId, el, keepingFocus, withCommands } from "./dom.js";

const [box, bar] = ["notice", "trouble"].map(byId);

export const hideNotice = () => hide(box);
export const hideTrouble = () => hide(bar);

/** Hide an element; a focus in it, as after a successful retry, moves to the data. */
function hide(element) {
  const hadFocus = element.contains(document.activeElement);
  element.hidden = true;
  if (hadFocus) /** @type {HTMLElement} */ (document.querySelector("main [tabindex='-1']")).focus({ preventScroll: true });
}

/** Show a connection's error in place of data that could not be loaded, or above data that `isShown`; hide it once the connection is live. */
export function showState({ name, error }, { noun, isShown, retry }, title = `The ${noun} could not be loaded`) {
  if (error && isShown) showTrouble(`The ${noun} could not be updated.`, error, retry);
  else if (error) {
    byId("skeleton").hidden = true;
    const advice = error.whatToDo && el("p", {}, withCommands(error.whatToDo));
    showNotice("error", el("h2", {}, title), el("p", {}, withCommands(causeOf(error))), advice, tryAgain(retry));
  } else if (name === "live") hideTrouble();
}

function showTrouble(what, error, retry) {
  const why = el("span", {}, `${what} `, el("bdi", {}, withCommands(causeOf(error))), " ", el("bdi", {}, withCommands(error.whatToDo ?? "")));
  if (bar.hidden || !why.isEqualNode(bar.firstChild)) keepingFocus(bar, () => bar.replaceChildren(why, tryAgain(retry))); // announced only when new
  bar.hidden = false;
}

const tryAgain = (retry) => el("button", { type: "button", class: "button", on: { click: retry } }, "Try again");

export const causeOf = (error) => (error.status ? error.message : navigator.onLine ? "The stream does not answer. Is it running? On one machine, `make dev` or `bidbeacon dev` starts it." : "This machine is offline.");

export function showNotice(kind, ...children) {
  box.className = `notice ${kind}`;
  keepingFocus(box, () => box.replaceChildren(...children.filter(Boolean)));
  box.hidden = false;
}
