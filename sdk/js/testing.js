/**
 * Unit tests of a plugin, with plain `node --test` and without WebAssembly: node --import PATH/sdk/js/register.js --test FOLDER.
 *
 * A `Scene` is everything a plugin can see: versions of the secret, settings, endpoints. It plays the two steps as the host calls them,
 * through what `exported` makes of the plugin; in `testSecret` only the pending version exists.
 *
 *     import { Unauthorized } from "windlass";
 *     import { Response } from "windlass/http";
 *     import { Scene } from "windlass/testing";
 *
 *     const scene = new Scene({ pending: { username: "app", password: "new" }, http: { api: () => new Response(401) } });
 *     assert.throws(() => scene.testSecret(Acme), Unauthorized);
 */
import { readVersions } from "./credential.js";
import { exported } from "./export.js";
import { ask } from "./host.js";
import { play } from "./stage/state.js";
import { closeAll } from "./streams.js";
import * as utf8 from "./utf8.js";

/** @typedef {import("./credential.js").Role} Role */
/** @typedef {Record<string, string> | string | Uint8Array} Value fields, or a secret that is no JSON object */

/**
 * @typedef {object} Parts
 * @property {Value} pending
 * @property {Value} [current]
 * @property {Value} [previous]
 * @property {Value} [admin]
 * @property {Record<string, string>} [settings]
 * @property {Record<string, (request: any) => import("./http.js").Response>} [http] for each endpoint what answers a request
 * @property {Record<string, () => { read(max: number): Uint8Array, write(data: Uint8Array): void, close?(): void }>} [connections]
 *   for each endpoint what makes the service's end of a stream; nothing read is the end of it
 */

/** What a plugin can see during a unit test. */
export class Scene {
  /** @type {import("./stage/state.js").State} */
  #state;

  /** @param {Parts} parts */
  constructor({ settings = {}, http: services = {}, connections = {}, ...versions }) {
    this.#state = {
      bytes: new Map(),
      fields: new Map(),
      settings,
      services,
      connections,
      lines: [],
      refused: [],
      onlyPending: false,
    };
    for (const [role, value] of Object.entries(versions)) this.put(/** @type {Role} */ (role), value);
  }

  /**
   * Puts a version in the place of what was there.
   *
   * @param {Role} role
   * @param {Value} value
   */
  put(role, value) {
    const plain = typeof value === "string" || value instanceof Uint8Array;
    this.#state.fields.set(role, plain ? {} : value);
    const content = plain ? value : JSON.stringify(value);
    this.#state.bytes.set(role, typeof content === "string" ? utf8.encode(content) : content);
  }

  /**
   * Runs the step `set-secret`. Throws the failures of the plugin.
   *
   * @param {new () => import("./service.js").Steps} Plugin
   */
  setSecret(Plugin) {
    return this.run(exported(Plugin).setSecret);
  }

  /**
   * Runs the step `test-secret`. Throws the failures of the plugin.
   *
   * @param {new () => import("./service.js").Steps} Plugin
   */
  testSecret(Plugin) {
    this.#state.onlyPending = true;
    try {
      return this.run(exported(Plugin).testSecret);
    } finally {
      this.#state.onlyPending = false;
    }
  }

  /**
   * Runs any code of the plugin in this scene, and closes the streams that it leaves open.
   *
   * @template Result
   * @param {() => Result} code
   */
  run(code) {
    try {
      return play(this.#state, () => ask(code));
    } finally {
      play(this.#state, closeAll);
    }
  }

  /** The versions of this scene, for code that takes them. */
  versions() {
    return this.run(readVersions);
  }

  /** What the plugin logged so far. */
  get lines() {
    return [...this.#state.lines];
  }

  /** The versions with which a login was refused so far, each as often as it was. The host bounds them. */
  get refused() {
    return [...this.#state.refused];
  }
}
