// Elements from plain data. Text from outside becomes text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element of a page's template. @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Make an element: attributes by name, `on` for listeners; children are nodes or text, empty ones are omitted.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, any>} [attributes]
 * @param {any[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, /** @type {EventListener} */ (listener));
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** Make an element of a drawing. */
export function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** Set a parent's children; a child that stays is not moved, so that focus and selection stay. */
export function reconcile(parent, wanted) {
  const staying = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!staying.has(child)) child.remove();
  let here = parent.firstChild;
  for (const node of wanted) {
    if (node === here) here = here.nextSibling;
    else parent.insertBefore(node, here);
  }
}

/**
 * Change the elements below `root`; if the focused one is replaced, the focus moves to its successor. Elements are identified by their `data-key`,
 * or by their target and the `data-key` around them; without a successor the focus moves to the element around `root`.
 */
export function keepingFocus(root, change) {
  const held = document.activeElement;
  if (!root.contains(held)) {
    change();
    return;
  }
  const key = keyOf(held);
  const alike = () => [...root.querySelectorAll("a, button, [tabindex]")].filter((element) => keyOf(element) === key);
  const place = alike().indexOf(held);
  change();
  if (document.activeElement !== document.body) return;
  const heirs = alike();
  (heirs[place] ?? heirs.at(-1) ?? root.closest("[tabindex]"))?.focus({ preventScroll: true });
}

const held = new Set();
let isPressed = false;
document.addEventListener("pointerdown", () => { isPressed = true; }, true);
for (const release of ["pointerup", "pointercancel"]) document.addEventListener(release, () => setTimeout(callHeld), true);

function callHeld() {
  const calls = [...held];
  isPressed = false;
  held.clear();
  for (const call of calls) call();
}

/** Call a function once no mouse button is pressed: what is replaced between press and release is not clicked. */
export function whenReleased(call) {
  if (isPressed) held.add(call);
  else call();
}

function keyOf(element) {
  const { dataset, tagName } = element;
  return dataset.key ?? [element.closest("[data-key]")?.dataset.key, tagName, element.getAttribute("href") ?? element.ariaLabel ?? element.title].join(" ");
}

/** The link for a selector that a click follows in this tab, or null. */
export function linkOf(event, selector) {
  const isPlain = !event.defaultPrevented && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  return isPlain ? event.target.closest(selector) : null;
}

/** A sentence in parts: text between back-ticks is a command to copy. */
export const withCommands = (sentence) => sentence.split(/`([^`\n]+)`/).map((piece, index) => (index % 2 === 1 ? el("code", {}, piece) : piece));

/** Return an address that is safe to link to (http(s), or a path of this site), or null. */
export function safeUrl(value) {
  try {
    const url = new URL(String(value), location.origin);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** A link that opens in another tab; plain text if the address is not safe. */
export function outLink(text, address, attributes = {}) {
  const href = safeUrl(address);
  if (href === null) return el("span", {}, text);
  return el("a", { href, target: "_blank", rel: "noopener", ...attributes }, text);
}

/** A list of names and values; rows without a value are omitted. */
export function factList(rows) {
  const known = rows.filter(([, value]) => value);
  return el("dl", { class: "facts" }, known.map(([name, value]) => el("div", {}, el("dt", {}, el("bdi", {}, name)), el("dd", {}, value))));
}

/** The path of a session's page, independent of the server's host name. */
export const sessionPath = (id) => `/sessions/${encodeURIComponent(id)}`;
