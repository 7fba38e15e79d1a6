/**
 * Rotates the password of an ACL user of Redis 6 or later.
 *
 * A user can have several passwords: the new one is added beside the current one, and the previous one is retired once the new one logs
 * in. Source: <https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>
 */
import { Internal, MalformedSecret, Service, exported, log } from "windlass";
import * as connection from "windlass/connection";
import { Client, ErrorReply } from "./resp.js";

/** @typedef {import("windlass").Credential} Credential */
/** @typedef {import("windlass").Secret} Secret */
/** @typedef {{ client: Client, user: Secret }} Session a connection that is logged in */

/** @extends {Service<Session>} */
export class Redis extends Service {
  /**
   * @param {Credential} credential
   * @returns {Session}
   */
  login(credential) {
    const [user, password] = [credential.required("username"), credential.required("password")];
    const client = new Client(connection.open("redis"));
    // Exposed: the server compares them.
    understood("AUTH", () => client.call("AUTH", user.expose(), password.expose()));
    // The server's own word for whose session this is. A user need not have the right to ask: AUTH has succeeded.
    const name = understood("ACL WHOAMI", () => client.call("ACL", "WHOAMI"), (error) => error.code === "NOPERM");
    // Exposed: compared with the server's answer.
    if (name !== tolerated && name !== user.expose()) {
      throw new Internal("the server logged the session in as another user").unchanged();
    }
    return { client, user };
  }

  /**
   * @param {Session} session
   * @param {Credential} next
   */
  change({ client, user: own }, next) {
    const [user, password] = [next.required("username"), next.required("password")];
    // SETUSER creates a user that does not exist, so somebody else has to make sure that this one does.
    // Exposed: the server has to know which user.
    if (!user.equals(own) && understood("ACL GETUSER", () => client.call("ACL", "GETUSER", user.expose())) === null) {
      throw new MalformedSecret("the server has no user of the name in the field `username`");
    }
    // Exposed: the server stores its hash.
    understood("ACL SETUSER", () => client.call("ACL", "SETUSER", user.expose(), `>${password.expose()}`));
  }

  /**
   * @param {Session} session
   * @param {import("windlass").Versions} versions
   */
  settle({ client }, { pending, current, previous }) {
    const user = pending.required("username");
    const retired = previous?.get("password");
    if (retired && ![pending, current].some((version) => version.get("password")?.equals(retired))) {
      // Exposed: the server looks for its hash. It is gone if an earlier run retired it.
      const retire = () => client.call("ACL", "SETUSER", user.expose(), `<${retired.expose()}`);
      understood("ACL SETUSER", retire, (error) => error.says("you are trying to remove from the user does not exist"));
    }
    const saved = understood("ACL SAVE", () => client.call("ACL", "SAVE"), (error) => error.says("not configured to use an ACL file"));
    if (saved === tolerated) log.warn("the server keeps its users in no ACL file: it forgets the new password when it restarts");
  }
}

/** What a command returns that the server refused for a reason that does not matter. */
const tolerated = Symbol("tolerated");

/**
 * Runs a command, and makes a failure of a refusal unless that may be.
 *
 * @param {string} command
 * @param {() => string | null | undefined} run
 * @param {(error: ErrorReply) => boolean} [mayBe]
 */
function understood(command, run, mayBe = () => false) {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ErrorReply)) throw error;
    if (mayBe(error)) return tolerated;
    throw error.failure(command);
  }
}

export const rotator = exported(Redis);
