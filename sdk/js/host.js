/**
 * What passes between the plugin and the host.
 *
 * An argument of a wrong type is a trap in QuickJS that nobody can catch, so it is found here, where a failure can say what it is.
 */
import { BY_CAUSE, EFFECTS, Failure, Internal } from "./failure.js";
import { Secret } from "./hidden.js";

/**
 * Calls a function of the host whose failures are thrown.
 *
 * @template Result
 * @param {() => Result} run
 * @returns {Result}
 */
export function ask(run) {
  try {
    return run();
  } catch (error) {
    throw fromHost(error);
  }
}

/**
 * The failure that the host threw, or the error as it is.
 *
 * @param {any} error
 */
function fromHost(error) {
  if (error instanceof Failure) return error;
  const { cause, effect, message } = error?.payload ?? error ?? {};
  const Kind = BY_CAUSE.get(cause);
  return Kind && EFFECTS.includes(effect) ? new Kind(String(message), effect) : error;
}

/**
 * The object by which the contract knows a failure: QuickJS makes a trap of anything that is an `Error`.
 *
 * @param {Failure} failure
 */
export function failureForHost({ cause, effect, message }) {
  // Half a surrogate pair has no UTF-8.
  return { cause, effect, message: Array.from(String(message), (one) => (/^[\ud800-\udfff]$/.test(one) ? "?" : one)).join("") };
}

/**
 * The value, if it is text that the host can be given.
 *
 * @param {unknown} value
 * @param {string} what
 * @returns {string}
 */
export function text(value, what) {
  if (typeof value !== "string") throw new Internal(`${what} has to be a string, not ${described(value)}`);
  if (/[\ud800-\udfff]/.test(value) && Array.from(value).some((one) => /^[\ud800-\udfff]$/.test(one))) {
    throw new Internal(`${what} holds half a surrogate pair, which has no UTF-8`);
  }
  return value;
}

/**
 * The value as bytes, if it is some that the host can be given.
 *
 * @param {unknown} value
 * @param {string} what
 * @returns {Uint8Array}
 */
export function bytes(value, what) {
  if (ArrayBuffer.isView(value) && "BYTES_PER_ELEMENT" in value && value.BYTES_PER_ELEMENT === 1) {
    return /** @type {Uint8Array} */ (value);
  }
  throw new Internal(`${what} has to be a string or a Uint8Array, not ${described(value)}`);
}

/** @param {unknown} value */
export function described(value) {
  if (value instanceof Secret) return "a Secret: call expose() where the value must be seen";
  return value === null ? "null" : `a value of type ${typeof value}`;
}
