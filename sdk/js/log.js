/**
 * Lines for the operator's log.
 *
 * A line passes the host's redactor, which is a net under the rule and not the rule: never log a credential. A line is cut after 2,048
 * bytes; after 200 lines or 64 KiB in one step the rest is dropped.
 */
import { write } from "windlass:rotation/log@0.1.0";
import { text } from "./host.js";

/**
 * For the plugin's author; off unless the operator asks for it.
 *
 * @param {string} line
 */
export function debug(line) {
  write("debug", text(line, "a line for the log"));
}

/**
 * What the plugin did.
 *
 * @param {string} line
 */
export function info(line) {
  write("info", text(line, "a line for the log"));
}

/**
 * Something the operator should look at, though the step goes on.
 *
 * @param {string} line
 */
export function warn(line) {
  write("warn", text(line, "a line for the log"));
}

/**
 * Why the step is about to fail.
 *
 * @param {string} line
 */
export function error(line) {
  write("error", text(line, "a line for the log"));
}
