// Star ratings, and how they go with load.

import { cards } from "../cards.js";
import { axisName, endTexts, horizontal } from "../charts.js";
import { element } from "../elements.js";
import { counted, fixed, integer, shareOf, short } from "../format.js";
import { parametersOf } from "../frame.js";
import { emptyPanel, notLoaded, panel } from "../panels.js";

const TYPES_DRAWN = 8;
const LOADS = ["low", "medium", "high"];
const STARS = ["5", "4", "3", "2", "1"];
const stars = fixed(2);

export const feedback = {
  title: "Feedback",

  requests: (frame) => ({
    summary: ["feedback/summary", parametersOf(frame)],
    types: ["feedback/by-agent-type", parametersOf(frame)],
  }),

  render: (frame, { summary, types }) => [
    summary === undefined ? null : summaryCards(summary),
    element(
      "div",
      { class: "panels" },
      summary === undefined
        ? notLoaded({ id: "distribution", title: "Rating Distribution", frame })
        : distributionPanel(frame, summary),
      types === undefined
        ? notLoaded({ id: "load", title: "Rating by Load", frame })
        : loadPanel(frame, types.agent_types),
    ),
  ],
};

function summaryCards(summary) {
  const happy = summary.rating_distribution[4] + summary.rating_distribution[5];
  const unhappy = summary.rating_distribution[1] + summary.rating_distribution[2];
  return cards([
    { metric: "total_feedback", label: "Ratings", value: integer(summary.total_feedback) },
    {
      metric: "average_rating",
      label: "Average Rating",
      value: stars(summary.average_rating),
      note: "of 5 stars",
    },
    {
      metric: "four_and_five_stars",
      label: "4 and 5 Stars",
      value: integer(happy),
      note: `${shareOf(happy, summary.total_feedback)} of ratings`,
    },
    {
      metric: "one_and_two_stars",
      label: "1 and 2 Stars",
      value: integer(unhappy),
      note: `${shareOf(unhappy, summary.total_feedback)} of ratings`,
    },
  ]);
}

function distributionPanel(frame, { total_feedback: total, rating_distribution: counts }) {
  const shared = { id: "distribution", title: "Rating Distribution", frame };
  if (total === 0) return emptyPanel({ ...shared, text: "No ratings in this period." });
  const rows = STARS.map((rating) => ({ rating: Number(rating), count: counts[rating] }));
  const name = (row) => counted(row.rating, "star");
  return panel({
    ...shared,
    chart: {
      height: 46 + rows.length * 38,
      summary: rows.map((row) => `${name(row)}: ${integer(row.count)}`).join(", "),
      config: (_, theme) => ({
        type: "bar",
        data: {
          labels: rows.map(name),
          datasets: [
            {
              data: rows.map((row) => row.count),
              backgroundColor: theme.third,
              borderRadius: 4,
              maxBarThickness: 44,
            },
          ],
        },
        options: horizontal({
          labels: rows.map((row) => `${row.rating} ★`),
          right: 92,
          write: short,
          min: 0,
          tooltip: { label: ({ raw }) => counted(raw, "rating") },
        }),
        plugins: [
          endTexts((_, index) => ({
            text: `${integer(rows[index].count)} · ${shareOf(rows[index].count, total)}`,
          })),
        ],
      }),
    },
    table: {
      columns: [
        { label: "Stars", value: (row) => row.rating, text: name },
        { label: "Ratings", isNumber: true, value: (row) => row.count, text: (row) => integer(row.count) },
        { label: "Share", isNumber: true, value: (row) => row.count, text: (row) => shareOf(row.count, total) },
      ],
      rows,
      total: ["All", integer(total), ""],
    },
    csv: { name: "rating-distribution", columns: ["rating", "count"], rows },
  });
}

/** What the API says about where ratings drop; undefined if it says nothing. */
export function dropText(type) {
  if (type.rating_degrades_at_load === undefined) return undefined;
  return type.rating_degrades_at_load === null
    ? "no credible drop"
    : `at ${integer(type.rating_degrades_at_load)}+ instances`;
}

function loadPanel(frame, types) {
  const shared = { id: "load", title: "Rating by Load", frame };
  if (types.length === 0) return emptyPanel({ ...shared, text: "No ratings in this period." });
  const saysDrop = types.every((type) => type.rating_degrades_at_load !== undefined);
  const shown = types.slice(0, TYPES_DRAWN);
  const bucket = (type, load) => type.rating_by_load[load];
  const range = (load) => types[0].rating_by_load[load].instances_range;
  const firstInstances = (load) => parseInt(range(load), 10);
  const unknown = types.reduce(
    (sum, type) =>
      sum + type.total_feedback - LOADS.reduce((known, load) => known + bucket(type, load).count, 0),
    0,
  );
  const notes = [
    "Mean stars · ratings, by how many instances of the agent type ran.",
    saysDrop ? "A drop is marked where it is credible; it goes with load, it need not come from it." : null,
    unknown > 0 ? `${counted(unknown, "rating")} of unknown load left out.` : null,
    types.length > TYPES_DRAWN ? `The table has all ${integer(types.length)} agent types.` : null,
  ];
  const flat = types.map((type) => ({
    ...type,
    ...Object.fromEntries(
      LOADS.flatMap((load) =>
        Object.entries(bucket(type, load)).map(([key, value]) => [`${load}_${key}`, value]),
      ),
    ),
  }));
  return panel({
    ...shared,
    note: notes.filter((text) => text !== null).join(" "),
    chart: {
      height: 46 + shown.length * 66,
      summary: shown
        .map((type) => {
          const means = LOADS.map((load) => `${range(load)} instances ${stars(bucket(type, load).avg_rating)}`);
          const drop = dropText(type);
          return `${type.agent_type_name}: ${means.join(", ")}${drop === undefined ? "" : `; ratings drop: ${drop}`}`;
        })
        .join(". "),
      legend: [
        ...LOADS.map((load) => ({ look: `load-${load}`, text: `${range(load)} instances` })),
        ...(saysDrop ? [{ look: "drop", text: "ratings drop from here" }] : []),
      ],
      config: (width, theme) => ({
        type: "bar",
        data: {
          labels: shown.map((type) => type.agent_type_name),
          datasets: LOADS.map((load, index) => ({
            label: `${range(load)} instances`,
            data: shown.map((type) => bucket(type, load).avg_rating),
            base: 1, // the lowest rating there is
            backgroundColor: theme.load[index],
            borderRadius: 3,
            barPercentage: 0.92,
            categoryPercentage: 0.8,
          })),
        },
        options: horizontal({
          labels: shown.map((type) => axisName(type.agent_type_name, width)),
          right: width < 480 ? 82 : 110,
          min: 1,
          max: 5,
          ticks: { stepSize: 1, autoSkip: false },
          write: (value) => `${value} ★`,
          tooltip: {
            label: ({ dataset, dataIndex, datasetIndex }) => {
              const { avg_rating: mean, count } = bucket(shown[dataIndex], LOADS[datasetIndex]);
              return `${dataset.label}: ${stars(mean)}, ${counted(count, "rating")}`;
            },
            footer: ([{ dataIndex }]) => {
              const drop = dropText(shown[dataIndex]);
              return drop === undefined ? "" : `Ratings drop: ${drop}`;
            },
          },
        }),
        plugins: [
          endTexts((dataset, index) => {
            const load = LOADS[dataset];
            const { avg_rating: mean, count } = bucket(shown[index], load);
            const drops = shown[index].rating_degrades_at_load === firstInstances(load);
            return {
              text: mean === null ? "no ratings" : `${stars(mean)} · ${integer(count)}`,
              warn: drops ? (width < 480 ? "▼" : "▼ drops") : null,
            };
          }),
        ],
      }),
    },
    table: {
      columns: [
        { label: "Agent Type", isName: true, value: (row) => row.agent_type_name, text: (row) => row.agent_type_name },
        numberColumn("Ratings", (row) => row.total_feedback, integer),
        numberColumn("Average", (row) => row.average_rating, stars),
        ...LOADS.flatMap((load) => [
          numberColumn(`At ${range(load)}`, (row) => bucket(row, load).avg_rating, stars),
          numberColumn(`Ratings at ${range(load)}`, (row) => bucket(row, load).count, integer),
        ]),
        ...(saysDrop
          ? [{ label: "Ratings Drop", value: (row) => row.rating_degrades_at_load, text: dropText }]
          : []),
      ],
      rows: flat,
    },
    csv: {
      name: "feedback-by-agent-type",
      columns: [
        "agent_type_id",
        "agent_type_name",
        "total_feedback",
        "average_rating",
        ...LOADS.flatMap((load) => [`${load}_instances_range`, `${load}_avg_rating`, `${load}_count`]),
        ...(saysDrop ? ["rating_degrades_at_load"] : []),
      ],
      rows: flat,
    },
  });
}

const numberColumn = (label, value, write) => ({
  label,
  isNumber: true,
  value,
  text: (row) => write(value(row)),
});
