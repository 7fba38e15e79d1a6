import assert from "node:assert/strict";
import { test } from "node:test";
import { Unauthorized } from "windlass";
import { Response } from "windlass/http";
import { Scene } from "windlass/testing";
import { TYPE } from "./plugin.js";

const [OLD, NEW] = ["Basic YXBwOm9sZA==", "Basic YXBwOm5ldw=="]; // app:old, app:new

test("a rotation changes the password and a second run finds it done", () => {
  let valid = OLD;
  const answer = (request) => {
    if (new Map(request.headers).get("authorization") !== valid) return new Response(401);
    if (request.method === "PUT") valid = NEW;
    return new Response(200, [], "{}");
  };
  const scene = new Scene({
    pending: { username: "app", password: "new" },
    current: { username: "app", password: "old" },
    http: { api: answer },
  });
  assert.throws(() => scene.testSecret(TYPE), Unauthorized);
  assert.equal(scene.setSecret(TYPE), "changed");
  assert.equal(scene.setSecret(TYPE), "unchanged");
  scene.testSecret(TYPE);
});
