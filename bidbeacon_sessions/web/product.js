// What only the product knows: addresses, which it registers on the server with {names} for values, and what accounts are called.

const templates = JSON.parse(document.querySelector("meta[name=links]")?.getAttribute("content") ?? "{}");
const labels = /** @type {Map<string, string>} */ (new Map());

/** The address of a thing, or null where the product has none for its kind. */
export function addressOf(kind, values = {}) {
  return templates[kind]?.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name])) ?? null;
}

/** Load the names of accounts once; never fails, since they are an addition. */
export async function loadAccounts() {
  const address = addressOf("accounts");
  if (address === null || labels.size > 0) return;
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    for (const { key, label } of (await response.json()).accounts) labels.set(key, label);
  } catch {
    // Accounts are called by their keys.
  }
}

export const accountLabel = (key) => labels.get(key) ?? "";
