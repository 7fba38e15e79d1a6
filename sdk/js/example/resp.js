/** RESP2, as much as the ACL commands need. Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/> */
import { Internal, RateLimited, Rejected, Unauthorized, Unreachable, Unsupported, utf8 } from "windlass";

// All texts of a reply together, in bytes, and all its elements. A user with thousands of key patterns stays below.
const MOST_TEXT = 1 << 20;
const MOST_ELEMENTS = 65_536;
const DEEPEST = 8;

/** The server refused the command. It shows no text of its own: `ACL SETUSER` repeats the password in it. */
export class ErrorReply extends Error {
  #line;

  /** @param {string} line */
  constructor(line) {
    super("an error reply");
    this.#line = line;
  }

  get code() {
    return this.#line.split(" ")[0];
  }

  /** @param {string} part */
  says(part) {
    return this.#line.includes(part);
  }

  /**
   * What this answer to `command` means. Source of codes and words: `src/server.c` and `src/acl.c` of Redis 7.
   *
   * @param {string} command
   */
  failure(command) {
    const { code } = this;
    const said = `${command} was answered with ${/^[A-Z]{1,16}$/.test(code) ? code : "an error"}`;
    if (code === "WRONGPASS") return new Unauthorized(`${said}: wrong user name or password, or the user is off`);
    if (["NOAUTH", "NOPERM"].includes(code)) return new Unauthorized(`${said}: the user may not do this`);
    if (["LOADING", "MASTERDOWN", "BUSY", "CLUSTERDOWN", "TRYAGAIN"].includes(code)) {
      return new Unreachable(`${said}: the server is not ready`).unchanged();
    }
    if (code === "READONLY") return new Unsupported(`${said}: this is a replica; the secret has to name the primary`);
    if (this.says("max number of clients")) return new RateLimited(`${said}: the server has no free connection`);
    if (command === "ACL SAVE") {
      return new Unreachable(`${said}: the server could not write its ACL file, see its own log`).changed();
    }
    if (this.says("unknown command") || this.says("nknown subcommand")) {
      return new Unsupported(`${said}: ACL users need Redis 6 or later`);
    }
    return command === "ACL SETUSER" ? new Rejected(said) : new Internal(said).unchanged();
  }
}

/** One side of a conversation. */
export class Client {
  #stream;
  #left = { text: 0, elements: 0 };

  /** @param {import("windlass/connection").Connection} stream */
  constructor(stream) {
    this.#stream = stream;
  }

  /**
   * Sends a command and returns its reply: text, null, or `undefined` for numbers and arrays, whose content nobody asks for. Arguments
   * are bulk strings, so nothing in them is syntax.
   *
   * @param {string[]} command
   * @returns {string | null | undefined}
   */
  call(...command) {
    const words = command.map((word) => `$${utf8.encode(word).length}\r\n${word}\r\n`);
    this.#stream.write(`*${words.length}\r\n${words.join("")}`);
    this.#left = { text: MOST_TEXT, elements: MOST_ELEMENTS };
    return this.#reply(0);
  }

  /**
   * @param {number} depth
   * @returns {string | null | undefined}
   */
  #reply(depth) {
    const line = text(this.#stream.readUntil("\r\n")).slice(0, -2);
    const [kind, rest] = [line[0], line.slice(1)];
    if (kind === "+") return rest;
    if (kind === "-") throw new ErrorReply(rest);
    if (kind === ":") return undefined;
    if ((kind === "$" || kind === "*") && rest === "-1") return null;
    if (kind === "$") {
      const length = this.#count(rest, "text");
      const bulk = this.#stream.readExactly(length + 2);
      if (bulk[length] !== 13 || bulk[length + 1] !== 10) throw unreadable();
      return text(bulk.slice(0, length));
    }
    if (kind === "*" && depth < DEEPEST) {
      for (let left = this.#count(rest, "elements"); left > 0; left -= 1) this.#reply(depth + 1);
      return undefined;
    }
    throw unreadable();
  }

  /**
   * @param {string} digits
   * @param {"text" | "elements"} of
   */
  #count(digits, of) {
    // Number() takes signs, spaces and much else as well.
    if (!/^\d{1,7}$/.test(digits) || Number(digits) > this.#left[of]) throw unreadable();
    this.#left[of] -= Number(digits);
    return Number(digits);
  }
}

/** @param {Uint8Array} bytes */
function text(bytes) {
  const decoded = utf8.decode(bytes);
  if (decoded === undefined) throw unreadable();
  return decoded;
}

function unreadable() {
  const asks = "is this port Redis, and is TLS set as the server has it?";
  return new Internal(`the server's answer is no RESP2, or too long: ${asks}`);
}
