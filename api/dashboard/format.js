// Numbers and dates in the reader's locale.

const NOTHING = "–";
const LONG_MS = 10_000;

const whole = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat(undefined, {
  style: "percent",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const few = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });
const decimals = [0, 1, 2, 3].map(
  (digits) =>
    new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
/** @type {Intl.NumberFormatOptions} */
const inDollars = { style: "currency", currency: "USD" };
const dollars = new Intl.NumberFormat(undefined, inDollars);
const parts = new Intl.NumberFormat(undefined, { ...inDollars, maximumFractionDigits: 6 });
const ofDate = (options) => new Intl.DateTimeFormat(undefined, { timeZone: "UTC", ...options });
const dayMonth = ofDate({ day: "numeric", month: "short" });
const weekday = ofDate({ weekday: "short", day: "numeric" });
const fullDate = ofDate({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const plainDate = ofDate({ day: "numeric", month: "short", year: "numeric" });

const instant = (date) => new Date(`${date}T00:00:00Z`);
const unlessNull = (write) => (value) => (value === null ? NOTHING : write(value));

/** A whole number, all its digits; – for null. */
export const integer = unlessNull((value) => whole.format(value));
/** A number in few characters, e.g. 1.8M. */
export const short = unlessNull((value) => compact.format(value));
/** A function that writes numbers with so many decimals; – for null. */
export const fixed = (digits) => unlessNull((value) => decimals[digits].format(value));
/** A duration in ms: in seconds where it is long; – for null. */
export const duration = unlessNull((value) =>
  value < LONG_MS ? `${whole.format(value)} ms` : `${decimals[1].format(value / 1000)} s`,
);
/** An amount in US dollars as the API gives it, a text: cents, or more decimals where it is less than
 * a dollar; – for null. */
export const money = unlessNull((value) =>
  (Number(value) !== 0 && Number(value) < 1 ? parts : dollars).format(value),
);
/** A percentage as the API gives it, 0 to 100; – for null. */
export const percent = unlessNull((value) => hundredths.format(value / 100));
/** A number on an axis. */
export const axisNumber = (value) => few.format(value);
/** A percentage on an axis, 0 to 100. */
export const axisPercent = (value) => share.format(value / 100);
/** By how much something changed, without its sign: that is said beside it. */
export const percentChange = (percent) => share.format(Math.abs(percent) / 100);
/** So many times as much. */
export const multiple = (times) => `${decimals[1].format(times)}×`;
/** A part of a whole in percent. */
export const shareOf = (part, all) => (all === 0 ? NOTHING : share.format(part / all));

/** A date with weekday and year. */
export const longDate = (date) => fullDate.format(instant(date));
/** A date with its year. */
export const mediumDate = (date) => plainDate.format(instant(date));
/** A date on an axis: weekday and day for a week, else day and month. */
export const axisDate = (date, days) =>
  (days <= 8 ? weekday : dayMonth).format(instant(date));
/** From one date to another. */
export const dateRange = (from, to) => plainDate.formatRange(instant(from), instant(to));

/** A text with each YYYY-MM-DD in it written as a date. */
export const withDates = (text) => text.replaceAll(/\d{4}-\d{2}-\d{2}/g, mediumDate);

/** From one instant to another, with dates and times in a zone. */
export function timeRange(from, to, tz) {
  /** @type {Intl.DateTimeFormatOptions} */
  const style = { timeZone: tz, day: "numeric", month: "short", hour: "numeric", minute: "2-digit" };
  return new Intl.DateTimeFormat(undefined, style).formatRange(new Date(from), new Date(to));
}

/** An instant as date and time in a zone. */
export function dateAndTime(moment, tz) {
  return new Intl.DateTimeFormat(undefined, {
    timeZone: tz,
    dateStyle: "medium",
    timeStyle: "short",
  }).format(moment);
}

/** `1 day`, `7 days`; the same for any noun whose plural ends in s. */
export const counted = (count, noun) => `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;

/** How long ago, in the largest unit that fits. */
export function ago(moment, now = Date.now()) {
  const minutes = Math.max(0, Math.floor((now - moment) / 60_000));
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${counted(minutes, "minute")} ago`;
  if (minutes < 48 * 60) return `${counted(Math.floor(minutes / 60), "hour")} ago`;
  return `${counted(Math.floor(minutes / 1440), "day")} ago`;
}
