// Runs of the same action as one: "Queued 14 report windows" with 14 badges. Pure; an error never folds.

const SHORTEST_RUN = 3;
const FIELD = /\{(\w+)(?::(\w+))?(?::([^}|]*)(?:\|([^}]*))?)?\}/g;
const COUNTED = ["count", "total"];
const MERGED = [...COUNTED, "badge", "account", "windows"];
let fields = null;

/** Take over the catalogue of actions: the fields of their sentences, and the nouns that count them. Until then nothing folds. */
export function setCatalogue(catalogue) {
  fields = new Map(Object.entries(catalogue).map(([type, { sentence }]) => [type, [...sentence.matchAll(FIELD)].map(([, field, kind = "text", one, many]) => ({ field, kind, one, many: many || `${one}s` }))]));
}

/** Each action as a group of its own. */
export const eachAlone = (actions) => actions.map((action) => ({ actions: [action], parts: action.parts }));

/** Group actions, which are in order: each group is `{actions, parts}`, of one action or of a run of three and more. */
export function foldRuns(actions) {
  const groups = [];
  for (let start = 0; start < actions.length; ) {
    const end = endOfRun(actions, start);
    if (end - start >= SHORTEST_RUN) groups.push({ actions: actions.slice(start, end), parts: mergedParts(actions.slice(start, end)) });
    else for (let index = start; index < end; index += 1) groups.push({ actions: [actions[index]], parts: actions[index].parts });
    start = end;
  }
  return groups;
}

function endOfRun(actions, start) {
  const first = actions[start];
  let end = start + 1;
  if (!fields?.has(first.type) || !first.known || first.tone === "error") return end;
  const shape = shapeOf(first);
  while (end < actions.length && actions[end].ord === actions[end - 1].ord + 1 && actions[end].type === first.type && shapeOf(actions[end]) === shape) end += 1;
  return end;
}

/** What two actions must share to be told as one, as in terminals: all fields but counts, names and days, which have to be there in both or in neither. */
function shapeOf({ type, payload, parts }) {
  const shared = fields.get(type).map(({ field, kind }) => (MERGED.includes(kind) ? isThere(payload[field]) : payload[field]));
  return JSON.stringify([shared, slots(parts).map(({ kind }) => kind)]);
}

/** The parts, with windows (or badges, or accounts) that stand side by side as one slot with many values. */
function slots(parts) {
  const found = [];
  parts.forEach((part, index) => {
    const last = found.at(-1);
    const isBlankBetween = part.kind === "text" && part.text.trim() === "" && last?.values && parts[index + 1]?.kind === last.kind;
    if (isBlankBetween) return;
    if (part.kind === "text") found.push({ kind: "text", text: part.text });
    else {
      const slot = last?.kind === part.kind && last.values ? last : { kind: part.kind, text: part.text, values: [], labels: new Map(), part };
      if (slot !== last) found.push(slot);
      slot.values.push(part.value);
      slot.labels.set(part.value, part.text === part.value ? null : part.text);
    }
  });
  return found;
}

function mergedParts(run) {
  const rows = run.map((action) => slots(action.parts));
  const days = rows[0].flatMap((slot, place) => (slot.kind === "window" && rows.every((row) => row[place].values.length === 1) ? [place] : []));
  return rows[0].flatMap((slot, place) => {
    if (slot.kind === "text") return [{ kind: "text", text: mergedText(run, slot.text) }];
    const all = [...new Set(rows.flatMap((row) => row[place].values))];
    const values = days.length === 2 && days.includes(place) ? [all.sort().at(place === days[0] ? 0 : -1)] : all; // a range: its first and its last day
    if (slot.kind === "window") return values.map((value) => ({ kind: "window", text: value, value }));
    if (slot.kind === "badge" && values.length > 1) return [{ kind: "badges", values }];
    if (slot.kind === "account") return [{ kind: "accounts", accounts: values.map((key) => ({ key, label: labelOf(rows, place, key) })) }];
    return [rows.at(-1)[place].part];
  });
}

const labelOf = (rows, place, key) => rows.map((row) => row[place]).find(({ values }) => values.includes(key)).labels.get(key);

/** Counted nouns are added up, of totals the last one counts; everything else is the same everywhere. */
function mergedText(run, text) {
  let merged = text;
  for (const noun of fields.get(run[0].type).filter(({ kind }) => COUNTED.includes(kind))) {
    const counted = new RegExp(`\\d[\\d,]* (${escaped(noun.many)}|${escaped(noun.one)})(?!\\w)`);
    if (!counted.test(merged)) continue;
    const values = run.map(({ payload }) => payload[noun.field]);
    const total = noun.kind === "total" ? countOf(values.at(-1)) : totalOf(values);
    const sentence = `${total.toLocaleString("en")} ${total === 1 ? noun.one : noun.many}`;
    merged = merged.replace(counted, sentence);
  }
  return merged;
}

/** Numbers and lengths of lists added up; of objects, the keys of all of them, each once. */
function totalOf(values) {
  if (values.every(isObject)) return new Set(values.flatMap(Object.keys)).size;
  return values.reduce((sum, value) => sum + countOf(value), 0);
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isThere = (value) => (Array.isArray(value) ? value.length > 0 : isObject(value) ? Object.keys(value).length > 0 : Boolean(value));
const countOf = (value) => (Array.isArray(value) ? value.length : Number(value) || 0);
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
