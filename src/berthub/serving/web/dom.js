/** Small helpers that make elements. A text becomes a text node, never markup. */

/**
 * An element with attributes and children. An attribute that is false, null or undefined is left out; true is empty.
 * @param {string} tag
 * @param {Record<string, string|number|boolean|null|undefined>} [attributes]
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * The element with this id, which index.html has.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) {
    throw new Error(`the page has no element with the id ${id}`);
  }
  return element;
}

/**
 * A text that only screen readers get.
 * @param {string} text
 */
export function spoken(text) {
  return make("span", { class: "spoken" }, text);
}

/**
 * A number with the separators of English, which the page is written in.
 * @param {number} value
 */
export function count(value) {
  return value.toLocaleString("en");
}

/**
 * A count with its noun.
 * @param {number} value
 * @param {string} one
 * @param {string} [several]
 */
export function counted(value, one, several = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : several}`;
}

/**
 * A share as a percentage that tells small shares apart.
 * @param {number} share
 */
export function percent(share) {
  const value = share * 100;
  return value > 0 && value < 0.1 ? "< 0.1%" : `${value.toFixed(1)}%`;
}

/**
 * A number with so many decimals, and a true minus sign.
 * @param {number} value
 * @param {number} [digits]
 */
export function decimals(value, digits = 2) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

/**
 * The beginning of a text, for labels.
 * @param {string} text
 * @param {number} most characters
 */
export function beginning(text, most) {
  const characters = Array.from(text);
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join("").trimEnd()}…`;
}
