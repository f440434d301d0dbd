/** A heat map: a table with its values in the cells, which colours only make quicker to read. */

import { decimals, make } from "./dom.js";

/**
 * The cosine of the angle between two vectors; 0 where one is all zeros.
 * @param {number[]} one
 * @param {number[]} other
 */
export function cosine(one, other) {
  let product = 0;
  let first = 0;
  let second = 0;
  for (let at = 0; at < one.length; at += 1) {
    product += one[at] * other[at];
    first += one[at] ** 2;
    second += other[at] ** 2;
  }
  return first && second ? product / Math.sqrt(first * second) : 0;
}

/**
 * @typedef {object} HeatMap
 * @property {string} caption
 * @property {Node[]} rows what stands before each row
 * @property {Node[]} columns what stands above each column
 * @property {number[][]} values
 * @property {boolean} [itself] whether rows and columns are the same, so that the diagonal says nothing
 * @property {string} [kind] a class
 */

/**
 * The table in a region that scrolls by itself, and the scale of its colours: from the least to the largest value.
 * @param {HeatMap} map
 * @returns {HTMLElement[]}
 */
export function heatMap({ caption, rows, columns, values, itself = false, kind = "" }) {
  const told = values.flatMap((row, at) => row.filter((_, column) => !itself || column !== at));
  const least = Math.min(...told);
  const range = Math.max(Math.max(...told) - least, 1e-6);
  const heads = columns.map((head) => make("th", { scope: "col" }, head));
  const cells = (/** @type {number[]} */ row, /** @type {number} */ at) =>
    row.map((value, column) => {
      if (itself && column === at) {
        return make("td", { class: "itself" }, decimals(value));
      }
      const cell = make("td", {}, decimals(value));
      cell.style.setProperty("--share", `${Math.round(((value - least) / range) * 100)}%`);
      return cell;
    });
  const table = make(
    "table",
    { class: `heat ${kind}`.trim() },
    make("caption", { class: "spoken" }, caption),
    make("thead", {}, make("tr", {}, make("td"), ...heads)),
    make("tbody", {}, ...values.map((row, at) => make("tr", {}, make("th", { scope: "row" }, rows[at]), ...cells(row, at)))),
  );
  table.addEventListener("pointerover", (event) => {
    const cell = /** @type {HTMLElement} */ (event.target).closest("tbody td");
    const over = cell instanceof HTMLTableCellElement ? cell.cellIndex - 1 : -1;
    heads.forEach((head, column) => head.classList.toggle("lit", column === over));
  });
  table.addEventListener("pointerleave", () => heads.forEach((head) => head.classList.remove("lit")));
  const region = make("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": caption }, table);
  const scale = make(
    "p",
    { class: "scale" },
    make("span", {}, decimals(least)),
    make("span", { class: "ramp", "aria-hidden": "true" }),
    make("span", {}, decimals(least + range)),
  );
  return [region, scale];
}
