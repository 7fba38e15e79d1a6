/** HTTP requests to the endpoints of the plugin's manifest. */
import { send } from "windlass:rotation/http@0.1.0";
import { Conflict, Internal, RateLimited, Rejected, Unauthorized, Unreachable, Unsupported } from "./failure.js";
import * as host from "./host.js";
import * as utf8 from "./utf8.js";

/** @typedef {import("./hidden.js").Secret} Secret */

/**
 * @typedef {object} Options
 * @property {Record<string, string> | [string, string][]} [headers]
 * @property {[Secret, Secret]} [auth] user and password, for `Authorization: Basic …`
 * @property {Secret} [bearer] a token, for `Authorization: Bearer …`
 * @property {unknown} [json] a value that becomes the body
 * @property {string | Uint8Array} [body]
 */

/**
 * Sends a request and waits for the whole answer, whatever its status: `Response.ok` makes a failure of a bad one.
 *
 * Throws `Denied` with effect unchanged before anything is sent; `Unreachable`, with effect unchanged if no connection came about.
 *
 * @param {string} method
 * @param {string} endpoint its name in the manifest
 * @param {string} path path with query, percent-encoded (see `segment`)
 * @param {Options} [options]
 */
export function request(method, endpoint, path, { headers = [], auth, bearer, json, body = "" } = {}) {
  const lines = Array.isArray(headers) ? [...headers] : Object.entries(headers);
  if (auth) {
    const [user, password] = auth;
    // Exposed: the scheme sends both in every request. Source: <https://www.rfc-editor.org/rfc/rfc7617>
    const pair = utf8.encode(`${user.expose()}:${password.expose()}`);
    lines.push(["authorization", `Basic ${btoa(Array.from(pair, (byte) => String.fromCharCode(byte)).join(""))}`]);
  }
  // Exposed: the scheme sends the token in every request.
  if (bearer) lines.push(["authorization", `Bearer ${bearer.expose()}`]);
  if (json !== undefined) lines.push(["content-type", "application/json"]);
  const content = json === undefined ? body : JSON.stringify(json);
  const asked = {
    endpoint: host.text(endpoint, "the endpoint"),
    method: host.text(method, "the method"),
    path: host.text(path, "the path"),
    headers: lines.map(([name, value]) => pairOf(name, value)),
    body: typeof content === "string" ? utf8.encode(content) : host.bytes(content, "the body"),
  };
  const answer = host.ask(() => send(asked));
  return new Response(answer.status, answer.headers, Uint8Array.from(answer.body), { method, endpoint });
}

/**
 * @param {unknown} name
 * @param {unknown} value
 * @returns {[string, string]}
 */
function pairOf(name, value) {
  return [host.text(name, "the name of a header"), host.text(value, `the header ${host.text(name, "the name of a header")}`)];
}

/**
 * A GET request, with the options of `request`.
 *
 * @param {string} endpoint
 * @param {string} path
 * @param {Options} [options]
 */
export function get(endpoint, path, options) {
  return request("GET", endpoint, path, options);
}

/**
 * A PUT request, with the options of `request`.
 *
 * @param {string} endpoint
 * @param {string} path
 * @param {Options} [options]
 */
export function put(endpoint, path, options) {
  return request("PUT", endpoint, path, options);
}

/**
 * A POST request, with the options of `request`.
 *
 * @param {string} endpoint
 * @param {string} path
 * @param {Options} [options]
 */
export function post(endpoint, path, options) {
  return request("POST", endpoint, path, options);
}

/**
 * A PATCH request, with the options of `request`.
 *
 * @param {string} endpoint
 * @param {string} path
 * @param {Options} [options]
 */
export function patch(endpoint, path, options) {
  return request("PATCH", endpoint, path, options);
}

/**
 * A DELETE request, with the options of `request`. `delete` is a word of the language.
 *
 * @param {string} endpoint
 * @param {string} path
 * @param {Options} [options]
 */
export function remove(endpoint, path, options) {
  return request("DELETE", endpoint, path, options);
}

/**
 * `text` as one segment of a path or one value of a query: everything but letters, digits and `-._~` percent-encoded.
 *
 * Source: <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>
 *
 * @param {string} text
 */
export function segment(text) {
  const encoded = encodeURIComponent(host.text(text, "a segment")).replace(/[!'()*]/g, percent);
  // A segment of dots would be taken for a step in the path.
  return encoded === "." || encoded === ".." ? encoded.replace(/\./g, percent) : encoded;
}

/** @param {string} character */
function percent(character) {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** An answer, whatever its status. */
export class Response {
  #asked;

  /**
   * @param {number} status
   * @param {[string, string][]} [headers]
   * @param {string | Uint8Array} [body]
   * @param {{ method: string, endpoint: string }} [asked]
   */
  constructor(status, headers = [], body = "", asked = { method: "a request", endpoint: "" }) {
    this.status = status;
    this.headers = headers;
    this.body = typeof body === "string" ? utf8.encode(body) : body;
    this.#asked = asked;
  }

  /**
   * The value of the first header of this name, in whatever case.
   *
   * @param {string} name
   */
  header(name) {
    return this.headers.find(([header]) => header.toLowerCase() === name.toLowerCase())?.[1];
  }

  /** The whole body as text. `Internal` if it is not UTF-8. */
  text() {
    const text = utf8.decode(this.body);
    if (text === undefined) throw this.#failure(Internal, " and a body that is not text");
    return text;
  }

  /**
   * The whole body as a JSON value. `Internal` if it is none.
   *
   * @returns {any}
   */
  json() {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch {
      throw this.#failure(Internal, " and a body that is not JSON");
    }
  }

  /**
   * This answer if its status is 200 to 299, else a failure that names method, endpoint and status and never quotes the body.
   *
   * | status | failure | effect |
   * |---|---|---|
   * | 401, 403 | Unauthorized | unchanged |
   * | 429 | RateLimited | unchanged |
   * | 409, 412, 423 | Conflict | unchanged |
   * | 400, 413, 422 | Rejected | unchanged |
   * | 404, 405, 410, 501 | Unsupported | unchanged |
   * | 3xx (nothing follows it) | Unsupported | unchanged for GET, else unknown |
   * | 408, other 5xx | Unreachable | unchanged for GET, else unknown |
   * | others | Internal | unchanged for GET, else unknown |
   */
  ok() {
    if (this.status >= 200 && this.status <= 299) return this;
    const failure = this.#refusal();
    throw this.#asked.method === "GET" ? failure.unchanged() : failure;
  }

  #refusal() {
    const { status } = this;
    if ([401, 403].includes(status)) return this.#failure(Unauthorized);
    if (status === 429) return this.#failure(RateLimited);
    if ([409, 412, 423].includes(status)) return this.#failure(Conflict).unchanged();
    if ([400, 413, 422].includes(status)) return this.#failure(Rejected);
    if ([404, 405, 410, 501].includes(status)) return this.#failure(Unsupported);
    // Some services carry a change out and then send the client on, to the page that shows it.
    if (status >= 300 && status <= 399) return this.#failure(Unsupported, ", a redirect, which is not followed").unknown();
    if (status === 408 || (status >= 500 && status <= 599)) return this.#failure(Unreachable);
    return this.#failure(Internal);
  }

  /**
   * @param {new (message: string) => import("./failure.js").Failure} Kind
   * @param {string} [more]
   */
  #failure(Kind, more = "") {
    const { method, endpoint } = this.#asked;
    return new Kind(`the endpoint \`${endpoint}\` answered ${method} with ${this.status}${more}`);
  }

  [Symbol.for("nodejs.util.inspect.custom")]() {
    // Headers and body may hold credentials.
    return `Response(${this.status})`;
  }
}
