/**
 * Rotates the password of a user of etcd, through the gateway that takes gRPC calls as JSON over HTTP.
 *
 * A login yields a token, which the server forgets when the user's password changes. Only a user with the role `root` may change
 * passwords, its own included. Source: <https://etcd.io/docs/v3.5/op-guide/authentication/rbac/>
 */
import { Rejected, Secret, Service, exported, utf8 } from "windlass";
import { ask, token } from "./gateway.js";

/** The hash uses no more bytes. Source: <https://pkg.go.dev/golang.org/x/crypto/bcrypt#GenerateFromPassword> */
const LONGEST_PASSWORD = 72;

/** @extends {Service<Secret>} */
export class Etcd extends Service {
  /** @param {import("windlass").Credential} credential */
  login(credential) {
    return token(ask("authenticate", credential.required("username"), credential.required("password")));
  }

  /**
   * @param {Secret} session
   * @param {import("windlass").Credential} next
   */
  change(session, next) {
    const [user, password] = [next.required("username"), next.required("password")];
    // Exposed: only its length is looked at.
    if (utf8.encode(password.expose()).length > LONGEST_PASSWORD) {
      throw new Rejected("the new password has more than 72 bytes, which is all that the server's hash uses");
    }
    // A user that is missing is an error here, and none is made.
    ask("user/changepw", user, password, session);
  }
}

export const rotator = exported(Etcd);
