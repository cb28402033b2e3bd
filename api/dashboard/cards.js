// The big numbers on top, each with its change against the period before.

import { element, unseen } from "./elements.js";
import { multiple, percentChange, withDates } from "./format.js";

const MANIFOLD_PERCENT = 900; // above tenfold, a percentage says nothing any more

/**
 * A list of cards `{metric, label, value, note, change}`. `value` is a text, `metric` the API's
 * name for it; `note` is a short text below; `change` comes from `changeOf`. Both may be absent.
 */
export function cards(list) {
  return element("dl", { class: "cards" }, ...list.map(card));
}

function card({ metric, label, value, note = null, change = null }) {
  return element(
    "div",
    { class: "card", "data-metric": metric },
    element("dt", {}, label),
    element("dd", { class: "value" }, value),
    change,
    note === null ? null : element("dd", { class: "note" }, note),
  );
}

/** The line that says how a figure of a summary changed, as the API compares it. */
export function changeOf({ summary, metric, text }) {
  if (summary.change_reason !== null) return notAvailable(withDates(summary.change_reason));
  const before = summary.previous[metric];
  const now = summary.compared[metric];
  const percent = summary.change_percent[metric];
  if (percent === null) return notAvailable(before === 0 ? "it was 0 before" : "nothing to compare");
  const arrow = percent > 0 ? "▲" : percent < 0 ? "▼" : "=";
  const isManifold = percent > MANIFOLD_PERCENT;
  const word = isManifold ? "now " : percent > 0 ? "up " : percent < 0 ? "down " : "unchanged, ";
  return element(
    "dd",
    { class: "change" },
    element(
      "span",
      { class: "by" },
      element("span", { "aria-hidden": "true" }, `${arrow} `),
      unseen(word),
      isManifold ? multiple(1 + percent / 100) : percentChange(percent),
    ),
    // A period that runs into today is compared up to an earlier hour than it is shown.
    element(
      "span",
      { class: "from" },
      now === summary[metric] ? `from ${text(before)}` : `from ${text(before)} to ${text(now)}`,
    ),
  );
}

function notAvailable(reason) {
  return element(
    "dd",
    { class: "change" },
    element("span", { class: "by none" }, "n/a"),
    element("span", { class: "from" }, reason),
  );
}
