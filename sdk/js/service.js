/** What a plugin implements. */
import { climb, login } from "./ladder.js";

/** @typedef {import("./credential.js").Credential} Credential */
/** @typedef {import("./credential.js").Versions} Versions */

/**
 * The two steps themselves, for services that do not fit `Service`. Every `Service` is one.
 *
 * @abstract
 */
export class Steps {
  /**
   * Makes the service accept the pending credential. May run again after any failure or kill, and twice at once.
   *
   * Throws a `Failure` with the effect as exact as it is known; when in doubt, unknown.
   *
   * @abstract
   * @param {Versions} versions
   * @returns {"changed" | "unchanged"} whether the service accepts the pending credential now and did not before
   */
  setSecret(versions) {
    throw missing(this, "setSecret", versions);
  }

  /**
   * Proves that the service accepts the pending credential by using it. Changes nothing and returns nothing.
   *
   * Throws a `Failure`; `Unauthorized` is the only proof that the credential does not work.
   *
   * @abstract
   * @param {Credential} pending
   * @returns {void}
   */
  testSecret(pending) {
    throw missing(this, "testSecret", pending);
  }
}

/**
 * A service to which a credential logs in and which changes it when it is logged in: nearly every one.
 *
 * The SDK makes both steps of it. `test-secret` is a login. `set-secret` is a ladder:
 *
 * 1. If the pending credential logs in, an earlier run did the work: `settle`, outcome unchanged.
 * 2. Else the first of current, previous and admin that logs in and may do it makes the change; only admin where two users take turns
 *    (`alternating`).
 * 3. After a change that succeeded, or whose answer was lost, the pending credential is tried again before anything is reported; and
 *    likewise if none could make the change, because another run of the step may have made it meanwhile.
 *
 * A failure other than `Unauthorized` ends the step where it happens. An exception that is no `Failure` counts as `Internal`, and in
 * `change` as an answer that was lost. Streams that a session opened are closed before the next login.
 *
 * @abstract
 * @template [Session=any]
 */
export class Service extends Steps {
  /**
   * The field of the secret that names the user, if the plugin can change another user than that of the current credential. The manifest
   * names the same field in `secret.alternating`; where the operator has two users take turns, the pending credential names the other
   * one.
   *
   * @type {string | undefined}
   */
  alternating = undefined;

  /**
   * Proves that the service accepts this credential by using it. Changes nothing. Called several times in a step.
   *
   * Returns what `change` and `settle` work with: an open connection, a token, or the credential itself.
   *
   * Throws `Unauthorized` if, and only if, the service says that the credential is wrong; the ladder goes on to the next one. A login
   * that cannot fail is found out by the host, which tries a corrupted credential.
   *
   * @abstract
   * @param {Credential} credential
   * @returns {Session}
   */
  login(credential) {
    throw missing(this, "login", credential);
  }

  /**
   * Makes the service accept `next`, which is the pending credential. The session belongs to the current, previous or admin credential.
   * Keeps the current credential valid where the service can hold two.
   *
   * Throws `Unauthorized` with effect unchanged if the session lacks the right; the ladder goes on to the next credential. Where the
   * change may have happened, say so by the effect: the ladder looks before it reports.
   *
   * @abstract
   * @param {Session} session
   * @param {Credential} next
   * @returns {void}
   */
  change(session, next) {
    throw missing(this, "change", session, next);
  }

  /**
   * Makes the service accept `next`, which names another user than `current`, and makes that user if there is none. The session belongs
   * to the admin credential. Called instead of `change` where two users take turns. The user has to get what the one of `current` may
   * do before anybody can log in with `next`, or in `settle`. Does what `change` does unless overridden.
   *
   * Throws as `change` does.
   *
   * @param {Session} session
   * @param {Credential} next
   * @param {Credential} current
   * @returns {void}
   */
  changeOther(session, next, current) {
    void current;
    this.change(session, next);
  }

  /**
   * Finishes what goes with a change: persists it, retires the previous credential. Runs in every `set-secret` once the pending
   * credential logs in, also when an earlier run made the change and then crashed, so it must be repeatable. Does nothing unless
   * overridden.
   *
   * The session belongs to the pending credential. If that is not allowed to settle (`Unauthorized`) and there is an admin credential,
   * it is called again with a session of that one.
   *
   * @param {Session} session
   * @param {Versions} versions
   * @returns {void}
   */
  settle(session, versions) {
    void [session, versions];
  }

  /**
   * @param {Versions} versions
   * @returns {"changed" | "unchanged"}
   */
  setSecret(versions) {
    return climb(this, versions) ? "changed" : "unchanged";
  }

  /** @param {Credential} pending */
  testSecret(pending) {
    try {
      login(this, pending);
    } catch (failure) {
      throw /** @type {import("./failure.js").Failure} */ (failure).unchanged();
    }
  }
}

/**
 * @param {object} plugin
 * @param {string} method
 * @param {unknown[]} _given
 */
function missing(plugin, method, ..._given) {
  return new TypeError(`${plugin.constructor.name} does not define ${method}`);
}
