import assert from "node:assert/strict";
import { now } from "./state.js";

const VERSIONS = ["pending", "current", "previous", "admin"];

/** @param {string} of */
function visible(of) {
  assert.ok(VERSIONS.includes(of), `there is no version ${of}`);
  return of === "pending" || !now().onlyPending;
}

/**
 * @param {string} of
 * @param {string} name
 */
export function field(of, name) {
  assert.equal(typeof name, "string");
  const fields = visible(of) ? now().fields.get(of) : undefined;
  return fields && Object.hasOwn(fields, name) ? fields[name] : null;
}

/** @param {string} of */
export function text(of) {
  const bytes = raw(of);
  try {
    return bytes && new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** @param {string} of */
export function raw(of) {
  return (visible(of) && now().bytes.get(of)) || null;
}

/** @param {string} name */
export function setting(name) {
  assert.equal(typeof name, "string");
  return now().settings[name] ?? null;
}

/** @param {string} of */
export function refused(of) {
  visible(of);
  now().refused.push(of);
}
