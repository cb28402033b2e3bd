// Chart.js, fed with plain configurations in the colours of the page.

import { axisDate, longDate } from "./format.js";

const LIBRARY = "./vendor/chart.js-4.6.1/chart.umd.min.js";
const FONT = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", system-ui, sans-serif';
// Controls and marks of direction: they would garble the labels beside them.
const UNDRAWABLE = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/gu;

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const charts = new Map(); // canvas → {chart, redraw}

// Not a static import: cards and tables need not wait for it.
const library = import(LIBRARY).then(() => globalThis.Chart);

/** The page's colours, as they are now. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour("text"),
    muted: colour("muted"),
    grid: colour("grid"),
    surface: colour("surface"),
    warn: colour("warn-text"),
    first: colour("series-1"),
    firstSoft: colour("series-1-soft"),
    second: colour("series-2"),
    secondSoft: colour("series-2-soft"),
    third: colour("series-3"),
    load: [colour("load-low"), colour("load-medium"), colour("load-high")],
  };
}

/** After the next paint, so that numbers are on the screen before any chart is. */
const painted = () => new Promise((go) => requestAnimationFrame(() => setTimeout(go)));

/** Draw a chart as soon as its canvas is on the page and the library is there. */
export async function drawn(canvas, config) {
  const [Chart] = await Promise.all([library, painted()]);
  const draw = () => {
    if (!canvas.isConnected || charts.has(canvas)) return;
    const make = (isFirst) => {
      const colours = theme();
      const { options, ...rest } = config(canvas.parentElement.clientWidth, colours);
      const all = withDefaults(options, colours);
      if (!isFirst) all.animation = false;
      charts.set(canvas, { chart: new Chart(canvas, { ...rest, options: all }), redraw: () => make(false) });
    };
    make(true);
  };
  draw();
  if (!charts.has(canvas)) {
    // The table is shown instead: draw when the canvas comes on.
    const seen = new ResizeObserver(() => {
      if (canvas.isConnected) {
        seen.disconnect();
        draw();
      }
    });
    seen.observe(canvas);
  }
}

/** Draw all charts anew: in other colours, on other paper. */
export function redrawCharts() {
  for (const { chart, redraw } of [...charts.values()]) {
    chart.destroy();
    redraw();
  }
}

/** Let go of all charts. */
export function releaseCharts() {
  for (const { chart } of charts.values()) chart.destroy();
  charts.clear();
}

/** A name short enough for an axis of a chart so many pixels wide. */
export function axisName(name, width) {
  const letters = Array.from(name.replace(UNDRAWABLE, " ").trim());
  const longest = width < 480 ? 15 : 26;
  return letters.length <= longest ? letters.join("") : `${letters.slice(0, longest - 1).join("")}…`;
}

/** Texts at the ends of horizontal bars: `at(datasetIndex, index)` gives `{text, warn}` or null. */
export function endTexts(at) {
  return {
    id: "endTexts",
    afterDatasetsDraw(chart) {
      const { ctx } = chart;
      const colours = theme();
      ctx.save();
      ctx.textBaseline = "middle";
      chart.data.datasets.forEach((_, datasetIndex) => {
        chart.getDatasetMeta(datasetIndex).data.forEach((bar, index) => {
          const written = at(datasetIndex, index);
          if (written === null) return;
          const x = Number.isFinite(bar.x) ? Math.max(bar.x, chart.chartArea.left) : chart.chartArea.left;
          ctx.font = `11px ${FONT}`;
          ctx.fillStyle = colours.muted;
          ctx.fillText(written.text, x + 6, bar.y);
          if (written.warn) {
            const after = x + 12 + ctx.measureText(written.text).width;
            ctx.font = `bold 11px ${FONT}`;
            ctx.fillStyle = colours.warn;
            ctx.fillText(written.warn, after, bar.y);
          }
        });
      });
      ctx.restore();
    },
  };
}

/** What the two looks of `dayBars` say. */
export const LEGEND_OF_DAYS = [
  { look: "series-1", text: "whole day" },
  { look: "series-1-soft", text: "today so far" },
];

/** Bars over time, one for each date in `labels`, today's last: `write` is how values are written on
 * their axis, `says(index)` the lines of a tooltip; counts have a `precision` of 0.
 * @param {{labels: string[], values: number[], write: any, says: any, precision?: number}} what */
export function dayBars({ labels, values, write, says, precision }) {
  const last = labels.length - 1;
  return (_, { first, firstSoft }) => ({
    type: "bar",
    data: {
      labels,
      datasets: [
        {
          data: values,
          // Today is not over: a shorter bar there is no drop.
          backgroundColor: labels.map((_, index) => (index === last ? firstSoft : first)),
          borderColor: first,
          borderWidth: labels.map((_, index) => (index === last ? 1.5 : 0)),
          borderRadius: labels.length > 31 ? 2 : 5,
          borderSkipped: "start",
          maxBarThickness: 56,
          categoryPercentage: 0.9,
          barPercentage: 0.86,
        },
      ],
    },
    options: {
      scales: {
        x: {
          grid: { display: false },
          ticks: {
            maxRotation: 0,
            autoSkipPadding: 14,
            callback: (_, index) => axisDate(labels[index], labels.length),
          },
        },
        y: {
          beginAtZero: true,
          ticks: { precision, maxTicksLimit: 6, callback: (value) => write(value) },
        },
      },
      plugins: {
        tooltip: {
          callbacks: {
            title: ([{ dataIndex }]) =>
              longDate(labels[dataIndex]) + (dataIndex === last ? ", so far" : ""),
            label: ({ dataIndex }) => says(dataIndex),
          },
        },
      },
    },
  });
}

/** Options of horizontal bars; `write` is how values are written on their axis. */
export function horizontal({ labels, tooltip, write, right, stacked = false, ...range }) {
  return {
    indexAxis: "y",
    layout: { padding: { right } },
    scales: {
      x: {
        stacked,
        ...range,
        ticks: {
          callback: (value) => write(value),
          maxTicksLimit: 6,
          maxRotation: 0,
          ...range.ticks,
        },
      },
      y: {
        stacked,
        grid: { display: false },
        ticks: { autoSkip: false, callback: (_, index) => labels[index] },
      },
    },
    plugins: { tooltip: { callbacks: tooltip } },
  };
}

function withDefaults(options, colours) {
  const font = { family: FONT, size: 12 };
  const scales = Object.fromEntries(
    Object.entries(options.scales).map(([name, scale]) => [
      name,
      {
        ...scale,
        border: { display: false },
        grid: { color: colours.grid, drawTicks: false, ...scale.grid },
        ticks: { color: colours.muted, font, padding: 8, ...scale.ticks },
      },
    ]),
  );
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: reducedMotion.matches ? false : { duration: 250 },
    interaction: { mode: "index", intersect: false, axis: options.indexAxis === "y" ? "y" : "x" },
    ...options,
    scales,
    plugins: {
      legend: { display: false },
      ...options.plugins,
      tooltip: {
        backgroundColor: colours.text,
        titleColor: colours.surface,
        bodyColor: colours.surface,
        footerColor: colours.surface,
        titleFont: { ...font, weight: "bold" },
        bodyFont: font,
        footerFont: { ...font, weight: "normal" },
        padding: 10,
        cornerRadius: 8,
        displayColors: false,
        ...options.plugins?.tooltip,
      },
    },
  };
}
