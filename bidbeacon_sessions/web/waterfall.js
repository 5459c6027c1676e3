// A session's time: sums of own work and of each kind of wait, and a bar for each of the longest steps.

import { el } from "./dom.js";
import { duration, sinceThen } from "./time.js";

const SHORTEST = 0.05; // seconds; a shorter time would be shown as 0.0 s

/** The section; null for fewer than two steps. A step is labelled by the action that ended it. @param {import("./types").Time} time @param {import("./types").Entry} entry */
export function timeSection({ seconds, sums, steps, more }, { session, actions }) {
  if (steps.length < 2) return null;
  const sentences = new Map(actions.map(({ ord, text }) => [ord, text]));
  const classes = new Map(sums.map(({ waits_for: kind }, place) => [kind, place === 0 ? "own" : `wait-${Math.min(place, 4)}`]));
  const row = (step) => stepRow(step, seconds, classes.get(step.waits_for), sentences.get(step.ord) ?? "The session ended");
  return el(
    "section",
    { class: "time-spent", "aria-labelledby": "time" },
    el("h2", { id: "time" }, "Where its time went"),
    el("ul", { class: "sums" }, sums.filter((sum) => sum.seconds >= SHORTEST).map((sum) => sumRow(sum, seconds, classes.get(sum.waits_for)))),
    el("ol", { class: "steps" }, steps.map(row)),
    more.seconds >= SHORTEST && el("p", { class: "quiet" }, `${more.steps.toLocaleString("en")} shorter ${more.steps === 1 ? "step" : "steps"}: ${duration(more.seconds)}`),
    session.status === "running" && actions.length > 0 && el("p", { class: "quiet" }, "Since then ", el("span", { "data-since": actions[actions.length - 1].at }, sinceThen(actions[actions.length - 1].at))),
  );
}

const nameOf = (kind) => (kind === null ? "own work" : `waiting for ${kind}`);

function sumRow({ waits_for: kind, seconds }, whole, className) {
  return el("li", {}, el("i", { class: `swatch ${className}`, "aria-hidden": "true" }), el("bdi", {}, nameOf(kind)), " ", el("b", {}, duration(seconds)), el("small", {}, ` ${Math.round((100 * seconds) / whole)} %`));
}

/** @param {import("./types").Step} step @param {number} whole @param {string | undefined} className @param {string} sentence */
function stepRow({ waits_for: kind, start, seconds }, whole, className, sentence) {
  const bar = el("i", { class: className });
  bar.style.left = `${(100 * start) / whole}%`;
  bar.style.width = `${(100 * seconds) / whole}%`;
  return el(
    "li",
    { title: `${sentence}\n${nameOf(kind)}, from ${duration(start)} to ${duration(start + seconds)} after the start` },
    el("bdi", { class: "what" }, sentence),
    el("span", { class: "unseen" }, `, ${nameOf(kind)}`),
    el("span", { class: "track", "aria-hidden": "true" }, bar),
    el("span", { class: "length" }, duration(seconds)),
  );
}
