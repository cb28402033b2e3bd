// Agent types side by side.

import { element } from "../elements.js";
import { fixed, integer, duration, percent } from "../format.js";
import { parametersOf } from "../frame.js";
import { emptyPanel, notLoaded, panel } from "../panels.js";
import { dropText } from "./feedback.js";

const SHARED = { id: "comparison", title: "Agent Type Comparison", look: "wide" };

export const agentTypes = {
  title: "Agent types",

  requests: (frame) => ({ comparison: ["agent-types/comparison", parametersOf(frame)] }),

  render: (frame, { comparison }) => [
    element(
      "div",
      { class: "panels" },
      comparison === undefined
        ? notLoaded({ ...SHARED, frame })
        : comparisonPanel(frame, comparison.agent_types),
    ),
  ],
};

function comparisonPanel(frame, types) {
  if (types.length === 0) {
    return emptyPanel({ ...SHARED, frame, text: "No messages, scans or ratings in this period." });
  }
  const rows = types.map(({ performance, compliance, satisfaction, ...type }) => ({
    ...type,
    ...performance,
    ...compliance,
    ...satisfaction,
  }));
  const number = (label, key, write = integer) => ({
    label,
    isNumber: true,
    value: (row) => row[key],
    text: (row) => write(row[key]),
  });
  const text = (label, key) => ({
    label,
    isName: true,
    value: (row) => row[key],
    text: (row) => row[key] ?? "–",
  });
  const saysDrop = rows.every((row) => row.rating_degrades_at_load !== undefined);
  return panel({
    ...SHARED,
    frame,
    note:
      "Press a heading to sort by it. Model: the one of most messages in the period. Toxic rate and " +
      "PII: over all messages, scanned or not; Compliance says how many were scanned.",
    table: {
      columns: [
        text("Agent Type", "name"),
        text("Model", "model"),
        number("Messages", "total_messages"),
        number("Total Tokens", "total_tokens"),
        number("Tokens per Message", "avg_tokens_per_message"),
        number("Avg Response Time", "avg_response_time_ms", duration),
        number("Tokens per Second", "tokens_per_second", fixed(1)),
        number("Toxic Rate", "toxic_rate_percent", percent),
        number("PII per Message", "pii_redactions_per_message", fixed(3)),
        number("Ratings", "feedback_count"),
        number("Average Rating", "average_rating", fixed(2)),
        ...(saysDrop
          ? [{ label: "Ratings Drop", value: (row) => row.rating_degrades_at_load, text: dropText }]
          : []),
      ],
      rows,
    },
    csv: { name: "agent-type-comparison", columns: Object.keys(rows[0]), rows },
  });
}
