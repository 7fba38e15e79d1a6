// The plugin against a server of the users `root` and `app`, as etcd 3.4.23 answers: node --import sdk/js/register.js --test sdk/js/example-http
import assert from "node:assert/strict";
import { test } from "node:test";
import { Internal, MalformedSecret, Rejected, Unauthorized, Unreachable, Unsupported } from "windlass";
import { Response } from "windlass/http";
import { Scene } from "windlass/testing";
import { Etcd } from "./plugin.js";

const refused = (status, message) => new Response(status, [], JSON.stringify({ error: message, message, code: 3 }));

function server() {
  const state = { passwords: { root: "admin", app: "old" }, calls: [], next: undefined };
  state.answer = ({ method, path, headers, body }) => {
    const { name, password } = JSON.parse(new TextDecoder().decode(body));
    const call = path.replace("/v3/auth/", "");
    state.calls.push(`${call} ${name}`);
    assert.deepEqual([method, new Map(headers).get("content-type")], ["POST", "application/json"]);
    if (call === "authenticate") {
      if (state.passwords[name] === password) return new Response(200, [], JSON.stringify({ token: `${name}.7` }));
      return refused(400, "etcdserver: authentication failed, invalid user ID or password");
    }
    const prepared = state.next?.(name, password);
    if (prepared) return prepared;
    if (new Map(headers).get("authorization") !== "root.7") return refused(403, "etcdserver: permission denied");
    if (!(name in state.passwords)) return refused(412, "etcdserver: user name not found");
    state.passwords[name] = password;
    return new Response(200, [], "{}");
  };
  return state;
}

const login = (username, password) => ({ username, password });

function scene(state, user, more = { admin: login("root", "admin") }) {
  const versions = { pending: login(user, "new"), current: login(user, state.passwords[user] ?? "old") };
  return new Scene({ ...versions, ...more, http: { gateway: state.answer } });
}

test("the admin changes the password of a user", () => {
  const state = server();
  const playing = scene(state, "app");
  assert.throws(() => playing.testSecret(Etcd), Unauthorized);
  state.calls.splice(0);
  assert.equal(playing.setSecret(Etcd), "changed");
  const tried = ["authenticate app", "authenticate app", "user/changepw app"];
  assert.deepEqual(state.calls, [...tried, "authenticate root", "user/changepw app", "authenticate app"]);
  assert.equal(playing.setSecret(Etcd), "unchanged");
  playing.testSecret(Etcd);
});

test("root changes itself", () => {
  const state = server();
  assert.equal(scene(state, "root", {}).setSecret(Etcd), "changed");
  assert.equal(state.passwords.root, "new");
});

test("without the role root nothing happens and the failure says why", () => {
  const state = server();
  assert.throws(() => scene(state, "app", {}).setSecret(Etcd), (failure) => {
    assert.match(failure.message, /current: the user has no role `root`/);
    return failure instanceof Unauthorized && failure.effect === "unchanged";
  });
  assert.equal(state.passwords.app, "old");
});

test("a user that does not exist is not created", () => {
  const state = server();
  assert.throws(() => scene(state, "ghost").setSecret(Etcd), MalformedSecret);
  assert.deepEqual(Object.keys(state.passwords), ["root", "app"]);
});

test("an answer that was lost is looked into", () => {
  for (const works of [true, false]) {
    const state = server();
    state.next = (name, password) => {
      if (works) state.passwords[name] = password;
      return refused(503, "etcdserver: request timed out");
    };
    const run = () => scene(state, "root", {}).setSecret(Etcd);
    if (works) assert.equal(run(), "changed");
    else assert.throws(run, (failure) => failure instanceof Unreachable && failure.effect === "unknown");
  }
});

test("a password that the hash cannot hold is rejected before anything is changed", () => {
  for (const [password, accepted] of [["x".repeat(72), true], ["x".repeat(73), false], ["ä".repeat(37), false]]) {
    const state = server();
    const playing = scene(state, "root", {});
    playing.put("pending", login("root", password));
    if (accepted) assert.equal(playing.setSecret(Etcd), "changed");
    else assert.throws(() => playing.setSecret(Etcd), Rejected);
    assert.equal(state.calls.includes("user/changepw root"), accepted);
  }
});

test("what is no gateway of etcd is no login", () => {
  const table = [
    [404, "404 page not found\n", Unsupported],
    [200, "<html>canary", Internal],
    [200, "{}", Internal],
    [200, "null", Internal],
    [200, '{"token":"a b"}', Internal],
    [302, "", Unsupported],
    [503, "canary", Unreachable],
    [400, '{"message":"auth: authentication failed, password was given for no password user"}', Unsupported],
  ];
  for (const [status, body, Kind] of table) {
    const playing = new Scene({ pending: login("app", "canary"), http: { gateway: () => new Response(status, [], body) } });
    assert.throws(() => playing.testSecret(Etcd), (failure) => {
      assert.ok(failure instanceof Kind, `${status} ${body}: ${failure}`);
      assert.ok(!failure.message.includes("canary"));
      return failure.effect === "unchanged";
    });
  }
});
