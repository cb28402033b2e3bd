// Messages, tokens, agents, response times, models.

import { cards, changeOf } from "../cards.js";
import { axisName, dayBars, endTexts, horizontal, LEGEND_OF_DAYS } from "../charts.js";
import { element, unseen } from "../elements.js";
import { counted, duration, fixed, integer, longDate, money, short } from "../format.js";
import { parametersOf } from "../frame.js";
import { emptyPanel, notLoaded, panel } from "../panels.js";

const AGENTS_DRAWN = 15;
const MODELS_DRAWN = 8;
const sum = (values) => values.reduce((total, value) => total + value, 0);

export const usage = {
  title: "Usage",

  requests: (frame) => ({
    summary: ["usage/summary", { ...parametersOf(frame), compare: "previous" }],
    agents: ["usage/by-agent", parametersOf(frame)],
    models: ["usage/by-model", parametersOf(frame)],
  }),

  render: (frame, { summary, agents, models }) => [
    summary === undefined ? null : summaryCards(summary),
    element(
      "div",
      { class: "panels" },
      volumePanel(frame, "messages"),
      agents === undefined
        ? notLoaded({ id: "agents", title: "Token Usage by Agent", frame, look: "tall" })
        : agentsPanel(frame, agents),
      ...(models === undefined
        ? [notLoaded({ id: "models", title: "Usage by Model", frame })]
        : [modelsPanel(frame, models), speedPanel(frame, models)]),
    ),
  ],
};

function summaryCards(summary) {
  const change = (metric, text) => changeOf({ summary, metric, text });
  return cards([
    {
      metric: "total_messages",
      label: "Messages",
      value: integer(summary.total_messages),
      change: change("total_messages", integer),
    },
    {
      metric: "total_tokens",
      label: "Total Tokens",
      value: integer(summary.total_tokens),
      change: change("total_tokens", short),
      note: `${short(summary.total_input_tokens)} in, ${short(summary.total_output_tokens)} out`,
    },
    {
      metric: "active_agents",
      label: "Active Agents",
      value: integer(summary.active_agents),
      change: change("active_agents", integer),
    },
    {
      metric: "avg_response_time_ms",
      label: "Avg Response Time",
      value: duration(summary.avg_response_time_ms),
      change: change("avg_response_time_ms", duration),
    },
    {
      metric: "cost_usd",
      label: "Cost",
      value: money(summary.cost_usd),
      change: change("cost_usd", money),
      note:
        summary.unpriced_tokens > 0
          ? `without ${short(summary.unpriced_tokens)} tokens that have no price`
          : null,
    },
  ]);
}

const MEASURES = {
  messages: { title: "Message Volume Over Time", noun: "message", other: "tokens", switch: "Tokens" },
  tokens: { title: "Token Volume Over Time", noun: "token", other: "messages", switch: "Messages" },
};

function volumePanel(frame, measure) {
  const { title, noun, other, switch: otherLabel } = MEASURES[measure];
  const { labels, messages, tokens, cost_usd: costs } = frame.timeline;
  const values = frame.timeline[measure];
  const shared = { id: "volume", title, frame, look: "wide" };
  if (sum(messages) === 0) {
    return emptyPanel({ ...shared, text: "No messages in this period." });
  }
  const most = values.indexOf(Math.max(...values));
  const last = labels.length - 1;
  const rows = labels.map((label, index) => ({
    label,
    messages: messages[index],
    tokens: tokens[index],
    cost_usd: costs[index],
  }));
  const change = (event) => {
    const next = volumePanel(frame, other);
    event.target.closest(".panel").replaceWith(next);
    next.querySelector(".switch").focus();
  };
  return panel({
    ...shared,
    controls: element(
      "button",
      { type: "button", class: "tool switch", onclick: change },
      unseen("Show "),
      otherLabel,
      unseen(" over time"),
    ),
    chart: {
      height: 260,
      summary: `Bar for each day; ${counted(sum(values), noun)} in all, most on ${longDate(labels[most])}: ${integer(values[most])}. Today so far: ${integer(values[last])}.`,
      legend: LEGEND_OF_DAYS,
      config: dayBars({
        labels,
        values,
        write: short,
        precision: 0,
        says: (index) => [counted(messages[index], "message"), counted(tokens[index], "token")],
      }),
    },
    table: {
      columns: [
        { label: "Date", value: (row) => row.label, text: (row) => longDate(row.label) },
        numberColumn("Messages", "messages"),
        numberColumn("Tokens", "tokens"),
      ],
      rows,
      total: ["All", integer(sum(messages)), integer(sum(tokens))],
    },
    csv: { name: "usage-timeline", columns: ["label", "messages", "tokens", "cost_usd"], rows },
  });
}

const numberColumn = (label, key, write = integer) => ({
  label,
  isNumber: true,
  value: (row) => row[key],
  text: (row) => write(row[key]),
});

const TOKEN_COLUMNS = [
  numberColumn("Messages", "message_count"),
  numberColumn("Input Tokens", "total_input_tokens"),
  numberColumn("Output Tokens", "total_output_tokens"),
  numberColumn("Total Tokens", "total_tokens"),
  numberColumn("Avg Response Time", "avg_response_time_ms", duration),
];
const COST_COLUMN = {
  label: "Cost",
  isNumber: true,
  value: (row) => (row.cost_usd === null ? null : Number(row.cost_usd)),
  text: (row) => money(row.cost_usd),
};
const totalsOf = (rows) =>
  TOKEN_COLUMNS.slice(0, -1).map((column) => integer(sum(rows.map(column.value))));

function agentsPanel(frame, agents) {
  const shared = { id: "agents", title: "Token Usage by Agent", frame, look: "tall" };
  if (agents.length === 0) return emptyPanel({ ...shared, text: "No agent answered in this period." });
  const rows = agents.map((agent) => ({ ...agent, name: distinctName(agent, agents) }));
  return panel({
    ...shared,
    chart: tokensChart(
      withOthers(rows, AGENTS_DRAWN),
      `${counted(rows.length, "agent")}; most tokens: ${rows[0].name} with ${integer(rows[0].total_tokens)}.`,
    ),
    table: {
      columns: [
        { label: "Agent", isName: true, value: (row) => row.name, text: (row) => row.name },
        ...TOKEN_COLUMNS,
        COST_COLUMN,
      ],
      rows,
      total: ["All", ...totalsOf(rows), "", ""],
    },
    csv: {
      name: "usage-by-agent",
      columns: [
        "agent_id",
        "agent_name",
        "message_count",
        "total_tokens",
        "total_input_tokens",
        "total_output_tokens",
        "avg_response_time_ms",
        "cost_usd",
        "unpriced_tokens",
      ],
      rows,
    },
  });
}

/** At most so many rows; the last one stands for all that are left, so that the sum stays. */
function withOthers(rows, most) {
  if (rows.length <= most) return rows;
  const rest = rows.slice(most - 1);
  const others = { name: `${integer(rest.length)} others`, isOthers: true };
  for (const key of ["total_input_tokens", "total_output_tokens", "total_tokens"]) {
    others[key] = sum(rest.map((row) => row[key]));
  }
  return [...rows.slice(0, most - 1), others];
}

/** The agent's name, with its id where another agent has the same. */
function distinctName({ agent_id: id, agent_name: name }, agents) {
  if (name.trim() === "") return `Agent ${id}`;
  const isShared = agents.some((other) => other.agent_id !== id && other.agent_name === name);
  return isShared ? `${name} (${id})` : name;
}

function modelsPanel(frame, models) {
  const shared = { id: "models", title: "Usage by Model", frame };
  if (models.length === 0) return emptyPanel({ ...shared, text: "No model was used in this period." });
  const rows = models.map((model) => ({ ...model, name: model.model }));
  return panel({
    ...shared,
    ...modelsTable(rows),
    chart: tokensChart(
      withOthers(rows, MODELS_DRAWN),
      `${counted(rows.length, "model")}; most tokens: ${rows[0].name} with ${integer(rows[0].total_tokens)}.`,
    ),
  });
}

function speedPanel(frame, models) {
  const shared = { id: "speed", title: "Speed by Model", frame };
  const rows = models.map((model) => ({ ...model, name: model.model }));
  const timed = rows.filter((row) => row.tokens_per_second !== null).slice(0, MODELS_DRAWN);
  if (timed.length === 0) {
    return emptyPanel({ ...shared, text: "No response was timed in this period." });
  }
  return panel({
    ...shared,
    ...modelsTable(rows),
    note: "Output tokens per second of response time · average response time.",
    chart: {
      height: 46 + timed.length * 28,
      summary: timed
        .map((row) => `${row.name}: ${fixed(1)(row.tokens_per_second)} tokens per second`)
        .join(", "),
      config: (width, theme) => ({
        type: "bar",
        data: {
          labels: timed.map((row) => row.name),
          datasets: [
            {
              data: timed.map((row) => row.tokens_per_second),
              backgroundColor: theme.second,
              borderRadius: 3,
              maxBarThickness: 20,
            },
          ],
        },
        options: horizontal({
          labels: timed.map((row) => axisName(row.name, width)),
          right: 112,
          min: 0,
          write: short,
          tooltip: {
            label: ({ dataIndex }) => [
              `${fixed(1)(timed[dataIndex].tokens_per_second)} tokens per second`,
              `${duration(timed[dataIndex].avg_response_time_ms)} on average`,
            ],
          },
        }),
        plugins: [
          endTexts((_, index) => ({
            text: `${fixed(1)(timed[index].tokens_per_second)} · ${duration(timed[index].avg_response_time_ms)}`,
          })),
        ],
      }),
    },
  });
}

const modelsTable = (rows) => ({
  table: {
    columns: [
      { label: "Model", isName: true, value: (row) => row.name, text: (row) => row.name },
      ...TOKEN_COLUMNS,
      numberColumn("Tokens per Second", "tokens_per_second", fixed(1)),
      COST_COLUMN,
    ],
    rows,
    total: ["All", ...totalsOf(rows), "", "", ""],
  },
  csv: {
    name: "usage-by-model",
    columns: [
      "model",
      "message_count",
      "total_tokens",
      "total_input_tokens",
      "total_output_tokens",
      "avg_response_time_ms",
      "tokens_per_second",
      "cost_usd",
      "unpriced_tokens",
    ],
    rows,
  },
});

/** Input and output tokens of each row on one bar, the total at its end. */
function tokensChart(rows, summary) {
  const series = (label, key, colour, soft) => ({
    label,
    data: rows.map((row) => row[key]),
    backgroundColor: rows.map((row) => (row.isOthers ? soft : colour)),
    borderRadius: 3,
    maxBarThickness: 20,
  });
  return {
    height: 46 + rows.length * 28,
    summary,
    legend: [
      { look: "series-1", text: "input tokens" },
      { look: "series-2", text: "output tokens" },
    ],
    config: (width, theme) => ({
      type: "bar",
      data: {
        labels: rows.map((row) => row.name),
        datasets: [
          series("input", "total_input_tokens", theme.first, theme.firstSoft),
          series("output", "total_output_tokens", theme.second, theme.secondSoft),
        ],
      },
      options: horizontal({
        labels: rows.map((row) => axisName(row.name, width)),
        stacked: true,
        right: 48,
        write: short,
        tooltip: {
          label: ({ dataset, raw }) => `${integer(raw)} ${dataset.label}`,
          footer: ([{ dataIndex }]) => `${integer(rows[dataIndex].total_tokens)} in all`,
        },
      }),
      plugins: [
        endTexts((dataset, index) =>
          dataset === 1 ? { text: short(rows[index].total_tokens) } : null,
        ),
      ],
    }),
  };
}
