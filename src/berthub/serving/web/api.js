/** The server's answers, and its errors in words. */

/**
 * A model as the server describes it.
 * @typedef {object} Model
 * @property {string} name
 * @property {string} handle
 * @property {"ready"|"loading"|"failed"|"unloaded"} state
 * @property {boolean} default
 * @property {string} architecture
 * @property {number} hidden_size
 * @property {number} num_layers
 * @property {number} max_length
 * @property {number} vocabulary_size
 * @property {null|"classify"|"multi_label"|"regress"|"tag"} task
 * @property {string[]|null} labels
 * @property {string|null} mask
 * @property {string|null} pooling null where berthub does not compute the vectors that the model's files define
 * @property {boolean} normalize
 * @property {string} precision
 * @property {string} engine
 * @property {"lower"|"cased"} case
 */

/** Where the server is, also where a proxy serves it under a path. It ends with a slash. */
export const BASE = new URL(".", document.baseURI).href;

// In memory only: it is gone when the page is closed.
let key = "";

/** @param {string} text */
export function useKey(text) {
  key = text.trim();
}

/** Whether requests carry a key. */
export function hasKey() {
  return key !== "";
}

/** What went wrong, in words for the person in front of the page. */
export class Failure extends Error {
  /**
   * @param {string} message
   * @param {number} status the HTTP status; 0 where there was no answer
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * The models of the server, and its version.
 * @returns {Promise<{models: Model[], version: string}>}
 */
export function models() {
  return answerOf("models.json", {});
}

/**
 * The answer to a request.
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return answerOf(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/**
 * @param {string} path
 * @param {Omit<RequestInit, "headers"> & {headers?: Record<string, string>}} options
 */
async function answerOf(path, options) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...options.headers };
  if (key) {
    if (!/^[\x21-\x7e]+$/.test(key)) {
      throw new Failure("An API key consists of letters, digits and punctuation, without blanks.", 401);
    }
    headers.Authorization = `Bearer ${key}`;
  }
  let response;
  let text;
  try {
    response = await fetch(BASE + path, { ...options, headers, cache: "no-store" });
    text = await response.text();
  } catch (error) {
    if (options.signal?.aborted) {
      throw error;
    }
    throw new Failure("The server does not answer. Is it still running?", 0);
  }
  if (!response.ok) {
    throw new Failure(inWords(response, messageOf(text)), response.status);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure("The answer is not JSON: something between this page and the server has changed it.", 0);
  }
}

/**
 * @param {Response} response
 * @param {string} message the server's own
 */
function inWords(response, message) {
  const wait = response.headers.get("Retry-After");
  const later = wait && /^\d+$/.test(wait) ? `Try again in ${wait} ${wait === "1" ? "second" : "seconds"}.` : "Try again soon.";
  switch (response.status) {
    case 401:
      return hasKey() ? "The server does not know this API key." : "The server asks for an API key.";
    case 413:
      return `That is more than the server takes at once. ${message}`;
    case 429:
      return `The server has too much to do. ${later} ${message}`;
    case 503:
      return `The server is not ready. ${later} ${message}`;
    case 504:
      return `The answer took too long. ${message}`;
    default:
      return message || `The server answers with the status ${response.status}.`;
  }
}

/** @param {string} text the body of an error */
function messageOf(text) {
  try {
    const { error } = JSON.parse(text);
    const message = typeof error === "string" ? error : error?.message;
    return typeof message === "string" ? message : "";
  } catch {
    return "";
  }
}
