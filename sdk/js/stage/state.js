/**
 * What unit tests find in place of the contract's imports: the scene that a test plays.
 *
 * It is as strict as QuickJS is: where a wrong type is a trap in a component, it fails the test.
 */
import assert from "node:assert/strict";

/**
 * @typedef {object} State
 * @property {Map<string, Uint8Array>} bytes
 * @property {Map<string, Record<string, string>>} fields
 * @property {Record<string, string>} settings
 * @property {Record<string, (request: any) => any>} services
 * @property {Record<string, () => any>} connections
 * @property {string[]} lines
 * @property {any[]} refused
 * @property {boolean} onlyPending
 */

/** @type {State[]} */
const playing = [];

/**
 * Runs code of the plugin in a scene.
 *
 * @template Result
 * @param {State} state
 * @param {() => Result} run
 */
export function play(state, run) {
  playing.push(state);
  try {
    return run();
  } finally {
    playing.pop();
  }
}

/** The scene that is played now. */
export function now() {
  const state = playing.at(-1);
  assert.ok(state, "code of a plugin runs inside a Scene of windlass/testing in native tests");
  return state;
}

/**
 * What QuickJS throws for a failure of the host.
 *
 * @param {string} cause
 * @param {string} effect
 * @param {string} message
 */
export function refusal(cause, effect, message) {
  return Object.assign(new Error("Call failed"), { payload: { cause, effect, message } });
}

/** @param {string} name */
export function noEndpoint(name) {
  return refusal("denied", "unchanged", `the manifest has no endpoint \`${name}\``);
}
