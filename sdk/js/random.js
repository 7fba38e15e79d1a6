import { generate } from "windlass:rotation/random@0.1.0";
import { Internal } from "./failure.js";

const MOST = 65_536;

/**
 * Exactly `count` bytes from the host's operating system, at most 65,536, for nonces and salts.
 *
 * The only source worth the name inside a component: the state of `Math.random` is frozen there. The new credential itself is never made
 * by a plugin; the host generates it.
 *
 * @param {number} count
 */
export function randomBytes(count) {
  if (!Number.isInteger(count) || count < 0 || count > MOST) {
    throw new Internal("the host gives 0 to 65,536 random bytes at a time");
  }
  return Uint8Array.from(generate(count));
}
