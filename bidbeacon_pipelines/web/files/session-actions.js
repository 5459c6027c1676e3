// The buttons of a session's page: load its windows again, and change its account.

import { MOST_WINDOWS, actions, changeCadence, loadAgain, pauseOrResume, syncEntities } from "./act.js";
import { fetchJson } from "./stream.js";

const MOST_DATASETS = 3;
const OF_COUNTRY = /^[A-Z]{2}\./;

/** Make the buttons for a session and its references; null if it refers to no account. */
export async function sessionActions(session, references) {
  const ofWindows = references.filter(({ account_key: account, dataset, windows }) => dataset && windows && OF_COUNTRY.test(account));
  const loads = [...Map.groupBy(ofWindows, ({ account_key: account, dataset }) => `${account} ${dataset}`).values()];
  const own = countryAccount(session, references);
  const others = own ? await accountButtons(own) : session.account ? [changeCadence(session.account)] : [];
  const made = [...loads.slice(0, MOST_DATASETS).map((rows) => loadButton(rows, own)), ...others];
  return made.length > 0 ? actions(made) : null;
}

/** The account of a country that a session refers to; null if there are several. */
function countryAccount({ account }, references) {
  if (account === null || OF_COUNTRY.test(account)) return account;
  const countries = new Set(references.map(({ account_key: key }) => key).filter((key) => OF_COUNTRY.test(key)));
  return countries.size === 1 ? [...countries][0] : null;
}

/** The button for the days of one dataset of one account. */
function loadButton(rows, own) {
  const [{ account_key: account, account_label: label, dataset }] = rows;
  const days = [...new Set(rows.flatMap(({ windows }) => windows))].sort();
  const newest = days.slice(-MOST_WINDOWS);
  const which = days.length === 1 ? days[0] : newest.length < days.length ? `the newest ${newest.length} of ${days.length} days` : `${days.length} days`;
  return loadAgain(account, dataset, newest, `Load ${which} of ${dataset}${account === own ? "" : ` of ${label ?? account}`} again`);
}

/** The buttons that every page has for an account. */
async function accountButtons(account) {
  const data = await fetchJson(`/api/account?${new URLSearchParams({ account })}`).catch(() => null);
  return data ? [syncEntities(account), pauseOrResume(account, data.can_resume), changeCadence(account)] : [];
}
