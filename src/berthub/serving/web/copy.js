/** Blocks of code with a button that copies them. */

import { make } from "./dom.js";

/** @typedef {import("./calls.js").Call} Call */

const SHOWN = 2000; // ms for which a button says that it has copied

/**
 * A heading, and one block for each call.
 * @param {Call[]} calls
 * @returns {HTMLElement[]}
 */
export function copyBlocks(calls) {
  return [make("h3", {}, "The same from your own program"), ...calls.map(block)];
}

/** @param {Call} call */
function block(call) {
  const code = make("code", {}, call.code);
  // A long one scrolls, so the keyboard must reach it.
  const pre = make("pre", { tabindex: 0, role: "group", "aria-label": `Code for ${call.title}` }, code);
  const button = make("button", { type: "button", "aria-label": `Copy the code for ${call.title}` }, "Copy");
  const said = make("span", { class: "spoken", role: "status" });
  button.addEventListener("click", async () => {
    const done = await copied(call.code, code);
    button.textContent = said.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => {
      button.textContent = "Copy";
      said.textContent = "";
    }, SHOWN);
  });
  const title = make("figcaption", {}, make("strong", {}, call.title), call.note ? make("span", {}, call.note) : null);
  return make("figure", { class: "call" }, title, button, said, pre);
}

/**
 * Whether the text is on the clipboard now; else it is selected.
 * @param {string} text
 * @param {HTMLElement} element which shows it
 */
async function copied(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without HTTPS there is no clipboard but on this machine itself: the older way copies what is selected.
    getSelection()?.selectAllChildren(element);
    return document.execCommand("copy");
  }
}
