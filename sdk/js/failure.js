/** How a step says that it did not succeed. */

/**
 * Why something did not succeed. The host decides by the cause what happens next and who has to act.
 *
 * @typedef {"unauthorized" | "unreachable" | "rejected" | "rate-limited" | "not-yet-effective" | "conflict" | "malformed-secret"
 *   | "denied" | "unsupported" | "internal"} Cause
 */

/**
 * What is known about the service afterwards. When in doubt, unknown: a wrong `unchanged` can lock a service out.
 *
 * @typedef {"unchanged" | "changed" | "unknown"} Effect
 */

/** @type {readonly Effect[]} */
export const EFFECTS = ["unchanged", "changed", "unknown"];

/**
 * Why something did not succeed, what it did to the service, and a sentence for people.
 *
 * Throw one of the subclasses; each has the effect that is usual for its cause, and `unchanged()`, `changed()` and `unknown()` correct
 * it.
 *
 * Never put a credential into the message. The host replaces every value it handed out, but it cannot know one that the plugin has
 * transformed.
 */
export class Failure extends Error {
  /** @type {Cause | undefined} */
  static cause;
  /** @type {Effect} */
  static usualEffect = "unknown";

  /**
   * @param {string} message
   * @param {Effect} [effect] what is known about the service, if not what is usual for the cause
   */
  constructor(message, effect) {
    super(message);
    const { cause, usualEffect } = new.target;
    if (!cause) throw new TypeError("Failure has no cause: throw one of its subclasses, such as Unauthorized or Internal");
    /** @type {Cause} */
    this.cause = cause;
    this.effect = effect ?? usualEffect;
    this.name = new.target.name;
  }

  /** This failure, after which the service certainly is as it was. */
  unchanged() {
    this.effect = "unchanged";
    return this;
  }

  /** This failure, after which the service certainly was changed, at least in part. */
  changed() {
    this.effect = "changed";
    return this;
  }

  /** This failure, after which nobody knows whether the service was changed. */
  unknown() {
    this.effect = "unknown";
    return this;
  }
}

/**
 * The service does not accept the credential, or the credential may not do this. Effect: unchanged.
 *
 * Only if the service says so: a test that ends with it is the only proof that a credential does not work.
 */
export class Unauthorized extends Failure {
  /** @type {Cause} */
  static cause = "unauthorized";
  /** @type {Effect} */
  static usualEffect = "unchanged";
}

/** The service could not be reached or did not answer. Effect: unknown. */
export class Unreachable extends Failure {
  /** @type {Cause} */
  static cause = "unreachable";
}

/** The service refuses the new value. Effect: unchanged. */
export class Rejected extends Failure {
  /** @type {Cause} */
  static cause = "rejected";
  /** @type {Effect} */
  static usualEffect = "unchanged";
}

/** The service asks to come back later. Effect: unchanged. */
export class RateLimited extends Failure {
  /** @type {Cause} */
  static cause = "rate-limited";
  /** @type {Effect} */
  static usualEffect = "unchanged";
}

/** The service accepted the change but does not apply it yet. Effect: changed. */
export class NotYetEffective extends Failure {
  /** @type {Cause} */
  static cause = "not-yet-effective";
  /** @type {Effect} */
  static usualEffect = "changed";
}

/** Somebody else is changing the same credential. Effect: unknown. */
export class Conflict extends Failure {
  /** @type {Cause} */
  static cause = "conflict";
}

/** The secret lacks what the plugin needs. Name the field, never its value. Effect: unchanged. */
export class MalformedSecret extends Failure {
  /** @type {Cause} */
  static cause = "malformed-secret";
  /** @type {Effect} */
  static usualEffect = "unchanged";
}

/** Policy refuses what was asked. Usually the host says this. Effect: unchanged. */
export class Denied extends Failure {
  /** @type {Cause} */
  static cause = "denied";
  /** @type {Effect} */
  static usualEffect = "unchanged";
}

/** The service is of a kind or version that this plugin does not handle. Effect: unchanged. */
export class Unsupported extends Failure {
  /** @type {Cause} */
  static cause = "unsupported";
  /** @type {Effect} */
  static usualEffect = "unchanged";
}

/** Something that the plugin cannot explain, such as an answer that does not parse. Effect: unknown. */
export class Internal extends Failure {
  /** @type {Cause} */
  static cause = "internal";
}

const KINDS = [
  Unauthorized,
  Unreachable,
  Rejected,
  RateLimited,
  NotYetEffective,
  Conflict,
  MalformedSecret,
  Denied,
  Unsupported,
  Internal,
];

/** @type {ReadonlyMap<unknown, new (message: string, effect?: Effect) => Failure>} */
export const BY_CAUSE = new Map(KINDS.map((kind) => [kind.cause, kind]));

/**
 * What an exception that is no failure becomes: its type and its place.
 *
 * Its text is left out, because it can quote what it stumbled over: that of `JSON.parse` the text around a mistake.
 *
 * @param {unknown} error
 */
export function unexpected(error) {
  if (!(error instanceof Error)) return new Internal(`the plugin threw a ${typeof error} instead of an Error`);
  return new Internal(`an unexpected ${error.constructor.name}${place(error.stack ?? "")}`);
}

/**
 * The first place in the stack that is neither the SDK's nor the engine's.
 *
 * @param {string} stack
 */
function place(stack) {
  for (const line of stack.split("\n")) {
    const [, file, at] = /([^\s(]+?):(\d+)(?::\d+)?\)?\s*$/.exec(line) ?? [];
    const name = file?.split("/").at(-1);
    if (file && file !== THIS_PACKAGE + name && !file.startsWith("node:")) return ` at ${name}:${at}`;
  }
  return "";
}

/** Where this file lies, as stacks name it: the place where this line runs. */
const THIS_PACKAGE = /([^\s(]*\/)failure\.js:\d/.exec(new Error().stack ?? "")?.[1] ?? "no place";
