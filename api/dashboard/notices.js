// Lines above the numbers: what the reader has to know about them, and what went wrong.

import { element } from "./elements.js";
import { ago, counted, dateAndTime, mediumDate } from "./format.js";

const STALE_AFTER_MS = 2 * 3_600_000; // loads are hourly, so one that failed shows

/**
 * A notice.
 * @param {{
 *   kind: "info" | "warn" | "error", name: string, text: string, detail?: string | null,
 *   actions?: {text: string, act: () => void}[],
 * }} what
 */
export function notice({ kind, name, text, detail = null, actions = [] }) {
  return element(
    "div",
    { class: `notice ${kind}`, "data-notice": name, role: kind === "error" ? "alert" : "status" },
    element(
      "p",
      {},
      element("strong", {}, text),
      detail === null ? null : " ",
      detail === null ? null : element("span", { class: "detail" }, detail),
    ),
    ...actions.map(({ text: label, act }) =>
      element("button", { type: "button", class: "quiet", onclick: act }, label),
    ),
  );
}

/** Whether data of this age is so old that a notice must say it. */
export function isStale(dataAsOf, now = Date.now()) {
  return dataAsOf !== null && now - dataAsOf > STALE_AFTER_MS;
}

/** What there is to say about the dates that are shown and the data behind them. */
export function noticesAbout(frame) {
  const list = [];
  if (frame.isCut) {
    list.push(
      notice({
        kind: "info",
        name: "cut",
        text: `This shows ${counted(frame.days, "day")}, not ${frame.asked}.`,
        detail: `Your data is kept from ${mediumDate(frame.coveredFrom)} (UTC) on.`,
      }),
    );
  }
  if (isStale(frame.dataAsOf)) {
    list.push(
      notice({
        kind: "warn",
        name: "stale",
        text: `The newest data is from ${ago(frame.dataAsOf)}.`,
        detail: `It was loaded on ${dateAndTime(frame.dataAsOf, frame.tz)}. What happened since is not in these numbers yet.`,
      }),
    );
  }
  const busy = frame.timeline.labels.filter((_, index) => frame.timeline.messages[index] > 0);
  if (busy.length === 1 && frame.days > 1) {
    list.push(
      notice({
        kind: "info",
        name: "one-day",
        text: "There is one day of messages in this period.",
        detail: `All of them are of ${mediumDate(busy[0])}.`,
      }),
    );
  }
  return list;
}

/** What went wrong, in words, with a way on. `wait` is in seconds, or null. */
export function refusalNotice(refusal, { wait, retry }) {
  const isLimit = refusal.code === "RATE_LIMIT_EXCEEDED";
  const text = isLimit
    ? "Too many requests in a minute."
    : refusal.code === "NOT_READY"
      ? "No data has been published yet."
      : "The numbers could not be loaded.";
  const parts = [];
  if (!isLimit && refusal.code !== "NOT_READY") parts.push(refusal.message);
  if (wait !== null) parts.push(`Trying again in ${counted(wait, "second")}.`);
  if (refusal.requestId !== null && !isLimit) parts.push(`Request ID: ${refusal.requestId}`);
  return notice({
    kind: isLimit ? "warn" : "error",
    name: isLimit ? "rate-limited" : refusal.code === "NOT_READY" ? "not-ready" : "error",
    text,
    detail: parts.join(" "),
    actions: [{ text: wait === null ? "Retry" : "Retry now", act: retry }],
  });
}
