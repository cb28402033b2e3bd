// Tables that sort by the heading that is pressed.

import { element, nameElement } from "./elements.js";

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/**
 * A table in a frame that scrolls sideways and can be reached by keyboard.
 *
 * Each column has a `label`, `value(row)` to sort by, and `text(row)` to show; `isName` marks text
 * from the data, `isNumber` aligns it right. The first column heads its row. `total`, if given, is a
 * row of texts below. Rows keep their order until a heading is pressed; null sorts last.
 * @param {{caption: string, columns: any[], rows: any[], total?: string[] | null}} what
 */
export function dataTable({ caption, columns, rows, total = null }) {
  const body = element("tbody", {}, ...rows.map((row) => bodyRow(columns, row)));
  const written = rows.map((row, index) => ({ row, line: body.children[index] }));
  const headings = columns.map((column) =>
    element(
      "th",
      { scope: "col", class: column.isNumber ? "number" : null, "aria-sort": "none" },
      element("button", { type: "button", onclick: () => sortBy(column) }, column.label),
    ),
  );

  function sortBy(column) {
    const heading = headings[columns.indexOf(column)];
    const was = heading.getAttribute("aria-sort");
    // Numbers are looked at from the top, names from A.
    const first = column.isNumber ? "descending" : "ascending";
    const other = column.isNumber ? "ascending" : "descending";
    const order = was === first ? other : first;
    for (const each of headings) each.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const sorted = written.toSorted((one, two) =>
      compared(column.value(one.row), column.value(two.row), sign),
    );
    body.append(...sorted.map(({ line }) => line));
  }

  return element(
    "div",
    { class: "table-frame", role: "region", tabindex: "0", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", { class: "unseen" }, caption),
      element("thead", {}, element("tr", {}, ...headings)),
      body,
      total === null
        ? null
        : element("tfoot", {}, element("tr", {}, ...total.map((text, index) => totalCell(columns, text, index)))),
    ),
  );
}

function bodyRow(columns, row) {
  return element(
    "tr",
    {},
    ...columns.map((column, index) => {
      const text = column.text(row);
      const shown = column.isName ? nameElement(text) : text;
      const look = column.isNumber ? "number" : null;
      return index === 0
        ? element("th", { scope: "row", class: look }, shown)
        : element("td", { class: look }, shown);
    }),
  );
}

function totalCell(columns, text, index) {
  const look = columns[index].isNumber ? "number" : null;
  return index === 0
    ? element("th", { scope: "row", class: look }, text)
    : element("td", { class: look }, text);
}

function compared(one, two, sign) {
  if (one === null || two === null) return Number(one === null) - Number(two === null);
  return sign * (typeof one === "string" ? collator.compare(one, two) : one - two);
}
