// The dates that are shown. Dates are texts YYYY-MM-DD; arithmetic on them knows no time zone.

const DAY_MS = 86_400_000;

/** The date so many days later (or earlier). */
export function addDays(date, days) {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** How many days `to` is after `from`. */
export function daysBetween(from, to) {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS);
}

/** The first date in a zone that retention leaves whole; `coveredFrom` is a UTC date. */
export function firstWholeDate(coveredFrom, tz) {
  const written = new Intl.DateTimeFormat("en-CA-u-ca-gregory-nu-latn", {
    timeZone: tz,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(Date.parse(`${coveredFrom}T00:00:00Z`));
  const part = Object.fromEntries(written.map(({ type, value }) => [type, value]));
  const date = `${part.year}-${part.month}-${part.day}`;
  return part.hour === "00" && part.minute === "00" ? date : addDays(date, 1);
}

/**
 * The dates to show, from what was asked and an answer about its timeline:
 * - start, end, days: the period, cut off where it is older than what is kept
 * - asked: the days asked for; isCut: whether they are more than those shown
 * - kept: how many days there are at most
 * - tz, coveredFrom, snapshotId, dataAsOf
 * - timeline: `{labels, messages, tokens, cost_usd}` of the period
 */
export function frameOf({ days: asked, tz }, answer) {
  const { labels, messages, tokens, cost_usd: costs } = answer.body;
  const end = labels.at(-1);
  const firstWhole = firstWholeDate(answer.coveredFrom, tz);
  const kept = Math.max(1, daysBetween(firstWhole, end) + 1);
  const days = Math.min(asked, kept);
  const start = addDays(end, 1 - days);
  return {
    asked,
    days,
    isCut: days < asked,
    start,
    end,
    kept,
    tz,
    coveredFrom: answer.coveredFrom,
    snapshotId: answer.snapshotId,
    dataAsOf: answer.dataAsOf,
    timeline: {
      labels: labels.slice(-days),
      messages: messages.slice(-days),
      tokens: tokens.slice(-days),
      cost_usd: costs.slice(-days),
    },
  };
}

/** The parameters that ask an endpoint for the period. */
export function parametersOf(frame) {
  return { days: frame.days, tz: frame.tz, end: frame.end };
}

/** Whether two frames are of the same dates and the same data. */
export function isSameFrame(one, other) {
  return ["snapshotId", "start", "end", "tz"].every((name) => one[name] === other[name]);
}
