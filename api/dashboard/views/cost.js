// What the tokens cost: in all, by day, by model and by part of the tokens.

import { cards } from "../cards.js";
import { axisName, dayBars, endTexts, horizontal, LEGEND_OF_DAYS } from "../charts.js";
import { element } from "../elements.js";
import { counted, integer, longDate, money, short, withDates } from "../format.js";
import { parametersOf } from "../frame.js";
import { emptyPanel, notLoaded, panel } from "../panels.js";

const DRAWN = 15;
const MODELS = { id: "cost-models", title: "Cost by Model" };
const CLASSES = { id: "cost-classes", title: "Cost by Token Class" };

export const cost = {
  title: "Cost",

  requests: (frame) => ({ summary: ["cost/summary", parametersOf(frame)] }),

  render: (frame, { summary }) => [
    summary === undefined ? null : summaryCards(summary),
    element(
      "div",
      { class: "panels" },
      daysPanel(frame, summary),
      ...(summary === undefined
        ? [notLoaded({ ...MODELS, frame }), notLoaded({ ...CLASSES, frame })]
        : [
            amountsPanel({ ...MODELS, frame, key: "model", label: "Model", rows: summary.by_model }),
            amountsPanel({
              ...CLASSES,
              frame,
              key: "token_class",
              label: "Token Class",
              rows: summary.by_token_class,
            }),
          ]),
    ),
  ],
};

function summaryCards(summary) {
  const month = summary.month_to_date;
  return cards([
    { metric: "cost_usd", label: "Cost", value: money(summary.cost_usd), note: completeness(summary) },
    {
      metric: "month_to_date",
      label: "Month to Date",
      value: money(month.cost_usd),
      note: withDates(month.reason ?? `from ${month.from}`),
    },
    {
      metric: "reported_cost_usd",
      label: "Reported Cost",
      value: money(summary.reported_cost_usd),
      note: "what the senders of the events say",
    },
    {
      metric: "unpriced_tokens",
      label: "Tokens without Price",
      value: integer(summary.unpriced_tokens),
      note: "in no cost",
    },
  ]);
}

/** What is not in the cost. */
function completeness({ complete, unpriced_tokens: unpriced }) {
  if (unpriced > 0) return `without ${short(unpriced)} tokens that have no price`;
  return complete ? "of all tokens" : "without a fee per request that a model has";
}

function daysPanel(frame, summary) {
  const { labels, cost_usd: costs } = frame.timeline;
  const values = costs.map(Number);
  const shared = { id: "cost-days", title: "Cost Over Time", frame, look: "wide" };
  if (values.every((value) => value === 0)) {
    return emptyPanel({ ...shared, text: "Nothing in this period has a price." });
  }
  const most = values.indexOf(Math.max(...values));
  const rows = labels.map((label, index) => ({ label, cost_usd: costs[index] }));
  return panel({
    ...shared,
    chart: {
      height: 260,
      summary: `Bar for each day; most on ${longDate(labels[most])}: ${money(costs[most])}. Today so far: ${money(costs.at(-1))}.`,
      legend: LEGEND_OF_DAYS,
      config: dayBars({ labels, values, write: money, says: (index) => money(costs[index]) }),
    },
    table: {
      columns: [
        { label: "Date", value: (row) => row.label, text: (row) => longDate(row.label) },
        COST,
      ],
      rows,
      total: ["All", summary === undefined ? "" : money(summary.cost_usd)],
    },
    csv: { name: "cost-timeline", columns: ["label", "cost_usd"], rows },
  });
}

const COST = {
  label: "Cost",
  isNumber: true,
  value: (row) => (row.cost_usd === null ? null : Number(row.cost_usd)),
  text: (row) => money(row.cost_usd),
};

/** One horizontal bar for each of the rows that cost most; all of them in the table. */
function amountsPanel({ id, title, frame, key, label, rows }) {
  if (rows.length === 0) return emptyPanel({ id, title, frame, text: "No tokens in this period." });
  const drawn = rows.filter((row) => row.cost_usd !== null).slice(0, DRAWN);
  const name = (row) => row[key];
  return panel({
    id,
    title,
    frame,
    note:
      drawn.length < rows.length
        ? `${counted(rows.length - drawn.length, "row")} more in the table.`
        : null,
    chart: drawn.length === 0 ? null : amountsChart(drawn, name),
    table: {
      columns: [
        { label, isName: true, value: name, text: name },
        { label: "Tokens", isNumber: true, value: (row) => row.tokens, text: (row) => integer(row.tokens) },
        COST,
      ],
      rows,
    },
    csv: { name: `cost-by-${key.replaceAll("_", "-")}`, columns: [key, "tokens", "cost_usd"], rows },
  });
}

function amountsChart(drawn, name) {
  return {
    height: 46 + drawn.length * 28,
    summary: drawn.map((row) => `${name(row)}: ${money(row.cost_usd)}`).join(", "),
    config: (width, theme) => ({
      type: "bar",
      data: {
        labels: drawn.map(name),
        datasets: [
          {
            data: drawn.map((row) => Number(row.cost_usd)),
            backgroundColor: theme.first,
            borderRadius: 3,
            maxBarThickness: 20,
          },
        ],
      },
      options: horizontal({
        labels: drawn.map((row) => axisName(name(row), width)),
        right: 72,
        min: 0,
        write: money,
        tooltip: {
          label: ({ dataIndex }) => [
            money(drawn[dataIndex].cost_usd),
            counted(drawn[dataIndex].tokens, "token"),
          ],
        },
      }),
      plugins: [endTexts((_, index) => ({ text: money(drawn[index].cost_usd) }))],
    }),
  };
}
