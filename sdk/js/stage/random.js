import { randomBytes } from "node:crypto";

/** @param {number} count */
export function generate(count) {
  return Uint8Array.from(randomBytes(count));
}
