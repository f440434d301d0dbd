/** What the page's functions have in common: they ask the server as a field changes, and say how that goes. */

import { BASE, Failure, hasKey } from "./api.js";
import { copyBlocks } from "./copy.js";
import { make } from "./dom.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {import("./calls.js").Call} Call */
/** @typedef {import("./calls.js").Place} Place */

/** What a field lacks before there is anything to ask for. */
export class Incomplete extends Error {}

/**
 * One function of the page. `read` gives what is asked for, or throws `Incomplete`; `ask` gets it answered; `show` makes
 * elements of the answer and one sentence that says it; `calls` are the same request for other programs.
 * @typedef {object} Parts
 * @property {(model: Model) => any} read
 * @property {(model: Model, question: any, signal: AbortSignal) => Promise<any>} ask
 * @property {(model: Model, question: any, answer: any) => {said: string, nodes: Node[]}} show
 * @property {(model: Model, question: any, place: Place) => Call[]} calls
 */

const PAUSE = 150; // ms without a key press, before the server is asked
const SLOW = 200; // ms until the page says that it waits
const VERY_SLOW = 6000;

/** A function of the page in its panel. */
export class View {
  /**
   * @param {HTMLElement} panel with elements of the classes status, problem, result and calls
   * @param {Parts} parts
   * @param {(failure: Failure) => void} refused is called where the server asks for a key
   */
  constructor(panel, parts, refused) {
    this.panel = panel;
    this.parts = parts;
    this.refused = refused;
    /** @type {Model|null} */
    this.model = null;
    this.stale = true;
    this.pause = 0;
    this.request = new AbortController();
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (panel.querySelector(`.${name}`));
    this.status = part("status");
    this.problem = part("problem");
    this.result = part("result");
    this.code = part("calls");
    panel.addEventListener("input", () => this.later());
  }

  /** Ask this model when the panel is opened next; `opened` does so where it is open. @param {Model} model */
  use(model) {
    this.model = model;
    this.stale = true;
    clearTimeout(this.pause);
    this.request.abort();
    if (this.panel.hidden) {
      this.empty("");
    }
  }

  /** Ask again, where the panel is open. */
  refresh() {
    this.stale = true;
    if (!this.panel.hidden) {
      void this.run();
    }
  }

  /** The panel may have been opened: ask, where there is anything new to ask for. */
  opened() {
    if (this.stale && !this.panel.hidden) {
      void this.run();
    }
  }

  later() {
    // What was asked before is not wanted any more.
    this.request.abort();
    clearTimeout(this.pause);
    this.stale = true;
    this.pause = setTimeout(() => this.refresh(), PAUSE);
  }

  async run() {
    clearTimeout(this.pause);
    this.request.abort();
    const model = this.model;
    if (model === null || model.state !== "ready") {
      this.empty("");
      return;
    }
    this.stale = false;
    const request = new AbortController();
    this.request = request;
    let question;
    try {
      question = this.parts.read(model);
    } catch (error) {
      if (!(error instanceof Incomplete)) {
        throw error;
      }
      this.empty(error.message);
      return;
    }
    this.code.replaceChildren(...copyBlocks(this.parts.calls(model, question, { base: BASE, key: hasKey() })));
    this.result.setAttribute("aria-busy", "true");
    const waiting = [
      setTimeout(() => this.waits("The model computes …"), SLOW),
      setTimeout(() => this.waits("Still waiting: the server is busy, or the text is long …"), VERY_SLOW),
    ];
    try {
      const answer = await this.parts.ask(model, question, request.signal);
      if (!request.signal.aborted) {
        this.shows(model, question, answer);
      }
    } catch (error) {
      if (!request.signal.aborted) {
        this.fails(error);
      }
    } finally {
      waiting.forEach(clearTimeout);
      if (this.request === request) {
        this.rests();
      }
    }
  }

  /** @param {string} words */
  waits(words) {
    this.result.classList.add("waits");
    this.status.textContent = words;
  }

  rests() {
    this.result.removeAttribute("aria-busy");
    this.result.classList.remove("waits");
  }

  /**
   * @param {Model} model
   * @param {any} question
   * @param {any} answer
   */
  shows(model, question, answer) {
    const { said, nodes } = this.parts.show(model, question, answer);
    this.problem.hidden = true;
    this.problem.replaceChildren();
    this.status.textContent = said;
    this.result.replaceChildren(...nodes);
  }

  /** @param {unknown} error */
  fails(error) {
    this.stale = true;
    this.status.textContent = "";
    this.result.replaceChildren();
    if (error instanceof Failure && error.status === 401) {
      this.refused(error);
      return;
    }
    const words = error instanceof Failure ? error.message : "The page does not understand the server's answer.";
    const again = make("button", { type: "button" }, "Try again");
    again.addEventListener("click", () => void this.run());
    this.problem.replaceChildren(make("span", {}, words), again);
    this.problem.hidden = false;
    if (!(error instanceof Failure)) {
      throw error;
    }
  }

  /** @param {string} words what is missing */
  empty(words) {
    this.problem.hidden = true;
    this.status.textContent = words;
    this.rests();
    this.result.replaceChildren();
    this.code.replaceChildren();
  }
}
