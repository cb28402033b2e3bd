// Toxic messages and redacted personal data.

import { cards } from "../cards.js";
import { axisName, endTexts, horizontal } from "../charts.js";
import { element } from "../elements.js";
import { axisNumber, axisPercent, counted, fixed, integer, percent, shareOf, short } from "../format.js";
import { parametersOf } from "../frame.js";
import { emptyPanel, notLoaded, panel } from "../panels.js";

export const compliance = {
  title: "Compliance",

  requests: (frame) => ({
    summary: ["compliance/summary", parametersOf(frame)],
    types: ["compliance/by-agent-type", parametersOf(frame)],
  }),

  render: (frame, { summary, types }) => [
    summary === undefined ? null : summaryCards(summary),
    element(
      "div",
      { class: "panels" },
      summary === undefined
        ? notLoaded({ id: "pii", title: "PII Redactions by Type", frame, look: "wide" })
        : entityTypesPanel(frame, summary.pii_redactions),
      ...[TOXIC, PII].map((measure) =>
        types === undefined
          ? notLoaded({ ...measure.shared, frame })
          : agentTypesPanel(frame, types.agent_types, measure),
      ),
    ),
  ],
};

function summaryCards(summary) {
  return cards([
    {
      metric: "total_messages",
      label: "Messages",
      value: integer(summary.total_messages),
      note: `${integer(summary.scanned_messages)} scanned (${shareOf(summary.scanned_messages, summary.total_messages)})`,
    },
    {
      metric: "toxic_messages",
      label: "Toxic Messages",
      value: integer(summary.toxic_messages),
      note: `${percent(summary.toxic_rate_percent)} of messages`,
    },
    {
      metric: "pii_redactions.total",
      label: "PII Redactions",
      value: integer(summary.pii_redactions.total),
      note: counted(Object.keys(summary.pii_redactions.by_type).length, "type"),
    },
    {
      metric: "messages_with_pii",
      label: "Messages with PII",
      value: integer(summary.messages_with_pii),
      note: `${percent(summary.pii_rate_percent)} of messages`,
    },
  ]);
}

function entityTypesPanel(frame, redactions) {
  const shared = { id: "pii", title: "PII Redactions by Type", frame, look: "wide" };
  const rows = Object.entries(redactions.by_type).map(([type, count]) => ({
    entity_type: type,
    pii_redactions: count,
  }));
  if (rows.length === 0) {
    return emptyPanel({ ...shared, text: "Nothing was redacted in this period." });
  }
  const first = rows[0];
  return panel({
    ...shared,
    chart: barsChart({
      names: rows.map((row) => row.entity_type),
      values: rows.map((row) => row.pii_redactions),
      colour: "first",
      axis: short,
      atEnd: (value) => `${integer(value)} · ${shareOf(value, redactions.total)}`,
      summary: `${counted(redactions.total, "redaction")}; most: ${first.entity_type} with ${integer(first.pii_redactions)}.`,
    }),
    table: {
      columns: [
        { label: "Type", isName: true, value: (row) => row.entity_type, text: (row) => row.entity_type },
        {
          label: "Redactions",
          isNumber: true,
          value: (row) => row.pii_redactions,
          text: (row) => integer(row.pii_redactions),
        },
        {
          label: "Share",
          isNumber: true,
          value: (row) => row.pii_redactions,
          text: (row) => shareOf(row.pii_redactions, redactions.total),
        },
      ],
      rows,
      total: ["All", integer(redactions.total), ""],
    },
    csv: { name: "pii-redactions-by-type", columns: ["entity_type", "pii_redactions"], rows },
  });
}

const TOXIC = {
  shared: { id: "toxic-types", title: "Toxic Rate by Agent Type" },
  key: "toxic_rate_percent",
  colour: "third",
  axis: axisPercent,
  atEnd: (row) =>
    `${percent(row.toxic_rate_percent)} · ${integer(row.toxic_messages)} of ${short(row.scanned_messages)}`,
  note: "Toxic messages per 100 messages, scanned or not · toxic messages of those scanned.",
};
const PII = {
  shared: { id: "pii-types", title: "PII per Message by Agent Type" },
  key: "pii_per_message",
  colour: "second",
  axis: axisNumber,
  atEnd: (row) => `${fixed(3)(row.pii_per_message)} · ${integer(row.pii_redactions_total)}`,
  note: "Redactions per message, scanned or not · redactions.",
};

function agentTypesPanel(frame, rows, measure) {
  const shared = { ...measure.shared, frame };
  if (rows.length === 0) return emptyPanel({ ...shared, text: "No messages in this period." });
  const number = (label, key, write = integer) => ({
    label,
    isNumber: true,
    value: (row) => row[key],
    text: (row) => write(row[key]),
  });
  return panel({
    ...shared,
    note: measure.note,
    chart: barsChart({
      names: rows.map((row) => row.agent_type_name),
      values: rows.map((row) => row[measure.key]),
      colour: measure.colour,
      axis: measure.axis,
      atEnd: (_, index) => measure.atEnd(rows[index]),
      summary: `${counted(rows.length, "agent type")}, most messages first.`,
    }),
    table: {
      columns: [
        { label: "Agent Type", isName: true, value: (row) => row.agent_type_name, text: (row) => row.agent_type_name },
        number("Messages", "total_messages"),
        number("Scanned Messages", "scanned_messages"),
        number("Toxic Messages", "toxic_messages"),
        number("Toxic Rate", "toxic_rate_percent", percent),
        number("PII Redactions", "pii_redactions_total"),
        number("PII per Message", "pii_per_message", fixed(3)),
      ],
      rows,
    },
    csv: {
      name: "compliance-by-agent-type",
      columns: [
        "agent_type_id",
        "agent_type_name",
        "total_messages",
        "toxic_messages",
        "toxic_rate_percent",
        "pii_redactions_total",
        "pii_per_message",
        "scanned_messages",
      ],
      rows,
    },
  });
}

function barsChart({ names, values, colour, axis, atEnd, summary }) {
  return {
    height: 46 + names.length * 30,
    summary,
    config: (width, theme) => ({
      type: "bar",
      data: {
        labels: names,
        datasets: [
          { data: values, backgroundColor: theme[colour], borderRadius: 3, maxBarThickness: 20 },
        ],
      },
      options: horizontal({
        labels: names.map((name) => axisName(name, width)),
        right: 92,
        min: 0,
        write: axis,
        tooltip: { label: ({ dataIndex }) => atEnd(values[dataIndex], dataIndex) },
      }),
      plugins: [endTexts((_, index) => ({ text: atEnd(values[index], index) }))],
    }),
  };
}
