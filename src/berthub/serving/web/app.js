/** The page: which model is looked at, which function is open, and the API key. */

import { Failure, hasKey, models, useKey } from "./api.js";
import { byId, count, make } from "./dom.js";
import { examplesFor } from "./examples.js";
import { labels } from "./labels.js";
import { insertMask, mask } from "./mask.js";
import { pair } from "./pair.js";
import { tabs } from "./tabs.js";
import { texts } from "./texts.js";
import { tokens } from "./tokens.js";
import { View } from "./view.js";

/** @typedef {import("./api.js").Model} Model */

const POLL = 1000; // ms between two looks at a model that loads
const FUNCTIONS = { tokens, texts, pair, mask, labels };
const TASKS = { classify: "Label", multi_label: "Labels", regress: "Value", tag: "Tagged words" };
const POOLING = { mean: "mean of its tokens", cls: "its first token", max: "largest of its tokens", pooled: "the pooler's" };

/** @type {Model[]} */
let known = [];
/** @type {Model|null} */
let current = null;
let poll = 0;
// The function that the address names, until a model is there.
let wanted = location.hash.slice(1);

const views = Object.entries(FUNCTIONS).map(([name, parts]) => {
  return { name, view: new View(byId(name), parts, askForKey) };
});
const tabList = tabs(byId("tabs"), (panel) => {
  views.find(({ name }) => name === panel.id)?.view.opened();
  if (current !== null) {
    history.replaceState(null, "", `#${panel.id}`);
  }
});

async function load() {
  clearTimeout(poll);
  try {
    const answer = await models();
    known = answer.models;
    byId("version").textContent = answer.version;
    byId("key").hidden = !hasKey();
    byId("key-problem").textContent = "";
    choose(known.find(({ name }) => name === current?.name) ?? known.find((model) => model.default) ?? known[0]);
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    if (error.status === 401) {
      askForKey(error);
    } else {
      report(error.message, true);
    }
  }
}

/** @param {Model|undefined} model */
function choose(model) {
  const before = current;
  current = model ?? null;
  clearTimeout(poll);
  report("");
  const options = /** @type {HTMLOptionElement[]} */ ([...byId("model").options]);
  if (options.map(({ value }) => value).join("\n") !== known.map(({ name }) => name).join("\n")) {
    byId("model").replaceChildren(...known.map(({ name }) => make("option", { value: name }, name)));
  }
  byId("chooser").hidden = known.length < 2;
  byId("name").classList.toggle("spoken", known.length > 1);
  byId("name").textContent = current?.name ?? "";
  if (current === null) {
    report("The server has no model.");
    return;
  }
  byId("functions").hidden = false;
  byId("model").value = current.name;
  document.title = `${current.name} – berthub`;
  byId("handle").textContent = current.handle === current.name ? "" : current.handle;
  byId("facts").replaceChildren(...(current.state === "ready" ? facts(current) : []));
  if (current.state === "loading") {
    report(`${current.name} is loading …`);
    poll = setTimeout(load, POLL);
  } else if (current.state === "failed") {
    report(`${current.name} could not be loaded. The server's log says why.`, true);
  } else if (current.state === "unloaded") {
    report(`${current.name} is not loaded.`, true);
  }
  if (before?.name === current.name && before.state === current.state && current.state !== "ready") {
    return;
  }
  for (const { name, view } of views) {
    offerExamples(name, current, before);
    view.use(current);
  }
  byId("tab-labels").textContent = current.task ? TASKS[current.task] : "Labels";
  byId("insert-mask").textContent = `Insert ${current.mask ?? ""}`;
  tabList.offer(offered(current));
  if (wanted in FUNCTIONS && current.state === "ready") {
    tabList.open(wanted);
    wanted = "";
  }
  // After the tabs: what this model cannot do is not asked of it.
  views.forEach(({ view }) => view.opened());
}

/** The functions that make sense for a model. @param {Model} model */
function offered({ state, mask: piece, task, pooling }) {
  const can = { tokens: true, texts: state !== "ready" || pooling !== null, pair: true, mask: piece, labels: task };
  return new Set(Object.keys(FUNCTIONS).filter((name) => can[/** @type {keyof typeof can} */ (name)]));
}

/** @param {Model} model */
function facts(model) {
  const pooling = POOLING[/** @type {keyof typeof POOLING} */ (model.pooling)] ?? "as its files define it, which is not computed";
  return [
    ["Architecture", `${model.architecture}, ${model.num_layers} layers of ${count(model.hidden_size)}`],
    ["Reads", `${count(model.max_length)} tokens at most`],
    ["Vocabulary", `${count(model.vocabulary_size)} pieces, ${model.case === "lower" ? "lower case" : "cased"}`],
    ["Vector of a text", `${pooling}${model.normalize ? ", of length 1" : ""}`],
    ["Computed in", `${model.precision}, by ${model.engine}`],
  ].map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", {}, value)));
}

/**
 * Buttons for the examples; the first one is filled in where nobody has written anything yet.
 * @param {string} name
 * @param {Model} model
 * @param {Model|null} before
 */
function offerExamples(name, model, before) {
  const fields = /** @type {HTMLTextAreaElement[]} */ ([...byId(name).querySelectorAll("textarea")]);
  const fill = (/** @type {string[]} */ examples) => fields.forEach((field, at) => (field.value = examples[at]));
  const offered = examplesFor(name, model);
  const untouched = fields.every((field) => field.value === "");
  const isThere = (/** @type {{texts: string[]}} */ { texts }) => texts.every((text, at) => text === fields[at].value);
  const earlier = before ? examplesFor(name, before).findIndex(isThere) : -1;
  if (untouched || earlier >= 0) {
    fill(offered[Math.max(earlier, 0)].texts);
  }
  const buttons = offered.map((example) => {
    const button = make("button", { type: "button", class: "quiet" }, example.name);
    button.addEventListener("click", () => {
      fill(example.texts);
      views.find((each) => each.name === name)?.view.refresh();
    });
    return button;
  });
  byId(name).querySelector(".examples").replaceChildren(make("span", {}, "Examples"), ...buttons);
}

/**
 * What there is to say about the server or the model as a whole.
 * @param {string} words
 * @param {boolean} [again] whether to offer another try
 */
function report(words, again = false) {
  const button = make("button", { type: "button" }, "Try again");
  button.addEventListener("click", load);
  byId("problem").replaceChildren(make("span", {}, words), ...(again ? [button] : []));
  byId("problem").hidden = words === "";
}

/** @param {Failure} failure */
function askForKey(failure) {
  byId("key-problem").textContent = failure.message;
  if (byId("key").hidden) {
    byId("key").hidden = false;
    byId("key-field").focus();
  }
}

byId("key").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  useKey(byId("key-field").value);
  void load();
});
byId("model").addEventListener("change", () => {
  choose(known.find(({ name }) => name === byId("model").value));
});
byId("insert-mask").addEventListener("click", () => insertMask(current));
void load();
