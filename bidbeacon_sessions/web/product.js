// Data of the product: addresses with {names} for values, which it registers on the server, and labels of accounts.

const templates = JSON.parse(document.querySelector("meta[name=links]")?.getAttribute("content") ?? "{}");
const labels = /** @type {Map<string, string>} */ (new Map());

/** The address of a kind of page, or null if the product has none. */
export function addressOf(kind, values = {}) {
  return templates[kind]?.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name])) ?? null;
}

/** Load the labels of accounts once; never fails, since they are optional. */
export async function loadAccounts() {
  const address = addressOf("accounts");
  if (address === null || labels.size > 0) return;
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    for (const { key, label } of (await response.json()).accounts) labels.set(key, label);
  } catch {
    // Accounts are shown by their keys.
  }
}

export const accountLabel = (key) => labels.get(key) ?? "";
