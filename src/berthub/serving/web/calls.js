/** The calls that give what the page shows: for curl, for Python, and for OpenAI's client. Pure functions of texts. */

import { json, pythonList, pythonString, shellWord } from "./quote.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {{title: string, note?: string, code: string}} Call */
/** @typedef {{base: string, key: boolean}} Place where the server is, and whether it asks for a key */

/**
 * A request by curl.
 * @param {Place} place
 * @param {string} path
 * @param {object} body
 * @param {string} [note]
 * @returns {Call}
 */
export function curl(place, path, body, note) {
  const lines = [
    `curl ${shellWord(place.base + path)}`,
    "  -H 'Content-Type: application/json'",
    // The key itself is shown nowhere.
    ...(place.key ? ['  -H "Authorization: Bearer $BERTHUB_API_KEY"'] : []),
    `  -d ${shellWord(json(body))}`,
  ];
  return { title: "curl", note, code: lines.join(" \\\n") };
}

/**
 * A program in Python: loads the model, then runs the lines.
 * @param {Model} model
 * @param {string[]} lines
 * @param {string[]} [imports]
 * @returns {Call}
 */
export function python(model, lines, imports = []) {
  const precision = model.precision === "int8" ? ', precision="int8"' : "";
  const code = [
    ...imports.map((name) => `import ${name}`),
    ...(imports.includes("re") ? [""] : []),
    "import berthub as hub",
    "",
    `bert = hub.load(${pythonString(model.handle)}${precision})`,
    ...lines,
  ].join("\n");
  return { title: "Python", note: "With berthub in your own process, without the server.", code };
}

/**
 * The vectors of texts by OpenAI's client.
 * @param {Place} place
 * @param {Model} model
 * @param {string[]} texts
 * @returns {Call}
 */
export function openai(place, model, texts) {
  const key = place.key ? 'os.environ["BERTHUB_API_KEY"]' : '"none"';
  const code = [
    ...(place.key ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${pythonString(`${place.base}v1`)}, api_key=${key})`,
    `texts = ${pythonList(texts)}`,
    `answer = client.embeddings.create(model=${pythonString(model.name)}, input=texts)`,
    "vectors = [entry.embedding for entry in answer.data]",
    "print(len(vectors), len(vectors[0]))",
  ].join("\n");
  return { title: "OpenAI's client", note: "The same vectors, as the model's own files scale them.", code };
}
