import assert from "node:assert/strict";
import { now } from "./state.js";

/**
 * @param {string} level
 * @param {string} line
 */
export function write(level, line) {
  assert.ok(["debug", "info", "warn", "error"].includes(level));
  assert.equal(typeof line, "string");
  now().lines.push(line);
}
