/** Text as bytes and back, for an engine that has no `TextEncoder`. */
import { Internal } from "./failure.js";

/**
 * The UTF-8 bytes of the text. `Internal` for half a surrogate pair, which has none.
 *
 * @param {string} text
 */
export function encode(text) {
  const escaped = wellFormed(text);
  const bytes = new Uint8Array(escaped.length);
  let length = 0;
  for (let at = 0; at < escaped.length; at += 1) {
    const escape = escaped[at] === "%";
    bytes[length] = escape ? parseInt(escaped.slice(at + 1, at + 3), 16) : escaped.charCodeAt(at);
    length += 1;
    at += escape ? 2 : 0;
  }
  return bytes.slice(0, length);
}

/**
 * The text of UTF-8 bytes; nothing if they are none.
 *
 * @param {Uint8Array} bytes
 * @returns {string | undefined}
 */
export function decode(bytes) {
  let escaped = "";
  for (const byte of bytes) {
    const plain = byte < 128 && byte !== 37;
    escaped += plain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
  }
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined;
  }
}

/** @param {string} text */
function wellFormed(text) {
  try {
    return encodeURIComponent(text);
  } catch {
    throw new Internal("a text holds half a surrogate pair, which has no UTF-8");
  }
}
