/** Values that do not print. */
import { Internal } from "./failure.js";

/**
 * A value of the secret. It prints as `[redacted]`, cannot be used as text, and leaves through `expose()`.
 *
 * A plugin can make one of what it derived from a credential, such as a session token.
 *
 * @template {string | Uint8Array} [Value=string]
 */
export class Secret {
  /** @type {Value} */
  #value;

  /** @param {Value} value */
  constructor(value) {
    this.#value = value;
  }

  /** The plain value. Say at each call why it must be seen. */
  expose() {
    return this.#value;
  }

  /**
   * Whether the other one hides the same value.
   *
   * @param {unknown} other
   */
  equals(other) {
    // A string equals a string only; bytes are compared one by one.
    if (!(other instanceof Secret) || typeof this.#value !== typeof other.#value) return false;
    if (typeof this.#value === "string") return this.#value === other.#value;
    const bytes = other.#value;
    return this.#value.length === bytes.length && this.#value.every((byte, at) => byte === bytes[at]);
  }

  /**
   * Not `[redacted]` here: a template string would make that the password, and a login with it would succeed.
   *
   * @returns {never}
   */
  toString() {
    throw new Internal("a secret was used as text: call expose() where the value must be seen");
  }

  /** @returns {never} */
  toJSON() {
    return this.toString();
  }

  /** @returns {never} */
  [Symbol.toPrimitive]() {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")]() {
    return "[redacted]";
  }
}
