import assert from "node:assert/strict";
import { test } from "node:test";
import { Unauthorized } from "windlass";
import { Scene } from "windlass/testing";
import { TYPE } from "./plugin.js";

/** A service that knows one user, whose password is `old` until it is changed. */
function service() {
  let valid = "old";
  return () => {
    let answers = new Uint8Array();
    return {
      write(data) {
        const question = JSON.parse(new TextDecoder().decode(data));
        const changes = question.do === "change";
        const answer = changes || question.password === valid ? "ok" : "no";
        valid = changes ? question.password : valid;
        answers = new TextEncoder().encode(`${JSON.stringify({ answer })}\n`);
      },
      read(max) {
        const answer = answers.slice(0, max);
        answers = answers.slice(max);
        return answer;
      },
    };
  };
}

test("a rotation changes the password and a second run finds it done", () => {
  const scene = new Scene({
    pending: { username: "app", password: "new" },
    current: { username: "app", password: "old" },
    connections: { service: service() },
  });
  assert.throws(() => scene.testSecret(TYPE), Unauthorized);
  assert.equal(scene.setSecret(TYPE), "changed");
  assert.equal(scene.setSecret(TYPE), "unchanged");
  scene.testSecret(TYPE);
});
