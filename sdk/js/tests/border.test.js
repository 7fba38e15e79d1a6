// What passes between a plugin and the host, and what must not.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { inspect } from "node:util";
import * as windlass from "windlass";
import { Credential, Denied, Failure, Internal, MalformedSecret, Secret, Service, Steps, Unauthorized, Unreachable, exported, utf8 } from "windlass";
import * as connection from "windlass/connection";
import * as http from "windlass/http";
import { Scene } from "windlass/testing";
import { BY_CAUSE, EFFECTS } from "../failure.js";
import { play } from "../stage/state.js";

/** The failure that a function throws. */
function thrown(Kind, run) {
  let caught;
  assert.throws(run, (error) => {
    caught = error;
    return error instanceof Kind;
  });
  return caught;
}

const raise = (error) => () => {
  throw error;
};

/** A plugin of two functions. */
function steps(setSecret, testSecret = () => undefined) {
  return class Plugin extends Steps {
    setSecret() {
      return setSecret();
    }

    testSecret() {
      return testSecret();
    }
  };
}

test("every cause and effect is that of the contract, and every cause has a class of its name", async () => {
  const contract = await readFile(new URL("../../../wit/failures.wit", import.meta.url), "utf8");
  const cases = (name) => {
    const [, body] = new RegExp(`enum ${name} \\{(.*?)\\n    \\}`, "s").exec(contract.replace(/\/\/.*/g, ""));
    return body.split(",").map((one) => one.trim()).filter(Boolean);
  };
  assert.deepEqual([...BY_CAUSE.keys()], cases("cause"));
  assert.deepEqual(EFFECTS, cases("effect"));
  for (const [cause, Kind] of BY_CAUSE) {
    const name = cause.replace(/(?:^|-)(.)/g, (_, first) => first.toUpperCase());
    assert.equal(windlass[name], Kind);
  }
});

test("a secret shows its value only through expose", () => {
  for (const secret of [new Secret("canary"), new Secret(utf8.encode("canary"))]) {
    assert.equal(inspect([secret]), "[ [redacted] ]");
    assert.deepEqual([Object.keys(secret), Object.values({ ...secret })], [[], []]);
    for (const use of [String, (it) => `${it}`, (it) => it + "", (it) => +it, JSON.stringify, (it) => JSON.stringify({ it })]) {
      const error = thrown(Internal, () => use(secret));
      assert.ok(!error.message.includes("canary"));
    }
  }
  assert.equal(new Secret("canary").expose(), "canary");
});

test("secrets are equal by value", () => {
  const bytes = (text) => new Secret(utf8.encode(text));
  assert.ok(new Secret("a").equals(new Secret("a")));
  assert.ok(bytes("ab").equals(bytes("ab")));
  for (const [one, other] of [
    [new Secret("a"), new Secret("b")],
    [new Secret("a"), "a"],
    [new Secret("a"), bytes("a")],
    [bytes("ab"), bytes("ac")],
    [bytes("ab"), bytes("abc")],
    [bytes("abc"), bytes("ab")],
  ]) {
    assert.ok(!one.equals(other));
  }
});

test("a field that is missing or empty is named", () => {
  const scene = new Scene({ pending: { empty: "", there: "canary" } });
  const { pending } = scene.versions();
  assert.equal(scene.run(() => pending.get("missing")), undefined);
  assert.equal(scene.run(() => pending.required("there")).expose(), "canary");
  const message = (name) => thrown(MalformedSecret, () => scene.run(() => pending.required(name))).message;
  assert.equal(message("missing"), "the pending version has no field `missing`");
  assert.equal(message("empty"), "the field `empty` of the pending version is empty");
});

test("a secret that is no object is read whole", () => {
  const scene = new Scene({ pending: "plain", current: Uint8Array.of(255), settings: { mode: "x" } });
  const { pending, current, previous } = scene.versions();
  assert.equal(scene.run(() => pending.text()).expose(), "plain");
  assert.deepEqual(scene.run(() => current.bytes()).expose(), Uint8Array.of(255));
  assert.match(thrown(MalformedSecret, () => scene.run(() => current.text())).message, /current version is binary/);
  assert.equal(previous, undefined);
  assert.deepEqual(scene.run(() => [windlass.setting("mode"), windlass.setting("none")]), ["x", undefined]);
});

test("only the pending version exists in testSecret", () => {
  const seen = [];
  class Looks extends Steps {
    setSecret() {
      return "unchanged";
    }

    testSecret(pending) {
      seen.push(pending.get("password").expose(), new Credential("current").get("password"), new Credential("admin").bytes());
    }
  }
  new Scene({ pending: { password: "new" }, current: { password: "now" }, admin: { password: "root" } }).testSecret(Looks);
  assert.deepEqual(seen, ["new", undefined, undefined]);
});

test("what leaves a step is a plain object of the contract and nothing else", () => {
  const errors = [new Unauthorized("no"), new TypeError("canary"), "canary", { cause: "canary" }, null, undefined];
  for (const error of errors) {
    const Plugin = steps(raise(error), raise(error));
    for (const step of ["setSecret", "testSecret"]) {
      const state = { bytes: new Map(), fields: new Map() };
      assert.throws(
        () => play(state, exported(Plugin)[step]),
        (left) => {
          assert.ok(!(left instanceof Error));
          assert.deepEqual(Object.keys(left), ["cause", "effect", "message"]);
          assert.ok(BY_CAUSE.has(left.cause) && EFFECTS.includes(left.effect) && !left.message.includes("canary"));
          return true;
        },
      );
    }
  }
});

test("a failure keeps cause, effect and message on its way out", () => {
  const failure = thrown(Denied, () => new Scene({ pending: {} }).setSecret(steps(raise(new Denied("the reason").changed()))));
  assert.deepEqual([failure.message, failure.effect], ["the reason", "changed"]);
});

test("an exception of JavaScript is internal and says where but not what", () => {
  const failure = thrown(Internal, () => new Scene({ pending: {} }).setSecret(steps(() => JSON.parse("canary"))));
  assert.match(failure.message, /^an unexpected SyntaxError at border\.test\.js:\d+$/);
  assert.equal(failure.effect, "unknown");
});

test("a failure of no cause cannot be made", () => {
  assert.throws(() => new Failure("x"), /throw one of its subclasses/);
});

test("a message without UTF-8 still arrives", () => {
  const failure = thrown(Internal, () => new Scene({ pending: {} }).setSecret(steps(raise(new Internal("a\ud800b😀")))));
  assert.equal(failure.message, "a?b😀");
});

test("a step that returns something else failed", () => {
  for (const value of [undefined, true, "accepted", new Unauthorized("x"), Promise.reject(new Error("x"))]) {
    thrown(Internal, () => new Scene({ pending: {} }).setSecret(steps(() => value)));
  }
  for (const value of [false, true, new Unauthorized("x"), new Secret("canary")]) {
    thrown(Internal, () => new Scene({ pending: {} }).testSecret(steps(() => "changed", () => value)));
  }
});

test("a plugin that lacks a method is not exported", () => {
  class Half extends Service {
    login() {}
  }
  assert.throws(() => exported(Half), /Half does not define change/);
  assert.throws(() => exported(class Empty extends Steps {}), /Empty does not define setSecret and testSecret/);
  for (const nothing of [Object, new Half(), "Half", undefined]) {
    assert.throws(() => exported(nothing), /extends Service or Steps/);
  }
});

/** What a request became, and its answer. */
function ask({ method = "GET", status = 200, answered = "", ...options } = {}) {
  const asked = [];
  const answer = (request) => {
    asked.push(request);
    return new http.Response(status, [["content-type", "text/plain"]], answered);
  };
  const scene = new Scene({ pending: {}, http: { api: answer } });
  const response = scene.run(() => http.request(method, "api", "/x", options));
  return { request: asked[0], response };
}

test("a request carries what its options say", () => {
  const auth = [new Secret("app"), new Secret("pä")];
  const { request } = ask({ method: "PUT", auth, json: { a: 1 }, headers: { "x-a": "b" } });
  assert.deepEqual(request, {
    endpoint: "api",
    method: "PUT",
    path: "/x",
    headers: [["x-a", "b"], ["authorization", "Basic YXBwOnDDpA=="], ["content-type", "application/json"]],
    body: utf8.encode('{"a":1}'),
  });
  assert.deepEqual(ask({ bearer: new Secret("t"), headers: [["a", "b"]] }).request.headers, [["a", "b"], ["authorization", "Bearer t"]]);
  assert.deepEqual(ask({ body: "ä" }).request.body, Uint8Array.of(0xc3, 0xa4));
});

test("an argument of a wrong type is a failure before anything is sent", () => {
  const canary = new Secret("canary");
  for (const options of [{ body: 5 }, { body: null }, { headers: { x: 5 } }, { headers: { x: canary } }, { body: "\ud800" }, { body: canary }]) {
    const sent = [];
    const scene = new Scene({ pending: {}, http: { api: (request) => sent.push(request) } });
    const failure = thrown(Internal, () => scene.run(() => http.put("api", "/", options)));
    assert.deepEqual([sent, failure.message.includes("canary")], [[], false]);
    if (Object.values(options).includes(canary)) assert.match(failure.message, /call expose\(\)/);
  }
});

test("a bad status becomes a failure that does not quote the body", () => {
  const table = [
    [301, "GET", "unsupported", "unchanged"],
    [303, "POST", "unsupported", "unknown"],
    [307, "PUT", "unsupported", "unknown"],
    [404, "PUT", "unsupported", "unchanged"],
    [400, "PUT", "rejected", "unchanged"],
    [401, "PUT", "unauthorized", "unchanged"],
    [403, "PUT", "unauthorized", "unchanged"],
    [409, "PUT", "conflict", "unchanged"],
    [418, "PUT", "internal", "unknown"],
    [429, "PUT", "rate-limited", "unchanged"],
    [503, "GET", "unreachable", "unchanged"],
    [503, "PUT", "unreachable", "unknown"],
  ];
  for (const [status, method, cause, effect] of table) {
    const failure = thrown(Failure, () => ask({ status, method, answered: "canary" }).response.ok());
    assert.deepEqual([failure.cause, failure.effect], [cause, effect], `${status} ${method}`);
    assert.equal(failure.message.split(",")[0], `the endpoint \`api\` answered ${method} with ${status}`);
  }
  assert.equal(ask({ status: 204 }).response.ok().status, 204);
});

test("a body that does not parse is internal and not quoted", () => {
  const { response } = ask({ answered: '{"a":[1]}' });
  assert.deepEqual([response.json(), response.header("Content-Type")], [{ a: [1] }, "text/plain"]);
  for (const answered of ["canary", Uint8Array.of(0xff, 99), "{"]) {
    const failure = thrown(Internal, () => ask({ answered }).response.json());
    assert.ok(!failure.message.includes("canary"));
  }
  assert.equal(inspect(ask({ answered: "canary" }).response), "Response(200)");
});

test("a segment cannot leave its place in the path", () => {
  assert.equal(http.segment("a/b?c#d é%!'()*"), "a%2Fb%3Fc%23d%20%C3%A9%25%21%27%28%29%2A");
  assert.deepEqual([".", "..", "a.b"].map(http.segment), ["%2E", "%2E%2E", "a.b"]);
});

test("text becomes the bytes that node makes of it, and comes back", () => {
  for (const text of ["", "plain", "50 % äöü €", "😀\u0000\u007f\u0080\uffff"]) {
    assert.deepEqual(utf8.encode(text), new TextEncoder().encode(text));
    assert.equal(utf8.decode(utf8.encode(text)), text);
  }
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
    assert.equal(utf8.decode(Uint8Array.from(bytes)), undefined);
  }
});

test("an endpoint that the manifest does not name is denied", () => {
  const scene = new Scene({ pending: {} });
  thrown(Denied, () => scene.run(() => http.get("other", "/")));
  thrown(Denied, () => scene.run(() => connection.open("other")));
});

test("random bytes come in the number that was asked for", () => {
  const scene = new Scene({ pending: {} });
  assert.equal(scene.run(() => windlass.randomBytes(32)).length, 32);
  for (const count of [-1, 1.5, 65_537, "4"]) thrown(Internal, () => scene.run(() => windlass.randomBytes(count)));
});

/** A service that has its answers ready, in these pieces, and what became of it. */
function script(...pieces) {
  const waiting = pieces.map(utf8.encode);
  const service = { sent: "", closed: 0 };
  service.read = (max) => {
    const piece = waiting.shift() ?? new Uint8Array(0);
    if (piece.length > max) waiting.unshift(piece.slice(max));
    return piece.slice(0, max);
  };
  service.write = (data) => (service.sent += utf8.decode(data));
  service.close = () => (service.closed += 1);
  return service;
}

function withStream(service, run) {
  return new Scene({ pending: {}, connections: { line: () => service } }).run(() => run(connection.open("line")));
}

test("a stream is read in whatever pieces it arrives", () => {
  const service = script("on", "e\ntw", "o\r", "\nxyre", "st");
  const read = withStream(service, (stream) => {
    stream.write("hä");
    return [stream.readUntil(), stream.read(3), stream.readUntil("\r\n"), stream.readExactly(2), stream.read(9), stream.read(4)];
  });
  assert.deepEqual(read.map(utf8.decode), ["one\n", "two", "\r\n", "xy", "rest", ""]);
  assert.deepEqual([service.sent, service.closed], ["hä", 1]);
});

test("an answer cut short is unreachable and leaves the effect unknown", () => {
  for (const run of [(stream) => stream.readExactly(4), (stream) => stream.readUntil()]) {
    assert.equal(thrown(Unreachable, () => withStream(script("abc"), run)).effect, "unknown");
  }
});

test("a service that never ends its line is stopped", () => {
  for (const sent of ["x".repeat(10) + "\n", "x".repeat(5000)]) {
    const failure = thrown(Internal, () => withStream(script(sent), (stream) => stream.readUntil("\n", 10)));
    assert.match(failure.message, /more than 10 bytes/);
  }
  assert.equal(withStream(script("x".repeat(9) + "\n"), (stream) => stream.readUntil("\n", 10)).length, 10);
});

test("plain text that came too early is not taken for encrypted", () => {
  const service = script("go ahead\nevil\n");
  const run = (stream) => {
    stream.readUntil();
    stream.startTls();
  };
  thrown(Unreachable, () => withStream(service, run));
  assert.equal(service.closed, 1);
  assert.match(thrown(Denied, () => withStream(script("go ahead\n"), run)).message, /native tests have no TLS/);
});

test("a closed stream says so", () => {
  const service = script();
  const run = (stream) => {
    stream.close();
    stream.close();
    stream.write("x");
  };
  assert.match(thrown(Denied, () => withStream(service, run)).message, /closed already/);
  assert.equal(service.closed, 1);
});

test("streams that a plugin forgets are closed before the next login", () => {
  const opened = [];
  const openAtOnce = [];
  const connect = () => {
    opened.push(script());
    openAtOnce.push(opened.filter(({ closed }) => !closed).length);
    return opened.at(-1);
  };
  class Forgets extends Service {
    login(credential) {
      const stream = connection.open("line");
      if (credential.role !== "previous") throw new Unauthorized("no");
      return stream;
    }

    change(stream) {
      stream.write("still open");
      throw new Unauthorized("may not");
    }
  }
  const scene = new Scene({ pending: { a: "1" }, current: { a: "2" }, previous: { a: "3" }, connections: { line: connect } });
  thrown(Unauthorized, () => scene.setSecret(Forgets));
  assert.deepEqual([openAtOnce, opened.map(({ closed }) => closed)], [[1, 1, 1, 1], [1, 1, 1, 1]]);
});
