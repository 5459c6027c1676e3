// What this browser keeps for the pages: a text under a key. Where it keeps nothing, a choice holds for the page that is open.

/** Return what is kept under a key, or null. */
export function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keep a text, or nothing more with null; return whether the browser did so. */
export function keep(key, text) {
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
