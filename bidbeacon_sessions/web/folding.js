// Fold runs of the same action into one: the first one's sentence, with a count. Errors never fold.

const SHORTEST_RUN = 3;

export const eachAlone = (actions) => actions.map((action) => [action]);

/**
 * Group actions, which are in order: a group is one action, or a run of three or more consecutive ones. `isKnown` returns whether the action
 * of a number is loaded, or does not exist: a run that may continue in actions that are not loaded has no count, so it does not fold.
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

/** The properties that the actions of a run share, as in the terminal. */
const kindOf = ({ type, tone, payload: { reason, cause } }) => JSON.stringify([type, tone, reason, cause?.code]);
