// A panel below the button that opens it. Esc or a click outside closes it, and the focus returns to the button.

const WIDTH = 360; // as in app.css
const MARGIN = 8;

/** Bind a button to a panel, a `<dialog>` of the page; `fill` is called before it opens. */
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
