/** Rotates the password of a user of NAME, which speaks a line of JSON for each question and each answer. */
import { Internal, Rejected, Service, Unauthorized, exported, utf8 } from "windlass";
import * as connection from "windlass/connection";

export class TYPE extends Service {
  /** Has to fail with Unauthorized if the password is wrong. */
  login(credential) {
    const [user, password] = [credential.required("username"), credential.required("password")];
    const stream = connection.open("service");
    // Exposed: the service compares them.
    ask(stream, { do: "login", user: user.expose(), password: password.expose() });
    return stream;
  }

  change(stream, next) {
    const [user, password] = [next.required("username"), next.required("password")];
    // Exposed: the service has to know whose password becomes which.
    ask(stream, { do: "change", user: user.expose(), password: password.expose() });
  }
}

function ask(stream, question) {
  stream.write(`${JSON.stringify(question)}\n`);
  // At most 4,096 bytes: a service must not fill the plugin's memory.
  const { answer } = JSON.parse(utf8.decode(stream.readUntil("\n", 4096)));
  if (answer === "no") throw new Unauthorized("the service refuses the user or the password");
  if (answer === "invalid") throw new Rejected("the service does not take the new password");
  if (answer !== "ok") throw new Internal("the service answered what it should not");
}

export const rotator = exported(TYPE);
