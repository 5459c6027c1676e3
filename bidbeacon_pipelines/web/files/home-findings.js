// The findings, one per cause: effects, next attempt, and buttons.

import { actions, button } from "./act.js";
import { el, withCommands } from "./dom.js";
import { toneIcon } from "./icons.js";
import { fetchJson } from "./stream.js";
import { counted, when } from "./words.js";

const made = new Map();
const TONES = { fine: "success", waiting: "progress", warning: "warning", error: "error" };

/** The findings in three lists: problems, usually temporary ones, acknowledged ones. */
export function findingList({ findings, more_findings: more }) {
  for (const [id, { key }] of made) if (!findings.some((one) => one.key === key)) made.delete(id);
  if (findings.length === 0) return null;
  const isOpen = ({ acknowledged }) => acknowledged === null;
  const wrong = findings.filter((one) => isOpen(one) && one.severity !== "waiting");
  const waiting = findings.filter((one) => isOpen(one) && one.severity === "waiting");
  const known = findings.filter((one) => !isOpen(one));
  return [
    wrong.length > 0 && el("h2", {}, "What is wrong"),
    wrong.length > 0 && rows(wrong),
    more > 0 && el("p", { class: "quiet" }, `and ${more.toLocaleString("en")} more`),
    waiting.length > 0 && el(wrong.length > 0 ? "h3" : "h2", {}, "Continues by itself"),
    waiting.length > 0 && rows(waiting),
    known.length > 0 && el("details", { class: "known", "data-key": "known" }, el("summary", {}, `${counted(known.length, "finding")} acknowledged`), rows(known)),
  ];
}

const rows = (findings) => el("ul", { class: "rows" }, findings.map(row));

function row(finding) {
  const [own, ...consequences] = finding.effects;
  return el(
    "li",
    { class: `is-${finding.severity}`, "data-key": finding.key },
    toneIcon(TONES[finding.severity]),
    el(
      "div",
      {},
      el("div", { dir: "auto" }, el("a", { class: "cause", href: finding.link }, el("bdi", {}, withCommands(finding.sentence))), finding.advice && [" ", el("bdi", {}, withCommands(finding.advice))]),
      el("p", { class: "quiet" }, extent(finding, own)),
      consequences.length > 0 && el("ul", { class: "consequences" }, consequences.map(({ text, link }) => el("li", {}, el("a", { href: link }, el("bdi", {}, text))))),
      finding.acknowledged && el("p", { class: "quiet" }, "Acknowledged by ", el("bdi", {}, finding.acknowledged.by), " ", when(finding.acknowledged.at), finding.acknowledged.note && [": ", el("bdi", {}, finding.acknowledged.note)]),
      buttons(finding),
    ),
  );
}

/** Extent, start, accounts and next attempt, separated by dots. */
function extent({ since, next_at: next, names, accounts }, own) {
  const more = accounts - names.length;
  const parts = [
    own && el("bdi", {}, own.text),
    since && ["since ", when(since)],
    names.length > 0 && [el("bdi", {}, names.join(", ")), more > 0 && ` and ${counted(more, "more account")}`],
    next && el("b", {}, "next ", when(next)),
  ];
  const given = parts.filter(Boolean).map((part) => [part].flat(2));
  return given.flatMap((part, place) => (place === 0 ? part : [" · ", ...part])).filter(Boolean);
}

/** Made once for a finding, so that the buttons' messages stay when the list is renewed. */
function buttons(finding) {
  if (finding.severity === "waiting" && !finding.button) return null;
  const id = `${finding.key} ${finding.acknowledged === null}`;
  const acknowledgement = finding.acknowledged === null ? acknowledge(finding) : unacknowledge(finding);
  if (!made.has(id)) made.set(id, { key: finding.key, acts: actions([finding.button && act(finding), finding.other_button && keep(finding), finding.severity !== "waiting" && acknowledgement].filter(Boolean)) });
  const { acts } = made.get(id);
  if (finding.button) acts.querySelector("button").textContent = finding.button;
  return acts;
}

const act = ({ key, button: label }) =>
  button(label, async (show) => {
    const { message, link } = await fetchJson("/api/findings/act", { finding: key });
    show(el("a", { href: link }, message));
  });

/** The button beside *Accept*. */
const keep = ({ key, other_button: label }) =>
  button(
    label,
    async (show) => {
      const { message, link } = await fetchJson("/api/findings/keep", { finding: key });
      show(el("a", { href: link }, message));
    },
    { class: "button plain" },
  );

const changed = () => document.dispatchEvent(new CustomEvent("findings-changed"));

/** A button that first opens a field for a note. */
const acknowledge = ({ key, action }) => (show) => {
  const note = el("input", { type: "text", maxlength: "500", "aria-label": "Note", placeholder: "Why, if others should know", hidden: true });
  const press = async () => {
    if (note.hidden) {
      note.hidden = false;
      note.focus();
      const outcome = action === "acknowledge" ? "It leaves this list." : "No alert is sent until it gets worse, is twice as large, or ends.";
      return show(`${outcome} Press again to acknowledge.`);
    }
    await fetchJson("/api/findings/acknowledge", { finding: key, note: note.value });
    return changed();
  };
  return el("span", { class: "choice" }, button("Acknowledge", press, { class: "button plain" })(show), note);
};

const unacknowledge = ({ key }) => button("Take back", () => fetchJson("/api/findings/unacknowledge", { finding: key }).then(changed), { class: "button plain" });
