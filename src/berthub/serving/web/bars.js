/** A table of probabilities, each with a bar. */

import { make, percent } from "./dom.js";

/** @typedef {{label: string, share: number, note?: string, chosen?: boolean}} Row */

/**
 * @param {string} caption
 * @param {string[]} heads of the labels and of the probabilities
 * @param {Row[]} rows
 */
export function bars(caption, heads, rows) {
  const lines = rows.map(({ label, share, note, chosen }) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", `${Math.max(share * 100, 0.3).toFixed(1)}%`);
    return make(
      "tr",
      { class: chosen ? "chosen" : null },
      make("th", { scope: "row" }, label, note ? make("span", { class: "note" }, note) : null),
      make("td", {}, make("span", { class: "measure" }, make("span", { class: "share" }, percent(share)), bar)),
    );
  });
  return make(
    "table",
    { class: "bars" },
    make("caption", { class: "spoken" }, caption),
    make("thead", { class: "spoken" }, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...lines),
  );
}
