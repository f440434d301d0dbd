/** The tokens of a text: which the model reads, which belong to one word, and how one looks. */

import { post } from "./api.js";
import { count, counted, make, spoken } from "./dom.js";

/** @typedef {import("./api.js").Model} Model */
/**
 * A piece of the vocabulary, and what it stands for in the text: its characters from `start` to `stop`.
 * @typedef {{id: number, piece: string, text: string, special: boolean, start: number|null, stop: number|null}} Token
 */

const COLOURS = 6;
const UNKNOWN = new Set(["[UNK]", "<unk>"]);

/**
 * The tokens of texts, also of those that are too long.
 * @param {Model} model
 * @param {string[]} texts
 * @param {AbortSignal} signal
 * @returns {Promise<Token[][]>}
 */
export function tokenized(model, texts, signal) {
  return post("tokenize", tokenizing(model, texts), signal);
}

/**
 * The body of a request for tokens.
 * @param {Model} model
 * @param {string[]} texts
 */
export function tokenizing(model, texts) {
  return { inputs: texts, model: model.name };
}

/**
 * What there is to say where texts are too long; "" where none is.
 * @param {Model} model
 * @param {Token[][]} tokens
 */
export function truncation(model, tokens) {
  const long = tokens.flatMap(({ length }, at) => (length > model.max_length ? [at + 1] : []));
  const which = tokens.length === 1 ? "the text" : `${long.length === 1 ? "text" : "texts"} ${long.join(", ")}`;
  return long.length ? `Truncated: of ${which} the model reads ${count(model.max_length)} tokens.` : "";
}

/**
 * Whether the token stands for a word that the vocabulary cannot spell.
 * @param {Token} token
 */
export function isUnknown(token) {
  return UNKNOWN.has(token.piece) && token.stop !== null;
}

/**
 * Which tokens the model reads: of a text that is too long it keeps the first, and the `[SEP]` at the end.
 * @param {Token[]} tokens
 * @param {number} most
 * @returns {boolean[]}
 */
export function isRead(tokens, most) {
  const last = tokens.length - 1;
  return tokens.map((_, at) => tokens.length <= most || at < most - 1 || at === last);
}

/**
 * The number of each token's word; -1 for special tokens. Pieces of one word have the same.
 * @param {Token[]} tokens
 * @returns {number[]}
 */
export function words(tokens) {
  // SentencePiece and byte pairs mark what begins a word, WordPiece what continues one.
  const marksBeginnings = tokens.some(({ piece }) => /^[\u2581\u0120]/u.test(piece));
  let word = -1;
  let before = /** @type {Token|null} */ (null);
  return tokens.map((token) => {
    if (token.special) {
      before = null;
      return -1;
    }
    // Byte pairs of one character all stand for the whole of it.
    const touches = before !== null && (token.start ?? 0) <= (before.stop ?? 0);
    const continues = marksBeginnings ? touches && !/^[\u2581\u0120]/u.test(token.piece) : token.piece.startsWith("##");
    word += before !== null && continues ? 0 : 1;
    before = token;
    return word;
  });
}

/**
 * The class names of tokens.
 * @param {Token[]} tokens
 * @returns {string[]}
 */
export function kinds(tokens) {
  return words(tokens).map((word, at, all) => {
    const token = tokens[at];
    const joined = word >= 0 && word === all[at - 1] ? " joined" : "";
    if (isUnknown(token)) {
      return `piece unknown${joined}`;
    }
    return token.special ? "piece special" : `piece colour-${word % COLOURS}${joined}`;
  });
}

/**
 * The piece with its mark, such as `##`, told apart from its letters.
 * @param {string} text
 * @returns {Node[]}
 */
export function markedPiece(text) {
  const [, mark, rest] = /^(##|\u2581|\u0120)?([^]*)$/u.exec(text) ?? ["", "", "", text];
  return mark && rest ? [make("span", { class: "mark" }, mark), new Text(rest)] : [new Text(text)];
}

/**
 * The tokens as a list that reads like the text, with ids and offsets below the pieces.
 * @param {Token[]} tokens
 * @param {boolean[]} read
 */
export function pieceList(tokens, read) {
  const classes = kinds(tokens);
  const items = tokens.flatMap((token, at) => {
    const place = token.start === null ? "" : `${token.start}\u2013${token.stop}`;
    const item = make(
      "li",
      { class: read[at] ? classes[at] : `${classes[at]} dropped` },
      make("span", { class: "text" }, ...markedPiece(token.piece)),
      make("span", { class: "id" }, spoken("id "), String(token.id)),
      make("span", { class: "place" }, place && spoken("characters "), place || "\u00a0"),
      read[at] ? null : spoken("not read"),
    );
    return at > 0 && read[at - 1] && !read[at] ? [stop(read), item] : [item];
  });
  return make("ol", { class: "pieces" }, ...items);
}

/** Where the model stops reading. @param {boolean[]} read */
function stop(read) {
  const dropped = read.filter((each) => !each).length;
  return make("li", { class: "stop" }, `The model stops reading here: ${counted(dropped, "token is", "tokens are")} left out.`);
}

/**
 * The tokens as a table, for who wants to look closely.
 * @param {Token[]} tokens
 * @param {boolean[]} read
 */
export function pieceTable(tokens, read) {
  const heads = ["", "Piece", "Id", "Characters", "Stands for"].map((head) => make("th", { scope: "col" }, head || "#"));
  const rows = tokens.map((token, at) =>
    make(
      "tr",
      { class: read[at] ? null : "dropped" },
      make("td", { class: "number" }, String(at)),
      make("td", { class: "code" }, token.piece),
      make("td", { class: "number" }, String(token.id)),
      make("td", { class: "number" }, token.start === null ? "" : `${token.start}\u2013${token.stop}`),
      make("td", { class: "code" }, token.special ? "" : token.text),
    ),
  );
  const caption = make("caption", { class: "spoken" }, "The tokens of the text");
  return make("table", { class: "rows" }, caption, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}
