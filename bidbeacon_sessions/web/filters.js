// The filter: `job:refresh-account status:failed` in the field, `?job=refresh-account&status=failed` in the address.

export const KEYS = ["job", "account", "status", "type", "dataset", "window", "run", "since", "before"];
export const STATUSES = ["running", "succeeded", "failed", "cancelled", "crashed"];

/** Read the address: only what the server knows. */
export function fromAddress(search = location.search) {
  const given = new URLSearchParams(search);
  return Object.fromEntries(KEYS.filter((key) => given.get(key)).map((key) => [key, given.get(key)]));
}

export function toAddress(filter) {
  const query = new URLSearchParams(filter).toString();
  return query ? `/?${query}` : "/";
}

export const toText = (filter) => KEYS.filter((key) => filter[key]).map((key) => `${key}:${filter[key]}`).join(" ");

/** Read the field; gives `{filter}` or `{problem}` that says what to write instead. */
export function parse(text) {
  const filter = {};
  for (const word of text.trim().split(/\s+/).filter(Boolean)) {
    const colon = word.indexOf(":");
    const key = word.slice(0, Math.max(0, colon));
    const value = word.slice(colon + 1);
    if (!KEYS.includes(key) || !value) return { problem: `“${word}” can't be looked for. Write ${KEYS.map((k) => `${k}:…`).join(" ")}` };
    if (key === "status" && !STATUSES.includes(value)) return { problem: `There is no status “${value}”. Statuses: ${STATUSES.join(", ")}.` };
    filter[key] = value;
  }
  return { filter };
}
