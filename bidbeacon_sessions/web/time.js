// Times as people read them: in the browser's zone, which is always named; "ago" by the server's clock.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const keyFormat = new Intl.DateTimeFormat("sv-SE", { year: "numeric", month: "2-digit", day: "2-digit" });
let skew = 0;

export const zoneName = zone;

/** Take over the server's clock, so that "3 s ago" is right on a machine whose clock is not. */
export function setServerTime(iso) {
  skew = Date.parse(iso) - Date.now();
}

export const now = () => Date.now() + skew;
export const clock = (instant) => clockFormat.format(new Date(instant));
export const dayKey = (instant) => keyFormat.format(new Date(instant));

export function dayName(instant) {
  const name = dayFormat.format(new Date(instant));
  const days = Math.round((Date.parse(dayKey(now())) - Date.parse(dayKey(instant))) / 86_400_000);
  return days === 0 ? `Today, ${name}` : days === 1 ? `Yesterday, ${name}` : name;
}

/** The whole instant, with its zone and in UTC, for titles. */
export function fullTime(iso) {
  return `${dayKey(iso)} ${clock(iso)} ${zone}\n${iso}`;
}

export function ago(iso) {
  const seconds = Math.max(0, Math.floor((now() - Date.parse(iso)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** A length of time: 0.4 s, 3 min 12 s, 2 h 05 min. The same rule as the sentences'. */
export function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Keep everything that carries `data-ago` or `data-since` counting. */
export function keepCounting() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-ago]")) setText(element, ago(element.dataset.ago));
    for (const element of document.querySelectorAll("[data-since]")) {
      setText(element, duration(Math.floor((now() - Date.parse(element.dataset.since)) / 1000)));
    }
  }, 1000);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
