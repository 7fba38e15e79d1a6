/** Byte streams to the endpoints of the plugin's manifest. */
import { Connection as Stream } from "windlass:rotation/connection@0.1.0";
import { Denied, Internal, Unreachable } from "./failure.js";
import * as host from "./host.js";
import { opened } from "./streams.js";
import * as utf8 from "./utf8.js";

const MOST_AT_ONCE = 65_536;
const LEAST_AT_ONCE = 4096;

/**
 * Opens a stream to the endpoint of this name.
 *
 * It is encrypted from the first byte unless the manifest says `tls = "start-tls"`, or `"optional"` and the secret asks for plain text.
 *
 * Throws `Denied` (no such endpoint, or policy) or `Unreachable` (resolve, connect, TLS), always with effect unchanged.
 *
 * @param {string} endpoint
 */
export function open(endpoint) {
  const name = host.text(endpoint, "the endpoint");
  return new Connection(host.ask(() => Stream.open(name)));
}

/**
 * An open byte stream. What is written is sent at once; the SDK closes the stream before the next login and at the end of the step, if
 * the plugin does not.
 *
 * Throws `Unreachable` with effect unknown if the stream breaks or nothing arrives in time.
 */
export class Connection {
  /** @type {Stream | undefined} */
  #stream;
  #waiting = new Uint8Array(0);

  /** @param {Stream} stream */
  constructor(stream) {
    this.#stream = stream;
    opened(this);
  }

  /**
   * Sends all of it now; text as UTF-8.
   *
   * @param {string | Uint8Array} data
   */
  write(data) {
    const bytes = typeof data === "string" ? utf8.encode(data) : host.bytes(data, "what is written to a connection");
    // An empty write is nothing to send, and not worth a way to the host.
    if (bytes.length) host.ask(() => this.#open().write(bytes));
  }

  /**
   * Up to `size` bytes, fewer only at the end of the stream.
   *
   * @param {number} size
   */
  read(size) {
    if (!Number.isInteger(size) || size < 0) {
      throw new Internal("the number of bytes to read has to be an integer that is not negative");
    }
    while (this.#waiting.length < size && this.#fill(size - this.#waiting.length));
    return this.#take(size);
  }

  /**
   * `size` bytes. `Unreachable` with effect unknown if the service closes the stream before that.
   *
   * @param {number} size
   */
  readExactly(size) {
    const bytes = this.read(size);
    if (bytes.length < size) throw cutShort();
    return bytes;
  }

  /**
   * What comes up to and including the separator. `Internal` if that is more than `limit` bytes, `Unreachable` with effect unknown if the
   * service closes the stream before that.
   *
   * @param {string} [separator]
   * @param {number} [limit]
   */
  readUntil(separator = "\n", limit = 4096) {
    const wanted = utf8.encode(separator);
    if (!wanted.length) throw new Internal("readUntil needs a separator");
    for (;;) {
      const at = indexOf(this.#waiting, wanted);
      const end = at + wanted.length;
      if (at >= 0 && end <= limit) return this.#take(end);
      if (at >= 0 || this.#waiting.length >= limit) {
        throw new Internal(`the service sent more than ${limit} bytes where a line should have ended`);
      }
      if (!this.#fill(0)) throw cutShort();
    }
  }

  /**
   * Encrypts the stream from here on, once, after the protocol's negotiation in plain text. Do it before a credential is sent.
   *
   * Throws `Denied` if the endpoint is not declared `tls = "start-tls"` or the stream is encrypted already; `Unreachable` if the
   * handshake fails. After that the stream is closed.
   */
  startTls() {
    // Whoever sits in between can send plain text in advance, which would then be taken for the service's encrypted answer.
    if (this.#waiting.length) {
      this.close();
      throw new Unreachable("the service sent more than its answer before the stream was encrypted");
    }
    host.ask(() => this.#open().startTls());
  }

  /** Closes the stream. */
  close() {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.[Symbol.dispose]?.();
  }

  [Symbol.dispose]() {
    this.close();
  }

  /** @param {number} wanted */
  #fill(wanted) {
    const most = Math.min(Math.max(wanted, LEAST_AT_ONCE), MOST_AT_ONCE);
    const more = host.ask(() => this.#open().read(most));
    const waiting = new Uint8Array(this.#waiting.length + more.length);
    waiting.set(this.#waiting);
    waiting.set(more, this.#waiting.length);
    this.#waiting = waiting;
    return more.length > 0;
  }

  /** @param {number} size */
  #take(size) {
    const taken = this.#waiting.slice(0, size);
    this.#waiting = this.#waiting.slice(size);
    return taken;
  }

  #open() {
    if (!this.#stream) throw new Denied("the connection is closed already");
    return this.#stream;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {Uint8Array} wanted
 */
function indexOf(bytes, wanted) {
  for (let at = 0; at + wanted.length <= bytes.length; at += 1) {
    if (wanted.every((byte, offset) => bytes[at + offset] === byte)) return at;
  }
  return -1;
}

function cutShort() {
  return new Unreachable("the service closed the connection before its answer was complete");
}
