// The plugin against a server of one user, as Redis 7 answers: node --import sdk/js/register.js --test sdk/js/example
import assert from "node:assert/strict";
import { test } from "node:test";
import { Internal, MalformedSecret, Rejected, Unauthorized, Unreachable, utf8 } from "windlass";
import { Scene } from "windlass/testing";
import { Redis } from "./plugin.js";

/** A server, and what one connection after another talks to. */
function server(...passwords) {
  const state = { passwords: new Set(passwords), refuses: {}, muteAfter: undefined, calls: [] };
  const answer = (command) => {
    const name = command.slice(0, command[0] === "ACL" ? 2 : 1).join(" ");
    state.calls.push(name);
    if (name in state.refuses) return state.refuses[name];
    if (name === "AUTH") {
      if (state.muteAfter === name) return "";
      return state.passwords.has(command[2]) ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n";
    }
    if (name === "ACL WHOAMI") return "$3\r\napp\r\n";
    const [how, password] = [command[3]?.[0], command[3]?.slice(1)];
    if (how === ">") state.passwords.add(password);
    if (how === "<" && !state.passwords.delete(password)) {
      return "-ERR Error in ACL SETUSER modifier '<x': The password you are trying to remove from the user does not exist\r\n";
    }
    return state.muteAfter === name ? "" : "+OK\r\n";
  };
  state.connect = () => {
    let answers = new Uint8Array(0);
    return {
      write(data) {
        const words = utf8.decode(data).split("\r\n").filter((_, at) => at % 2 === 0 && at > 0);
        answers = Uint8Array.of(...answers, ...utf8.encode(answer(words.filter((word) => word))));
      },
      // In pieces, as a network delivers.
      read() {
        const piece = answers.slice(0, 3);
        answers = answers.slice(3);
        return piece;
      },
    };
  };
  return state;
}

const login = (password, username = "app") => ({ username, password });

function scene(state, more = {}) {
  const versions = { pending: login("new"), current: login("now"), previous: login("before") };
  return new Scene({ ...versions, ...more, connections: { redis: state.connect } });
}

test("a rotation adds the new password, keeps the current and retires the previous", () => {
  const state = server("now", "before");
  assert.equal(scene(state).setSecret(Redis), "changed");
  assert.deepEqual([...state.passwords], ["now", "new"]);
  assert.equal(state.calls.at(-1), "ACL SAVE");
  assert.equal(scene(state).setSecret(Redis), "unchanged");
  scene(state).testSecret(Redis);
});

test("a refused login is unauthorized", () => {
  assert.throws(() => scene(server("now")).testSecret(Redis), Unauthorized);
});

test("an answer that was lost is looked into", () => {
  const state = server("now");
  state.muteAfter = "ACL SETUSER";
  assert.equal(scene(state).setSecret(Redis), "changed");
  state.muteAfter = "AUTH";
  assert.throws(() => scene(state).setSecret(Redis), (failure) => failure instanceof Unreachable && failure.effect === "unchanged");
});

test("a user that does not exist is not created", () => {
  const state = server("root");
  state.refuses = { "ACL GETUSER": "*-1\r\n", "ACL WHOAMI": "-NOPERM this user has no permissions\r\n" };
  assert.throws(() => scene(state, { admin: login("root", "root") }).setSecret(Redis), MalformedSecret);
  assert.ok(!state.calls.includes("ACL SETUSER"));
});

test("no word of the server is repeated", () => {
  const state = server("now");
  state.refuses = { "ACL SETUSER": "-ERR Error in ACL SETUSER modifier '>canary': Syntax error\r\n" };
  assert.throws(() => scene(state).setSecret(Redis), (failure) => failure instanceof Rejected && !failure.message.includes("canary"));
});

test("a server without an ACL file is a warning", () => {
  const state = server("now");
  state.refuses = { "ACL SAVE": "-ERR This Redis instance is not configured to use an ACL file. canary\r\n" };
  const playing = scene(state);
  assert.equal(playing.setSecret(Redis), "changed");
  assert.deepEqual(playing.lines.map((line) => line.includes("forgets the new password")), [true]);
});

test("what is no Redis is internal", () => {
  const long = `+${"x".repeat(5000)}`;
  for (const answer of ["HTTP/1.1 400\r\n", "*65537\r\n", "$1048577\r\n", "$-2\r\n", "$1_0\r\n", "*1\r\n".repeat(20), "$1\r\nabc", long]) {
    const state = server("now");
    state.refuses = { AUTH: answer };
    assert.throws(() => scene(state).testSecret(Redis), Internal);
  }
});
