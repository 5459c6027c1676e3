// Texts that this browser stores for the pages, by key. If it stores nothing, a choice lasts until the page is closed.

/** Return the text stored under a key, or null. */
export function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Store a text, or delete it with null; return whether the browser did so. */
export function keep(key, text) {
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
