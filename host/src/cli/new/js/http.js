/** Rotates the password of a user of NAME through its HTTP interface. */
import { Service, exported } from "windlass";
import * as http from "windlass/http";

export class TYPE extends Service {
  /** Has to fail if the password is wrong: with Unauthorized, which `ok` makes of status 401. */
  login(credential) {
    const auth = [credential.required("username"), credential.required("password")];
    http.get("api", "/me", { auth }).ok();
    return auth;
  }

  change(auth, next) {
    const [user, password] = [next.required("username"), next.required("password")];
    // Exposed: the service has to know whose password becomes which.
    const path = `/users/${http.segment(user.expose())}/password`;
    http.put("api", path, { auth, json: { password: password.expose() } }).ok();
  }
}

export const rotator = exported(TYPE);
