/** Texts as literals of JSON, Python and the shell, and texts as code points: pure functions. */

/**
 * Characters that cannot be seen, or that change the direction of what follows: they are written as escapes, so that an
 * example does what a reader sees. Joiners and variation selectors stay, since emoji and some scripts consist of them.
 */
const HIDDEN = /[\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/;

/**
 * The characters as Python counts them: a JavaScript string counts an emoji as two.
 * @param {string} text
 * @returns {string[]}
 */
export function codePoints(text) {
  return Array.from(text);
}

/**
 * A value as JSON without hidden characters, on one line where it is short. A text's own line ends are escaped.
 * @param {unknown} value
 * @returns {string}
 */
export function json(value) {
  const lines = JSON.stringify(value, null, 2);
  const line = lines.replace(/\n */g, (_, at) => (lines[at - 1] === "," ? " " : ""));
  return Array.from(line.length <= 80 ? line : lines, (each) => (HIDDEN.test(each) ? escaped(each) : each)).join("");
}

/**
 * A string literal of Python.
 * @param {string} text
 * @returns {string}
 */
export function pythonString(text) {
  // JSON's escapes are Python's, too; what JSON leaves as it is, Python takes as it is.
  return json(text);
}

/**
 * A list of strings in Python, one a line where it is long.
 * @param {string[]} texts
 * @returns {string}
 */
export function pythonList(texts) {
  const literals = texts.map(pythonString);
  const line = `[${literals.join(", ")}]`;
  return line.length <= 60 ? line : `[\n${literals.map((literal) => `    ${literal},\n`).join("")}]`;
}

/**
 * A word of the shell (sh, bash, zsh), in single quotes.
 * @param {string} text
 * @returns {string}
 */
export function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} character one of the hidden ones, all of which have four digits at most */
function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
