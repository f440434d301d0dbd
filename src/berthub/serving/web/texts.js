/** The function Texts: how similar texts are to each other, by the model's vectors. */

import { post } from "./api.js";
import { curl, openai, python } from "./calls.js";
import { beginning, byId, count, decimals, make, spoken } from "./dom.js";
import { cosine, heatMap } from "./heatmap.js";
import { tokenized, truncation } from "./pieces.js";
import { pythonList } from "./quote.js";
import { Incomplete } from "./view.js";

/** @typedef {import("./api.js").Model} Model */

const MOST = 24; // texts
const NUMBERS = 6; // of a vector, beside its picture

/** @type {import("./view.js").Parts} */
export const texts = {
  read() {
    const lines = byId("texts-text").value.split("\n").filter((/** @type {string} */ line) => line.trim() !== "");
    if (lines.length < 2) {
      throw new Incomplete("Type two texts or more, each on a line of its own.");
    }
    if (lines.length > MOST) {
      throw new Incomplete(`These are ${count(lines.length)} texts. The heat map takes ${MOST} at most.`);
    }
    return lines;
  },

  async ask(model, lines, signal) {
    const asked = [post("embed", body(model, lines), signal), tokenized(model, lines, signal)];
    const [vectors, tokens] = await Promise.all(asked);
    return { vectors, tokens };
  },

  show(model, lines, answer) {
    const vectors = /** @type {number[][]} */ (answer.vectors);
    const values = vectors.map((one) => vectors.map((other) => cosine(one, other)));
    const rows = lines.map((/** @type {string} */ line, /** @type {number} */ at) => head(line, at));
    const columns = lines.map((/** @type {string} */ line, /** @type {number} */ at) =>
      make("span", { title: line }, String(at + 1), spoken(`. ${beginning(line, 30)}`)),
    );
    const caption = "Similarity of each text with each other";
    const map = heatMap({ caption, rows, columns, values, itself: true, kind: "texts" });
    const said = [sentence(values), truncation(model, answer.tokens)].filter(Boolean).join(" ");
    return { said, nodes: [...map, ...pictures(vectors)] };
  },

  calls(model, lines, place) {
    return [
      curl(place, "embed", body(model, lines), "The vectors. Their dot products are the similarities."),
      python(model, [
        `texts = ${pythonList(lines)}`,
        "vectors = bert.embed(texts, normalize=True)",
        "print((vectors @ vectors.T).round(2))",
      ]),
      openai(place, model, lines),
    ];
  },
};

/**
 * @param {Model} model
 * @param {string[]} lines
 */
function body(model, lines) {
  return { inputs: lines, model: model.name, normalize: true, truncate: true };
}

/**
 * @param {string} line
 * @param {number} at
 */
function head(line, at) {
  const number = make("span", { class: "ordinal" }, String(at + 1));
  return make("span", { class: "head" }, number, " ", make("span", { class: "line", title: line }, line));
}

/** The closest and the furthest pair. @param {number[][]} values */
function sentence(values) {
  const pairs = values.flatMap((row, one) => row.slice(0, one).map((value, other) => ({ value, one: other, other: one })));
  pairs.sort((first, second) => second.value - first.value);
  const said = (/** @type {typeof pairs[0]} */ { value, one, other }) => `texts ${one + 1} and ${other + 1} (${decimals(value)})`;
  const furthest = pairs.length > 1 ? ` Least alike: ${said(pairs[pairs.length - 1])}.` : "";
  return `Most alike: ${said(pairs[0])}.${furthest}`;
}

/**
 * Each text's vector as a strip of colours, one for each number.
 * @param {number[][]} vectors
 */
function pictures(vectors) {
  const size = vectors[0].length;
  const largest = Math.max(...vectors.map((vector) => vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0)), 1e-9);
  const items = vectors.map((vector, at) => {
    const numbers = vector.slice(0, NUMBERS).map((value) => decimals(value, 3));
    return make(
      "li",
      {},
      make("span", { class: "ordinal" }, String(at + 1)),
      strip(vector, largest, `The ${count(size)} numbers of text ${at + 1}, as colours`),
      make("span", { class: "numbers" }, `${numbers.join("  ")} …`),
    );
  });
  return [
    make("h3", {}, "The vectors"),
    make("p", { class: "note" }, `${count(size)} numbers for each text, of length 1: orange above zero, blue below. Similar vectors have their stripes in the same places.`),
    make("ol", { class: "vectors" }, ...items),
  ];
}

/**
 * @param {number[]} vector
 * @param {number} largest
 * @param {string} label
 */
function strip(vector, largest, label) {
  const canvas = /** @type {HTMLCanvasElement} */ (
    make("canvas", { role: "img", "aria-label": label, width: vector.length, height: 1 })
  );
  const brush = canvas.getContext("2d");
  vector.forEach((value, at) => {
    if (brush !== null) {
      brush.globalAlpha = Math.min(Math.abs(value) / largest, 1) ** 0.7;
      brush.fillStyle = value > 0 ? "#d9822b" : "#3d7fc4";
      brush.fillRect(at, 0, 1, 1);
    }
  });
  return canvas;
}
