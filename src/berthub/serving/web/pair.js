/** The function Words in context: how similar each token of one text is to each of another. */

import { Failure, post } from "./api.js";
import { curl, python } from "./calls.js";
import { byId, count, decimals, make } from "./dom.js";
import { cosine, heatMap } from "./heatmap.js";
import { isRead, kinds, markedPiece, tokenized, truncation } from "./pieces.js";
import { pythonString } from "./quote.js";
import { Incomplete } from "./view.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {import("./pieces.js").Token} Token */
/** @typedef {{tokens: Token[], classes: string[], vectors: number[][]}} Side */

const MOST = 48; // tokens of a text in the heat map

/** @type {import("./view.js").Parts} */
export const pair = {
  read() {
    const both = [byId("pair-first").value, byId("pair-second").value];
    if (both.some((text) => text.trim() === "")) {
      throw new Incomplete("Type two texts to compare their tokens.");
    }
    return both;
  },

  async ask(model, both, signal) {
    const wanted = body(model, both);
    const answers = [tokenized(model, both, signal), post("embed_all", { ...wanted, truncate: true }, signal)];
    const [tokens, vectors] = await Promise.all(answers);
    const sides = both.map((/** @type {string} */ _, /** @type {number} */ at) => side(model, tokens[at], vectors[at]));
    return { sides, tokens };
  },

  show(model, _, answer) {
    const special = byId("pair-special").checked;
    const sides = /** @type {Side[]} */ (answer.sides).map((each) => chosen(each, special));
    const [first, second] = sides;
    if (!first.tokens.length || !second.tokens.length) {
      return { said: "A text without tokens has nothing to compare.", nodes: [] };
    }
    const values = first.vectors.map((one) => second.vectors.map((other) => cosine(one, other)));
    const caption = "Similarity of each token of the first text with each of the second";
    const map = heatMap({ caption, rows: heads(first), columns: heads(second), values, kind: "tokens" });
    const longest = Math.max(...sides.map((each) => each.tokens.length));
    if (longest === MOST) {
      map.push(make("p", { class: "note" }, `The heat map shows ${count(MOST)} tokens of a text at most.`));
    }
    const said = [sentence(first, second, values), truncation(model, answer.tokens)].filter(Boolean).join(" ");
    return { said, nodes: map };
  },

  calls(model, both, place) {
    return [
      curl(place, "embed_all", { ...body(model, both), truncate: true }, "A vector for each token. Their cosines are the similarities."),
      python(
        model,
        [
          `texts = [\n    ${pythonString(both[0])},\n    ${pythonString(both[1])},\n]`,
          'out = bert.encode(texts, outputs=["sequence_output"])',
          'vectors = [rows[: len(tokens)] for rows, tokens in zip(out["sequence_output"], out.tokens)]',
          "first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in vectors)",
          "print(*out.tokens, (first @ second.T).round(2), sep=\"\\n\")",
        ],
        ["numpy as np"],
      ),
    ];
  },
};

/**
 * @param {Model} model
 * @param {string[]} both
 */
function body(model, both) {
  return { inputs: both, model: model.name };
}

/**
 * The tokens that the model reads, with their vectors.
 * @param {Model} model
 * @param {Token[]} tokens
 * @param {number[][]} vectors
 * @returns {Side}
 */
function side(model, tokens, vectors) {
  const read = isRead(tokens, model.max_length);
  const kept = tokens.filter((_, at) => read[at]);
  if (kept.length !== vectors.length) {
    throw new Failure(`The server gives ${count(vectors.length)} vectors for ${count(kept.length)} tokens.`, 0);
  }
  return { tokens: kept, classes: kinds(kept), vectors };
}

/**
 * @param {Side} all
 * @param {boolean} special whether the special tokens are wanted, too
 * @returns {Side}
 */
function chosen({ tokens, classes, vectors }, special) {
  const wanted = tokens.flatMap((token, at) => (special || !token.special ? [at] : [])).slice(0, MOST);
  return {
    tokens: wanted.map((at) => tokens[at]),
    classes: wanted.map((at) => classes[at]),
    vectors: wanted.map((at) => vectors[at]),
  };
}

/** @param {Side} side */
function heads({ tokens, classes }) {
  return tokens.map(({ piece }, at) => make("span", { class: classes[at] }, ...markedPiece(piece)));
}

/**
 * The closest tokens of the same piece, and of two different ones.
 * @param {Side} first
 * @param {Side} second
 * @param {number[][]} values
 */
function sentence(first, second, values) {
  const pairs = first.tokens.flatMap(({ piece: one }, row) =>
    second.tokens.map(({ piece: other }, column) => ({ one, other, value: values[row][column] })),
  );
  pairs.sort((earlier, later) => later.value - earlier.value);
  // A sign says less than a word.
  const same = pairs.find(({ one, other }) => one === other && /[\p{L}\p{N}]/u.test(one));
  const different = pairs.find(({ one, other }) => one !== other);
  return [
    ...(different ? [`Most alike: “${different.one}” and “${different.other}” (${decimals(different.value)}).`] : []),
    ...(same ? [`The same piece in both: “${same.one}” (${decimals(same.value)}).`] : []),
  ].join(" ");
}
