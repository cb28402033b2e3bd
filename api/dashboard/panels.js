// A panel: a chart, the same as a table, and both as a download.

import { drawn } from "./charts.js";
import { downloadCsv } from "./csv.js";
import { element, unseen } from "./elements.js";
import { dateRange } from "./format.js";
import { dataTable } from "./tables.js";

const shownAsTable = new Set(); // ids of panels, so that a new period keeps the choice

/** Dates and zone of a frame, as every panel names them. */
export function datesAndZone(frame) {
  return `${dateRange(frame.start, frame.end)}, ${frame.tz}`;
}

/**
 * A panel. `chart` is `{height, summary, config(width, theme), legend}` or null for a table alone;
 * `table` is what dataTable takes but for the caption; `csv` is `{name, columns, rows}`;
 * `controls` go beside the title, `note` below the chart, and `look` is
 * `wide` for all columns or `tall` for two rows.
 * @param {{
 *   id: string, title: string, frame: any, chart?: any, table: any, csv: any,
 *   note?: string | null, controls?: Element | null, look?: string,
 * }} what
 */
export function panel({ id, title, frame, chart = null, table, csv, note = null, controls = null, look = "" }) {
  const caption = `${title}, ${datesAndZone(frame)}`;
  const rows = dataTable({ caption, ...table });
  const download = element(
    "button",
    { type: "button", class: "tool", onclick: () => downloadCsv(csv.name, csv.columns, csv.rows) },
    "CSV",
    unseen(` of ${title}`),
  );
  const body = element("div", { class: "panel-body" });
  const tools = element("div", { class: "tools" }, controls, download);
  if (chart === null) {
    body.append(rows);
  } else {
    const picture = figure(chart, caption);
    const toggle = element(
      "button",
      { type: "button", class: "tool", "aria-pressed": "false", onclick: () => show(!shownAsTable.has(id)) },
      "Table",
      unseen(` of ${title}`),
    );
    const show = (asTable) => {
      if (asTable) shownAsTable.add(id);
      else shownAsTable.delete(id);
      toggle.setAttribute("aria-pressed", String(asTable));
      body.replaceChildren(asTable ? rows : picture);
    };
    tools.insertBefore(toggle, download);
    show(shownAsTable.has(id));
  }
  return frameOfPanel({ id, title, subtitle: datesAndZone(frame), tools, look }, body, note);
}

/** A panel that says only why it has nothing to show. */
export function emptyPanel({ id, title, frame, text, look = "" }) {
  return frameOfPanel(
    { id, title, subtitle: datesAndZone(frame), tools: null, look },
    element("p", { class: "nothing" }, text),
    null,
  );
}

/** What stands in for a panel whose numbers could not be loaded. */
export const notLoaded = (panel) => emptyPanel({ ...panel, text: "Not loaded." });

function frameOfPanel({ id, title, subtitle, tools, look }, body, note) {
  return element(
    "section",
    { class: `panel ${look}`, id: `panel-${id}`, "aria-labelledby": `title-${id}` },
    element(
      "header",
      {},
      element(
        "div",
        {},
        element("h3", { id: `title-${id}` }, title),
        element("p", { class: "subtitle" }, subtitle),
      ),
      tools,
    ),
    body,
    note === null ? null : element("p", { class: "panel-note" }, note),
  );
}

function figure(chart, caption) {
  const canvas = element("canvas", { role: "img", "aria-label": `${caption}. ${chart.summary}` });
  const box = element("div", { class: "canvas-box" }, canvas);
  box.style.minHeight = `${chart.height}px`;
  drawn(canvas, chart.config);
  const legend = (chart.legend ?? []).map(({ look, text }) =>
    element("li", {}, element("span", { class: `swatch ${look}`, "aria-hidden": "true" }), text),
  );
  return element(
    "div",
    { class: "figure" },
    legend.length > 0 ? element("ul", { class: "legend" }, ...legend) : null,
    box,
  );
}
