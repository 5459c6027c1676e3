// Runs of the same action as one: the first one's sentence, with a count. Pure; an error never folds.

const SHORTEST_RUN = 3;

/** Each action as a group of its own. */
export const eachAlone = (actions) => actions.map((action) => [action]);

/**
 * Group actions, which are in order: each group has one action, or is a run of three and more that follow each other. `isKnown` says
 * whether the action of a number is loaded, or there is none: a run that may go on where nothing is loaded has no count, so it does not fold.
 */
export function foldRuns(actions, isKnown) {
  const runs = /** @type {import("./types").Action[][]} */ ([]);
  for (const action of actions) {
    const run = runs.at(-1);
    if (run && isOfRun(run[run.length - 1], action)) run.push(action);
    else runs.push([action]);
  }
  const isWhole = (run) => isKnown(run[0].ord - 1) && isKnown(run[run.length - 1].ord + 1);
  return runs.flatMap((run) => (run.length >= SHORTEST_RUN && isWhole(run) ? [run] : eachAlone(run)));
}

const isOfRun = (before, action) => action.ord === before.ord + 1 && action.tone !== "error" && kindOf(action) === kindOf(before);

/** What the actions of a run share, as in terminals. */
const kindOf = ({ type, tone, payload: { reason, cause } }) => JSON.stringify([type, tone, reason, cause?.code]);
