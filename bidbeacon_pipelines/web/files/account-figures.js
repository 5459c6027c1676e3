// An account's spend and sales: a chart by day, and a table by ad product. Amounts are exact text.

import { el, svg } from "./dom.js";
import { scrollingTable } from "./words.js";

const WIDTH = 600;
const HEIGHT = 120;
const LEFT = 4;

/** The section's children, from `figures` of /api/account. */
export function figuresSection({ figures }) {
  const { products, days, currency, from, to, before_from: beforeFrom } = figures;
  const title = (days) => el("h2", { id: "figures-title" }, `Spend and sales, ${days} days`);
  if (products.length === 0) return [title(60), el("p", { class: "quiet" }, `No day from ${beforeFrom} to ${to} is loaded yet.`)];
  const total = products.find(({ ad_product: product }) => product === null);
  return [
    title(30),
    el("p", { class: "quiet" }, `${from} to ${to}, ${daysOf(total.recent)} of 30 days loaded, against the 30 days before (${daysOf(total.before)} loaded). Amounts in ${currency}.`),
    el("div", { class: "figures" }, days.length > 0 && chart(days, currency), table(products)),
    el("p", { class: "quiet" }, "Sales count on the day of the click or view, within the days beside the ad product: Sponsored Products of sellers count 7 days, everything else 14. Amazon still adds sales to the last days, so their ACOS is too high at first."),
  ];
}

const daysOf = (sums) => (sums === null ? 0 : sums.days);

function chart(days, currency) {
  const highest = Math.max(1, ...days.flatMap(({ spend, sales }) => [Number(spend ?? 0), Number(sales ?? 0)]));
  const step = (WIDTH - LEFT) / days.length;
  const bar = (date, name, value, place) => {
    const height = (Number(value ?? 0) / highest) * (HEIGHT - 4);
    const words = svg("title", {}, `${date}: ${name} ${amount(value)} ${currency}`);
    return svg("rect", { class: name, x: LEFT + place * step, y: HEIGHT - height, width: step * 0.4, height }, words);
  };
  const bars = days.flatMap(({ date, spend, sales }, place) => [bar(date, "sales", sales, place + 0.08), bar(date, "spend", spend, place + 0.5)]);
  const label = `Spend and sales of ${days.length} days, ${days[0].date} to ${days.at(-1).date}; the table beside it has the sums`;
  const drawing = svg("svg", { class: "money", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...bars);
  const legend = el("figcaption", {}, el("i", { class: "dot sales" }), " sales ", el("i", { class: "dot spend" }), ` spend, by day; at most ${amount(String(highest))} ${currency}`);
  return el("figure", {}, drawing, legend);
}

function table(products) {
  const heads = ["Ad product", "Spend", "before", "Sales", "before", "ACOS", "before"];
  const rows = products.map(({ name, ad_product: product, attribution_days: days, recent, before }) =>
    el(
      "tr",
      { class: product === null && "total" },
      el("th", { scope: "row" }, name, product !== null && el("small", {}, days === null ? " 7 or 14 days" : ` ${days} days`)),
      ...["spend", "sales"].flatMap((field) => [money(recent?.[field]), money(before?.[field], change(recent?.[field], before?.[field]))]),
      el("td", {}, percent(recent?.acos)),
      el("td", { class: "before" }, percent(before?.acos)),
    ),
  );
  return scrollingTable("Sums by ad product", "jobs sums", heads, rows);
}

const money = (value, /** @type {string | null} */ more = null) => el("td", { class: more !== null && "before" }, amount(value), more && el("small", {}, ` ${more}`));

/** The change in percent; empty if it can't be computed. */
function change(recent, before) {
  if (recent === null || recent === undefined || !Number(before)) return "";
  const share = (Number(recent) / Number(before) - 1) * 100;
  return `${share >= 0 ? "+" : "−"}${Math.abs(share).toFixed(Math.abs(share) < 10 ? 1 : 0)} %`;
}

const twoDecimals = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "negative" });

/** An exact amount with two decimals, never converted to a float. @returns {string} */
export const amount = (text) => (text === null || text === undefined ? "–" : twoDecimals.format(text).replace("-", "−"));

const percent = (text) => (text === null || text === undefined ? "–" : `${(Number(text) * 100).toFixed(1)} %`);
