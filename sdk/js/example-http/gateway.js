/** Requests to etcd's gateway, and what its answers mean. Source: <https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/> */
import { Conflict, Internal, MalformedSecret, Secret, Unauthorized, Unsupported } from "windlass";
import * as http from "windlass/http";

/** A token is letters, digits and `-_.`; JSON Web Tokens have a few hundred, simple ones about twenty. */
const TOKEN = /^[!-~]{1,8192}$/;

/**
 * Makes a call that names a user and a password, as whom the token says.
 *
 * @param {"authenticate" | "user/changepw"} call
 * @param {Secret} user
 * @param {Secret} password
 * @param {Secret} [session]
 */
export function ask(call, user, password, session) {
  // Exposed: the server compares the password, or stores its hash.
  const json = { name: user.expose(), password: password.expose() };
  // Exposed: the server knows the session by it. The gateway takes it bare, without `Bearer`.
  /** @type {[string, string][]} */
  const headers = session ? [["authorization", session.expose()]] : [];
  const answer = http.post("gateway", `/v3/auth/${call}`, { headers, json });
  const failure = refusal(call, answer);
  if (failure) throw failure;
  return answer.ok();
}

/**
 * What a refusal in etcd's own words means; nothing for success and for words that are not known here.
 *
 * The status of a refusal depends on the version of the gateway, and one gRPC code covers a wrong password and a broken request, so the
 * sentences decide: they are constants, which clients tell errors apart by. None of them is repeated in a message.
 * Source: <https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go>
 *
 * @param {"authenticate" | "user/changepw"} call
 * @param {http.Response} answer
 */
function refusal(call, answer) {
  switch (sentence(answer)) {
    case "authentication failed, invalid user ID or password":
      return new Unauthorized("the server refused the name or the password");
    // Not `Unauthorized`: no other password would do, and the server takes a change for such a user and ignores it.
    case "authentication failed, password was given for no password user":
      return new Unsupported("the user was created without a password: it has only a client certificate");
    case "authentication is not enabled":
      return new Unsupported("authentication is off: the server asks nobody for a password");
    case "permission denied":
      return new Unauthorized("the user has no role `root`; only that may change passwords");
    case "invalid auth token":
      return new Unauthorized("the server ended the session, as it does when the user's password changes");
    case "revision of auth store is old":
      return new Conflict("users or roles were changed at the same time").unchanged();
    case "user name not found":
      return new MalformedSecret("the server has no user of the name in the field `username`");
    case "user name is empty":
      if (call === "authenticate") return undefined;
      return new Unsupported("the server saw no token: something before it drops the header `Authorization`");
    default:
      return undefined;
  }
}

/** @param {http.Response} answer */
function sentence(answer) {
  try {
    const { message } = answer.json();
    return /^(?:etcdserver|auth): (.*)$/.exec(message)?.[1];
  } catch {
    // No answer of the gateway's: its status decides.
    return undefined;
  }
}

/**
 * The token in the answer to a login.
 *
 * @param {http.Response} answer
 */
export function token(answer) {
  const value = answer.json()?.token;
  if (typeof value === "string" && TOKEN.test(value)) return new Secret(value);
  throw new Internal("the server accepted the login and sent no token");
}
