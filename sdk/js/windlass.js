/**
 * Write a Windlass plugin in JavaScript: a class, two methods and one line.
 *
 * This is a whole plugin for a service with an HTTP interface, `plugin.js`:
 *
 *     import { Service, exported } from "windlass";
 *     import * as http from "windlass/http";
 *
 *     class Acme extends Service {
 *       login(credential) {
 *         const [user, password] = [credential.required("username"), credential.required("password")];
 *         http.get("api", "/v1/me", { auth: [user, password] }).ok();
 *         return [user, password];
 *       }
 *
 *       change(auth, next) {
 *         http.put("api", "/v1/me/password", { auth, json: { password: next.required("password").expose() } }).ok();
 *       }
 *     }
 *
 *     export const rotator = exported(Acme);
 *
 * Beside it stands a `plugin.toml` that names the fields of the secret and the endpoint `api`; `sdk/js/build` makes a component of
 * the two.
 *
 * `windlass/http` and `windlass/connection` are modules of their own: each works only in a component that talks that way.
 */
/** @typedef {import("./credential.js").Role} Role */
/** @typedef {import("./credential.js").Versions} Versions */
/** @typedef {import("./failure.js").Cause} Cause */
/** @typedef {import("./failure.js").Effect} Effect */

export { Credential, Secret, setting } from "./credential.js";
export { exported } from "./export.js";
export {
  Conflict,
  Denied,
  Failure,
  Internal,
  MalformedSecret,
  NotYetEffective,
  RateLimited,
  Rejected,
  Unauthorized,
  Unreachable,
  Unsupported,
} from "./failure.js";
export * as log from "./log.js";
export { randomBytes } from "./random.js";
export { Service, Steps } from "./service.js";
export * as utf8 from "./utf8.js";
