/** The versions of the secret, by the role each plays in the rotation. */
import * as secret from "windlass:rotation/secret@0.1.0";
import { MalformedSecret } from "./failure.js";
import { Secret } from "./hidden.js";
import * as host from "./host.js";

export { Secret };

/**
 * Which version of the secret a credential is: the new one (AWSPENDING), the one in use (AWSCURRENT), the one in use before that
 * (AWSPREVIOUS), or one of another secret that may change this one.
 *
 * @typedef {"pending" | "current" | "previous" | "admin"} Role
 */

/**
 * What exists in `set-secret`.
 *
 * @typedef {object} Versions
 * @property {Credential} pending the new credential
 * @property {Credential} current the credential in use
 * @property {Credential | undefined} previous the one in use before that, if it names the same identity
 * @property {Credential | undefined} admin a credential that may change this one, if the operator bound one
 */

/**
 * One version of the secret. It carries its role, so that two versions cannot be mixed up, and no value: fields are read from the host
 * when they are asked for.
 */
export class Credential {
  /** @param {Role} role */
  constructor(role) {
    this.role = role;
    Object.freeze(this);
  }

  /**
   * A field of the secret's JSON object, or of the defaults in the plugin's manifest. A JSON string answers with its content, any other
   * value with its JSON text; `null` counts as missing.
   *
   * @param {string} name
   * @returns {Secret | undefined}
   */
  get(name) {
    const value = secret.field(this.role, host.text(name, "the name of a field"));
    return value == null ? undefined : new Secret(value);
  }

  /**
   * A field that the plugin cannot do without. `MalformedSecret`, naming the field, if it is missing or empty.
   *
   * @param {string} name
   * @returns {Secret}
   */
  required(name) {
    const value = this.get(name);
    if (!value) throw new MalformedSecret(`the ${this.role} version has no field \`${name}\``);
    // Exposed: only whether there is anything is looked at.
    if (!value.expose()) throw new MalformedSecret(`the field \`${name}\` of the ${this.role} version is empty`);
    return value;
  }

  /** The whole `SecretString`, for secrets that are no JSON object. `MalformedSecret` if the version is binary. */
  text() {
    const value = secret.text(this.role);
    if (value == null) throw new MalformedSecret(`the ${this.role} version is binary, not text`);
    return new Secret(value);
  }

  /**
   * Tells the host that the service refused a login with this version. The ladder of a `Service` does it by itself; a plugin that implements
   * `Steps` does it after each refused login, before it tries the next: the host bounds them, so that no account is locked. Answers with
   * HTTP status 401 are counted without it.
   */
  refused() {
    secret.refused(this.role);
  }

  /**
   * The whole secret as bytes, however it was stored; nothing if the version does not exist.
   *
   * @returns {Secret<Uint8Array> | undefined}
   */
  bytes() {
    const value = secret.raw(this.role);
    return value == null ? undefined : new Secret(Uint8Array.from(value));
  }
}

/**
 * The versions that the host offers now.
 *
 * @returns {Versions}
 */
export function readVersions() {
  /** @param {Role} role */
  const ifPresent = (role) => {
    const credential = new Credential(role);
    return credential.bytes() && credential;
  };
  return {
    pending: new Credential("pending"),
    current: new Credential("current"),
    previous: ifPresent("previous"),
    admin: ifPresent("admin"),
  };
}

/**
 * What the operator set under this name for this secret, else the manifest's default, else nothing. Settings are no secrets.
 *
 * @param {string} name
 * @returns {string | undefined}
 */
export function setting(name) {
  return secret.setting(host.text(name, "the name of a setting")) ?? undefined;
}
