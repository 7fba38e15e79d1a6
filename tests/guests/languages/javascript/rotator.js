// World `http-plugin`: changes a password with `PUT /password` and proves it with `GET /login`, both with basic authentication.
//
// Settings: `prefix` is put in front of both paths.
//
// One source for two engines. What this file does about their differences:
// - an option without a value is `null` in QuickJS and `undefined` in StarlingMonkey: compare with `== null`, default with `??`
// - a thrown `Error` is a trap in QuickJS, even one with the fields of a failure: throw plain objects
// - a failure from a host function is caught as an object whose `payload` is the failure (an `Error` in QuickJS only)
// - an argument of the wrong type is a trap in QuickJS that nobody can catch, so a request always has all its fields
// - QuickJS has no TextEncoder, no console and no asynchronous steps

import { field, setting } from "windlass:rotation/secret@0.1.0";
import { send } from "windlass:rotation/http@0.1.0";
import { write as log } from "windlass:rotation/log@0.1.0";
import { generate as random } from "windlass:rotation/random@0.1.0";

export const rotator = {
  setSecret: step(() => {
    const pending = login("pending");
    if (call("GET", "/login", pending, "unchanged")) return "unchanged";
    for (const version of ["current", "admin", "previous"]) {
      if (field(version, "password") == null) continue;
      if (call("PUT", "/password", login(version), "unknown", pending.password)) {
        log("info", `changed the password with the ${version} credential`);
        return "changed";
      }
    }
    throw failure("unauthorized", "unchanged", "the service accepts neither the pending nor any older credential");
  }),

  testSecret: step(() => {
    if (call("GET", "/login", login("pending"), "unchanged")) return "accepted";
    throw failure("unauthorized", "unchanged", "GET /login answered 401");
  }),
};

// Whether the service took the credential. `effect` is what is known after an answer that is neither yes nor no.
function call(method, path, { username, password }, effect, body = "") {
  const headers = [
    ["authorization", `Basic ${btoa(utf8(`${username}:${password}`))}`],
    // Never from Math.random or crypto: their state is frozen at build time.
    ["x-request-id", Array.from(random(8), (byte) => byte.toString(16).padStart(2, "0")).join("")],
  ];
  const bytes = Uint8Array.from(utf8(body), (byte) => byte.charCodeAt(0));
  const { status } = send({ endpoint: "api", method, path: (setting("prefix") ?? "") + path, headers, body: bytes });
  if (status === 401) return false;
  if (status < 200 || status > 299) throw failure("internal", effect, `${method} ${path} answered ${status}`);
  return true;
}

function login(version) {
  const [username, password] = ["username", "password"].map((name) => {
    const text = field(version, name);
    if (!text) throw failure("malformed-secret", "unchanged", `the field \`${name}\` of ${version} is missing or empty`);
    return text;
  });
  return { username, password };
}

function failure(cause, effect, message) {
  return { cause, effect, message };
}

// Runs a step and makes sure that what leaves it is a failure: a TypeError would be a trap without text.
function step(body) {
  return () => {
    try {
      return body();
    } catch (error) {
      const { cause, effect, message } = error?.payload ?? error ?? {};
      throw cause && effect ? failure(cause, effect, message) : failure("internal", "unknown", String(error));
    }
  };
}

// The UTF-8 bytes of the text, one character for each.
function utf8(text) {
  return encodeURIComponent(text).replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}
