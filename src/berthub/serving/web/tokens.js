/** The function Tokens: a text in pieces, with ids and offsets. */

import { curl, python } from "./calls.js";
import { byId, count, counted, make } from "./dom.js";
import { isRead, isUnknown, pieceList, pieceTable, tokenized, tokenizing } from "./pieces.js";
import { pythonString } from "./quote.js";
import { Incomplete } from "./view.js";

/** @typedef {import("./pieces.js").Token} Token */

// More are slow to draw, and no help to look at.
const READ = 1000;
const DROPPED = 50;

/** @type {import("./view.js").Parts} */
export const tokens = {
  read() {
    const text = byId("tokens-text").value;
    if (text === "") {
      throw new Incomplete("Type a text to see its tokens.");
    }
    return text;
  },

  async ask(model, text, signal) {
    return (await tokenized(model, [text], signal))[0];
  },

  show(model, _, answer) {
    const all = /** @type {Token[]} */ (answer);
    const read = isRead(all, model.max_length);
    const shown = all.slice(0, Math.min(model.max_length + DROPPED, READ));
    const nodes = [pieceList(shown, read), tableOnDemand(shown, read)];
    if (shown.length < all.length) {
      nodes.splice(1, 0, make("p", { class: "note" }, `The first ${count(shown.length)} of them are shown.`));
    }
    return { said: sentence(all, read, model.max_length), nodes };
  },

  calls(model, text, place) {
    return [
      curl(place, "tokenize", tokenizing(model, [text])),
      python(model, [
        `text = ${pythonString(text)}`,
        "tokens = bert.tokenizer(text, return_offsets_mapping=True)",
        'pieces = bert.tokenizer.convert_ids_to_tokens(tokens["input_ids"])',
        'for piece, number, place in zip(pieces, tokens["input_ids"], tokens["offset_mapping"]):',
        "    print(piece, number, place)",
      ]),
    ];
  },
};

/**
 * @param {Token[]} all
 * @param {boolean[]} read
 * @param {number} most
 */
function sentence(all, read, most) {
  const dropped = read.filter((each) => !each).length;
  const unknown = all.filter(isUnknown).length;
  const said = dropped
    ? `${counted(all.length, "token")}. Truncated: the model reads ${count(most)} of them, ${count(dropped)} are left out.`
    : `${counted(all.length, "token")}. The model reads at most ${count(most)}.`;
  return unknown ? `${said} ${counted(unknown, "word is", "words are")} not in its vocabulary.` : said;
}

/**
 * The tokens as a table, which is made when it is opened.
 * @param {Token[]} shown
 * @param {boolean[]} read
 */
function tableOnDemand(shown, read) {
  const details = make("details", {}, make("summary", {}, "The tokens as a table"));
  const fill = () => {
    const options = { class: "scrolls", tabindex: 0, role: "region", "aria-label": "The tokens as a table" };
    details.append(make("div", options, pieceTable(shown, read)));
  };
  details.addEventListener("toggle", fill, { once: true });
  return details;
}
