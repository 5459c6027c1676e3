// The accounts that the product knows: what they are called, and their time zones. The page works without them.

import { addressOf } from "./links.js";

const accounts = new Map();
let loading = null;

/** Load them once; never fails, since names and zones are an addition. */
export function loadAccounts() {
  const address = addressOf("accounts");
  if (address === null) return Promise.resolve();
  loading ??= fetch(address, { headers: { Accept: "application/json" } })
    .then((response) => (response.ok ? response.json() : { accounts: [] }))
    .then((body) => body.accounts.forEach((account) => accounts.set(account.key, account)))
    .catch(() => (loading = null));
  return loading;
}

export const accountZone = (key) => accounts.get(key)?.time_zone ?? null;
export const accountLabel = (key) => accounts.get(key)?.label ?? "";
