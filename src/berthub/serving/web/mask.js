/** The function Masked word: what the model would write in the place of its mask. */

import { post } from "./api.js";
import { bars } from "./bars.js";
import { curl, python } from "./calls.js";
import { byId, make, percent } from "./dom.js";
import { pythonString } from "./quote.js";
import { Incomplete } from "./view.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {{token_str: string, token: number, score: number, sequence: string}} Filling */

const BEST = 8;

/** @type {import("./view.js").Parts} */
export const mask = {
  read(model) {
    const text = byId("mask-text").value;
    const found = text.split(model.mask ?? "").length - 1;
    if (found !== 1) {
      const how = found === 0 ? "Put it where a word is missing" : `There are ${found} of them: leave one`;
      throw new Incomplete(`The model fills one ${model.mask}. ${how}.`);
    }
    return text;
  },

  ask(model, text, signal) {
    return post("fill-mask", body(model, text), signal);
  },

  show(model, text, answer) {
    const fillings = /** @type {Filling[]} */ (answer);
    const rows = fillings.map(({ token_str, token, score }, at) => ({ label: token_str, share: score, note: `id ${token}`, chosen: at === 0 }));
    const [before, after] = text.split(model.mask ?? "");
    const likeliest = fillings[0].token_str.replace(/^(##|\u2581|\u0120)/u, "");
    const sentence = make("p", { class: "filled" }, before, make("mark", {}, likeliest), after);
    const said = `Likeliest: ${fillings[0].token_str} (${percent(fillings[0].score)}).`;
    return { said, nodes: [sentence, bars("The likeliest pieces", ["Piece", "Probability"], rows)] };
  },

  calls(model, text, place) {
    return [
      curl(place, "fill-mask", body(model, text)),
      python(model, [
        `text = ${pythonString(text)}`,
        `for filling in bert.fill_mask(text, top_k=${BEST}):`,
        "    print(filling.piece, filling.probability)",
      ]),
    ];
  },
};

/** Write the mask at the cursor, instead of what is selected. @param {Model|null} model */
export function insertMask(model) {
  const field = /** @type {HTMLTextAreaElement} */ (byId("mask-text"));
  field.setRangeText(model?.mask ?? "", field.selectionStart, field.selectionEnd, "end");
  field.focus();
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
}

/**
 * @param {Model} model
 * @param {string} text
 */
function body(model, text) {
  return { inputs: text, model: model.name, top_k: BEST };
}
