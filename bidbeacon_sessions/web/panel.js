// A panel in front of the page, below the button that opens it. Esc or a click beside it closes it, and the focus goes back to the button.

import { el } from "./dom.js";

const WIDTH = 360; // as in app.css
const MARGIN = 8;

/** Make a button open a panel; `build(close)` makes what is in it, each time it opens. */
export function bindPanel(button, label, build) {
  const panel = document.body.appendChild(el("dialog", { class: "drop", "aria-label": label }));
  button.setAttribute("aria-haspopup", "dialog");
  button.addEventListener("click", () => {
    panel.replaceChildren(...build(() => panel.close()));
    const { bottom, left } = button.getBoundingClientRect();
    panel.style.top = `${bottom + 6}px`;
    panel.style.left = `${Math.max(MARGIN, Math.min(left, document.documentElement.clientWidth - WIDTH - MARGIN))}px`;
    panel.showModal();
  });
  panel.addEventListener("click", (event) => event.target === panel && panel.close());
}
