// Icons for status and tone, each with its own shape, so that color is never the only sign.

import { svg } from "./dom.js";

const STATUS = {
  running: ["M8 1.8a6.2 6.2 0 1 1-6.2 6.2", "stroke"],
  succeeded: ["M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm-1.1 10.2L3.9 8.2l1.2-1.2 1.8 1.8 4-4 1.2 1.2Z", "fill"],
  failed: ["M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.900V5.1Zm.7 3.600L4.600 5.800 6.800 8l-2.200 2.200 1.200 1.200L8 9.200l2.200 2.200 1.200-1.200L9.200 8l2.200-2.200-1.200-1.200L8 6.800Z", "fill"],
  cancelled: ["M8 1.800a6.200 6.200 0 1 0 0 12.400A6.200 6.200 0 0 0 8 1.800ZM3.700 12.300l8.600-8.600", "stroke"],
  skipped: ["M2.500 3.800l4.200 4.200-4.200 4.200M8.500 3.800l4.200 4.200-4.200 4.200", "stroke"],
  warnings: ["M8 1.600 15 14.200H1ZM7.200 6v4.200h1.600V6Zm0 5.400v1.600h1.600v-1.600Z", "fill"],
  problems: ["M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM7.100 3.800v5.600h1.800V3.800Zm0 6.800v1.800h1.800v-1.800Z", "fill"],
  retried: ["M13.300 6.200A5.600 5.600 0 1 0 13.600 9M13.600 2.600v3.800H9.800", "stroke"],
  crashed: ["M8 .8 15.600 14.600H.4ZM7.200 5.500v4.600h1.600V5.500Zm0 5.600v1.700h1.600v-1.700Z", "fill"],
};
const TONE = {
  neutral: ["M8 5.600a2.400 2.400 0 1 0 0 4.800 2.400 2.400 0 0 0 0-4.800Z", "stroke"],
  progress: ["M8 4.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7Z", "fill"],
  success: ["M3.500 8.300l3 3 6-6.300", "stroke"],
  warning: ["M8 3l5.500 9.800h-11Z", "fill"],
  error: ["M3.800 3.800l8.400 8.400M12.200 3.800l-8.400 8.400", "stroke"],
};

/** The word for a session's icon and color, from the server. @param {import("./types").Session} session */
export const markOf = ({ mark }) => mark;

/** The words for a mark. @param {string} mark */
export const wordOf = (mark) => ({ skipped: "deferred", warnings: "finished, with warnings", problems: "finished, with problems", retried: "failed, retried" })[mark] ?? mark;
export const statusIcon = (mark, isDecorative = false) => icon(STATUS[mark] ?? STATUS.cancelled, `status ${mark}`, isDecorative ? null : wordOf(mark));
export const toneIcon = (tone) => icon(TONE[tone] ?? TONE.neutral, "tone", tone === "neutral" ? null : tone);

function icon([path, kind], className, label) {
  const meaning = label === null ? { "aria-hidden": "true" } : { role: "img", "aria-label": label };
  return svg("svg", { viewBox: "0 0 16 16", class: `icon ${kind} ${className}`, ...meaning }, svg("path", { d: path, "fill-rule": "evenodd" }));
}
