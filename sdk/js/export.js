/** What makes a component of a plugin. */
import { Credential, readVersions } from "./credential.js";
import { Failure, Internal, unexpected } from "./failure.js";
import { described, failureForHost } from "./host.js";
import { call } from "./ladder.js";
import { Service, Steps } from "./service.js";
import { closeAll } from "./streams.js";

/**
 * What the component exports: `export const rotator = exported(Acme);`, once, in `plugin.js`, under exactly that name.
 *
 * @param {new () => Steps} Plugin a class that extends `Service` or `Steps`
 */
export function exported(Plugin) {
  if (typeof Plugin !== "function" || !(Plugin.prototype instanceof Steps)) {
    throw new TypeError("exported() takes a class that extends Service or Steps, and no instance of it");
  }
  // Thrown while the component is built, where it is read, and not in the first rotation.
  const [base, methods] =
    Plugin.prototype instanceof Service ? [Service, ["login", "change"]] : [Steps, ["setSecret", "testSecret"]];
  const missing = methods.filter((name) => Reflect.get(Plugin.prototype, name) === Reflect.get(base.prototype, name));
  if (missing.length) throw new TypeError(`${Plugin.name} does not define ${missing.join(" and ")}`);
  return {
    setSecret: () =>
      step(() => {
        const outcome = call(new Plugin(), "setSecret", readVersions());
        if (outcome === "changed" || outcome === "unchanged") return outcome;
        throw new Internal(`setSecret returned ${described(outcome)}, not "changed" or "unchanged"`);
      }),
    testSecret: () =>
      step(() => {
        const result = call(new Plugin(), "testSecret", new Credential("pending"));
        if (result === undefined) return "accepted";
        throw new Internal(`testSecret returned ${described(result)}: it returns nothing, and throws if the test fails`);
      }),
  };
}

/**
 * Runs a step, out of which comes only what the contract knows: anything else is a trap, and its text goes nowhere.
 *
 * @template Result
 * @param {() => Result} run
 */
function step(run) {
  try {
    return run();
  } catch (error) {
    throw failureForHost(error instanceof Failure ? error : unexpected(error));
  } finally {
    closeAll();
  }
}
