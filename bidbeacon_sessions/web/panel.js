// A panel in front of the page, below the button that opens it. Esc or a click beside it closes it, and the focus goes back to the button.

const WIDTH = 360; // as in app.css
const MARGIN = 8;

/** Make a button open a panel, a `<dialog>` of the page; `fill` is called each time before it opens. */
export function bindPanel(button, panel, fill) {
  button.addEventListener("click", () => {
    fill();
    const { bottom, left } = button.getBoundingClientRect();
    panel.style.top = `${bottom + 6}px`;
    panel.style.left = `${Math.max(MARGIN, Math.min(left, document.documentElement.clientWidth - WIDTH - MARGIN))}px`;
    panel.showModal();
  });
  panel.addEventListener("click", ({ target }) => target === panel && panel.close());
}
