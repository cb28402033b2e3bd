// The big numbers on top, each with its change against the period before.

import { element, unseen } from "./elements.js";
import { changeBetween } from "./frame.js";
import { percentChange } from "./format.js";

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

/**
 * The line that says how a number changed. `before` is undefined if it could not be loaded;
 * where the period before is not kept, or had nothing, there is no change to speak of.
 */
export function changeOf({ frame, now, before, text }) {
  if (!frame.before.isKept) return notAvailable("the period before is not kept");
  if (before === undefined) return notAvailable("not loaded");
  const fraction = changeBetween(before, now);
  if (fraction === null) {
    return notAvailable(before === 0 ? "it was 0 before" : "nothing to compare");
  }
  const arrow = fraction > 0 ? "▲" : fraction < 0 ? "▼" : "=";
  const word = fraction > 0 ? "up " : fraction < 0 ? "down " : "unchanged, ";
  return element(
    "dd",
    { class: "change" },
    element(
      "span",
      { class: "by" },
      element("span", { "aria-hidden": "true" }, `${arrow} `),
      unseen(word),
      percentChange(fraction),
    ),
    element("span", { class: "from" }, `from ${text(before)}`),
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
