/** Texts to begin with, which show what there is to see. */

/** @typedef {import("./api.js").Model} Model */
/** @typedef {{name: string, texts: string[]}} Example */

/** @type {Record<string, Example[]>} */
const EXAMPLES = {
  tokens: [
    { name: "Long words", texts: ["Tokenization splits unbelievably long words, like photosynthesis, into pieces."] },
    { name: "Accents and scripts", texts: ["Naïve cafés in 東京 and Αθήνα serve crème brûlée 🙂"] },
    { name: "Code", texts: ["def area(radius):\n    return 3.14159 * radius ** 2"] },
    { name: "A long text", texts: [`${"All work and no play makes Jack a dull boy. ".repeat(60)}The end.`] },
  ],
  texts: [
    {
      name: "Meaning",
      texts: [
        "The cat sleeps on the sofa.\nA kitten is napping on the couch.\nOur dog chases a ball in the park.\nInterest rates rose again in May.\nThe central bank made loans more expensive.",
      ],
    },
    {
      name: "Questions and an answer",
      texts: [
        "How do I reset my password?\nI cannot sign in any more.\nWhere is my parcel?\nTo choose a new password, follow the link in the mail.",
      ],
    },
    {
      name: "Negation",
      texts: ["The film was good.\nThe film was not good.\nThe film was bad.\nI enjoyed every minute of it."],
    },
  ],
  pair: [
    { name: "Two banks", texts: ["They rested on the bank of the river.", "He took the money to the bank."] },
    { name: "Other words", texts: ["The doctor treated the patient.", "A physician cured the sick man."] },
    { name: "Word order", texts: ["The dog bites the man.", "The man bites the dog."] },
  ],
  mask: [
    { name: "A capital", texts: ["Paris is the [MASK] of France."] },
    { name: "A verb", texts: ["The old man [MASK] the boat across the lake."] },
    { name: "An opinion", texts: ["The film was so [MASK] that we left after ten minutes."] },
  ],
  labels: [
    { name: "Praise", texts: ["A warm and funny film with a wonderful cast."] },
    { name: "Complaint", texts: ["Two hours of my life that nobody will give back to me."] },
    { name: "News", texts: ["Angela Merkel was born in Hamburg and studied physics in Leipzig."] },
  ],
};

/**
 * The examples of a function for a model, which writes its mask in its own way.
 * @param {string} view
 * @param {Model} model
 * @returns {Example[]}
 */
export function examplesFor(view, model) {
  const all = EXAMPLES[view].map(({ name, texts }) => {
    return { name, texts: texts.map((text) => (model.mask ? text.replaceAll("[MASK]", model.mask) : text)) };
  });
  // What names people and places comes first where those are tagged.
  return view === "labels" && model.task === "tag" ? [...all.slice(2), ...all.slice(0, 2)] : all;
}
