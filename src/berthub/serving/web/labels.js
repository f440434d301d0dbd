/** The function of fine-tuned models: labels with probabilities, a value, or tagged words in their text. */

import { post } from "./api.js";
import { bars } from "./bars.js";
import { curl, python } from "./calls.js";
import { byId, count, counted, make, percent } from "./dom.js";
import { tokenized, truncation } from "./pieces.js";
import { codePoints, pythonString } from "./quote.js";
import { Incomplete } from "./view.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {{label: string, score: number}} Prediction */
/** @typedef {{entity: string, score: number, word: string, start: number, end: number}} Tag */
/** @typedef {{kind: string, score: number, start: number, end: number}} Span */

const SHOWN = 20; // labels
const COLOURS = 6;

/** @type {import("./view.js").Parts} */
export const labels = {
  read() {
    const text = byId("labels-text").value;
    if (text.trim() === "") {
      throw new Incomplete("Type a text to see what the model says of it.");
    }
    return text;
  },

  async ask(model, text, signal) {
    const asked = [post("predict", body(model, text), signal), tokenized(model, [text], signal)];
    const [predicted, tokens] = await Promise.all(asked);
    return { predicted, tokens };
  },

  show(model, text, { predicted, tokens }) {
    const { said, nodes } = shown(model, text, predicted);
    return { said: [said, truncation(model, tokens)].filter(Boolean).join(" "), nodes };
  },

  calls(model, text, place) {
    const lines = {
      classify: ["for label, share in zip(bert.head.labels, bert.predict_proba([text])[0]):", "    print(label, share)"],
      regress: ["print(bert.predict([text])[0])"],
      tag: ['words = re.findall(r"\\w+|[^\\w\\s]", text)', "for word, tag in zip(words, bert.predict([words])[0]):", "    print(word, tag)"],
    };
    const task = model.task === "tag" || model.task === "regress" ? model.task : "classify";
    const called = python(model, [`text = ${pythonString(text)}`, ...lines[task]], task === "tag" ? ["re"] : []);
    return [curl(place, "predict", body(model, text)), called];
  },
};

/**
 * @param {Model} model
 * @param {string} text
 */
function body(model, text) {
  return { inputs: text, model: model.name, truncate: true };
}

/**
 * @param {Model} model
 * @param {string} text
 * @param {any} predicted
 */
function shown(model, text, predicted) {
  switch (model.task) {
    case "tag":
      return tagged(text, predicted);
    case "regress":
      return value(predicted);
    default:
      return labelled(predicted, model.task === "multi_label");
  }
}

/**
 * @param {Prediction[]} predictions the likeliest first
 * @param {boolean} several whether each label is a question of its own
 */
function labelled(predictions, several) {
  const rows = predictions.slice(0, SHOWN).map(({ label, score }, at) => {
    return { label, share: score, chosen: several ? score >= 0.5 : at === 0 };
  });
  const nodes = [bars("Labels with their probabilities", ["Label", "Probability"], rows)];
  if (predictions.length > SHOWN) {
    nodes.push(make("p", { class: "note" }, `The likeliest ${SHOWN} of ${count(predictions.length)} labels.`));
  }
  const chosen = predictions.filter(({ score }) => score >= 0.5).map(({ label }) => label);
  const first = `Likeliest: ${predictions[0].label} (${percent(predictions[0].score)}).`;
  const all = chosen.length ? `With 50% or more: ${chosen.join(", ")}.` : "No label reaches 50%.";
  return { said: several ? all : first, nodes };
}

/** @param {Prediction[]} predictions of one value */
function value([{ label, score }]) {
  const shown = Number(score.toPrecision(4)).toString().replace("-", "\u2212");
  return { said: `The model gives ${shown}.`, nodes: [make("p", { class: "value" }, make("span", {}, label), shown)] };
}

/**
 * @param {string} text
 * @param {Tag[]} tags
 */
function tagged(text, tags) {
  const spans = merged(tags);
  const kinds = [...new Set(spans.map(({ kind }) => kind))];
  const characters = codePoints(text);
  const nodes = [];
  let at = 0;
  for (const { kind, score, start, end } of spans) {
    nodes.push(characters.slice(at, start).join(""));
    const label = make("span", { class: "tag" }, `${kind} ${percent(score)}`);
    const colour = `colour-${kinds.indexOf(kind) % COLOURS}`;
    nodes.push(make("mark", { class: colour }, characters.slice(start, end).join(""), "\u00a0", label));
    at = end;
  }
  nodes.push(characters.slice(at).join(""));
  const said = spans.length ? `${counted(spans.length, "part")} tagged: ${kinds.join(", ")}.` : "No word is tagged.";
  return { said, nodes: [make("p", { class: "tagged" }, ...nodes)] };
}

/**
 * Tags of words as parts of the text: `B-LOC I-LOC` is one place. Its probability is the least of its words'.
 * @param {Tag[]} tags
 * @returns {Span[]}
 */
export function merged(tags) {
  /** @type {Span[]} */
  const spans = [];
  let goesOn = false;
  for (const { entity, score, start, end } of tags) {
    const [, position, kind] = /^(?:([BIES])[-_])?([^]*)$/.exec(entity) ?? ["", "", entity];
    const last = spans[spans.length - 1];
    if (entity === "O") {
      goesOn = false;
    } else if (goesOn && last.kind === kind && (position === "I" || position === "E")) {
      last.end = end;
      last.score = Math.min(last.score, score);
    } else {
      spans.push({ kind, score, start, end });
      goesOn = position !== undefined;
    }
  }
  return spans;
}
