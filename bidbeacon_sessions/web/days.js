// Calendar days as text, 2026-11-24: windows are days in their account's own time zone.

const DAY_MS = 86_400_000;
const ISO_DAY = /^\d{4}-\d{2}-\d{2}$/;
const written = (options) => new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
const [month, monthAndYear, weekday] = [{ month: "short" }, { month: "short", year: "numeric" }, { weekday: "long" }].map(written);

export const isDay = (text) => ISO_DAY.test(text);
export const dayAfter = (day, days) => new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
export const daysBetween = (from, to) => Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);
export const weekdayOf = (day) => weekday.format(new Date(day));

/** "Nov", or "Nov 2025" of another year than that of `today`. */
export const monthOf = (day, today) => (day.slice(0, 4) === today.slice(0, 4) ? month : monthAndYear).format(new Date(day));
