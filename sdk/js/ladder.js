/** The order in which credentials are tried, for every `Service`. */
import { Failure, Internal, NotYetEffective, Unauthorized, unexpected } from "./failure.js";
import { ask } from "./host.js";
import { closeAll } from "./streams.js";

/** @typedef {import("./credential.js").Credential} Credential */
/** @typedef {import("./credential.js").Versions} Versions */
/** @typedef {import("./service.js").Service} Service */

/**
 * Whether this run made the change.
 *
 * @param {Service} service
 * @param {Versions} versions
 * @returns {boolean}
 */
export function climb(service, versions) {
  /** @type {string[]} */
  const refusals = [];
  const { pending, current, previous, admin } = versions;
  const first = tried(() => login(service, pending));
  if (!first.failure) {
    settle(service, first.result, versions);
    return false;
  }
  // Nothing was sent but a login, so nothing changed, whatever became of the connection.
  if (first.failure.cause !== "unauthorized") throw first.failure.unchanged();
  refusals.push(`${pending.role}: ${first.failure.message}`);
  // Nobody but an admin changes another user.
  const user = service.alternating;
  // Exposed: compared with each other.
  const other = user !== undefined && pending.get(user)?.expose() !== current.get(user)?.expose();
  for (const credential of other ? [admin] : [current, previous, admin]) {
    if (!credential) continue;
    const entered = tried(() => login(service, credential));
    if (entered.failure) {
      if (entered.failure.cause !== "unauthorized") throw entered.failure.unchanged();
      refusals.push(`${credential.role}: ${entered.failure.message}`);
      continue;
    }
    const { failure } = tried(() =>
      other ? call(service, "changeOther", entered.result, pending, current) : call(service, "change", entered.result, pending),
    );
    if (!failure || failure.effect !== "unchanged") return lookAgain(service, failure, versions);
    if (failure.cause !== "unauthorized") throw failure;
    refusals.push(`${credential.role}: ${failure.message}`);
  }
  // What was refused just now may have been replaced just now, by another run of this step.
  const last = tried(() => login(service, pending));
  if (last.failure) throw new Unauthorized(`no stored credential can make the change: ${refusals.join("; ")}`);
  settle(service, last.result, versions);
  return false;
}

/**
 * Logs in, and tells the host if the service refuses.
 *
 * @param {Service} service
 * @param {Credential} credential
 */
export function login(service, credential) {
  closeAll();
  const { result, failure } = tried(() => call(service, "login", credential));
  if (failure?.cause === "unauthorized") credential.refused();
  if (failure) throw failure;
  return result;
}

/**
 * The change happened, or nobody knows: the pending credential decides.
 *
 * @param {Service} service
 * @param {Failure | undefined} doubt
 * @param {Versions} versions
 */
function lookAgain(service, doubt, versions) {
  const entered = tried(() => login(service, versions.pending));
  if (entered.failure) {
    if (doubt) throw doubt;
    if (entered.failure.cause !== "unauthorized") throw entered.failure.changed();
    const said = "the service took the change but does not accept the new credential yet";
    throw new NotYetEffective(`${said}: ${entered.failure.message}`);
  }
  const { failure } = tried(() => settle(service, entered.result, versions));
  if (failure) throw failure.changed();
  return true;
}

/**
 * @param {Service} service
 * @param {unknown} session
 * @param {Versions} versions
 */
function settle(service, session, versions) {
  const { failure } = tried(() => call(service, "settle", session, versions));
  if (!failure) return;
  if (failure.cause !== "unauthorized" || !versions.admin) throw failure;
  call(service, "settle", login(service, versions.admin), versions);
}

/**
 * Calls a method of the plugin, out of which only failures come.
 *
 * @param {any} plugin
 * @param {string} method
 * @param {unknown[]} given
 */
export function call(plugin, method, ...given) {
  let result;
  try {
    result = ask(() => plugin[method](...given));
  } catch (error) {
    throw error instanceof Failure ? error : unexpected(error);
  }
  if (result instanceof Failure) throw new Internal(`${method} returned a failure: throw it`);
  if (typeof result?.then === "function") {
    // What becomes of it is not known, and nobody waits for it.
    result.then(undefined, () => {});
    throw new Internal(`${method} is asynchronous: there is no event loop in a component`);
  }
  return result;
}

/**
 * What a function returned or which failure it threw, so that the two can be told apart without nesting.
 *
 * @template Result
 * @param {() => Result} run
 * @returns {{ result: Result, failure?: undefined } | { result?: undefined, failure: Failure }}
 */
function tried(run) {
  try {
    return { result: run() };
  } catch (error) {
    return { failure: error instanceof Failure ? error : unexpected(error) };
  }
}
