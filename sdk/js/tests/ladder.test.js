// The ladder against a service of one user, over every state that a crash, a lost answer or an operator can leave behind.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Internal, NotYetEffective, Rejected, Service, Unauthorized, Unreachable } from "windlass";
import { Scene } from "windlass/testing";

/** A service that accepts these passwords, and a plugin for it that writes down what it does. */
function service(...valid) {
  const fake = {
    valid,
    steps: [],
    downFor: undefined,
    change: (role, next) => void valid.push(next),
    settle: () => undefined,
  };
  fake.Plugin = class Fake extends Service {
    login(credential) {
      if (credential.role === fake.downFor) throw new Unreachable("no answer");
      if (!valid.includes(credential.required("password").expose())) throw new Unauthorized("wrong password");
      fake.steps.push(`login ${credential.role}`);
      return credential.role;
    }

    change(role, next) {
      fake.steps.push(`change by ${role}`);
      return fake.change(role, next.required("password").expose());
    }

    settle(role) {
      fake.steps.push(`settle by ${role}`);
      return fake.settle(role);
    }
  };
  return fake;
}

const scene = (more = {}) => new Scene({ pending: { password: "new" }, current: { password: "now" }, ...more });

function onlyAdmin(fake) {
  return (role, next) => {
    if (role !== "admin") throw new Unauthorized("may not");
    if (next) fake.valid.push(next);
  };
}

/** The failure that a function throws. */
function thrown(Kind, run) {
  let caught;
  assert.throws(run, (error) => {
    caught = error;
    return error instanceof Kind;
  });
  return caught;
}

test("the current credential makes the change", () => {
  const fake = service("now");
  const playing = scene();
  assert.equal(playing.setSecret(fake.Plugin), "changed");
  assert.deepEqual(fake.steps.splice(0), ["login current", "change by current", "login pending", "settle by pending"]);
  assert.equal(playing.setSecret(fake.Plugin), "unchanged");
  assert.deepEqual(fake.steps, ["login pending", "settle by pending"]);
});

test("the previous credential helps when the current one is refused, and before the admin", () => {
  const fake = service("before", "root");
  assert.equal(scene({ previous: { password: "before" }, admin: { password: "root" } }).setSecret(fake.Plugin), "changed");
  assert.deepEqual(fake.steps, ["login previous", "change by previous", "login pending", "settle by pending"]);
});

test("the other of two users is changed by the admin alone", () => {
  for (const [user, ...expected] of [
    ["app_clone", "login admin", "other user: admin", "change by admin"],
    ["app", "login current", "change by current"],
  ]) {
    const fake = service("now", "before", "root");
    class TakingTurns extends fake.Plugin {
      alternating = "username";

      changeOther(role, next, current) {
        assert.deepEqual([next.role, current.role], ["pending", "current"]);
        fake.steps.push(`other user: ${role}`);
        this.change(role, next);
      }
    }
    const playing = new Scene({
      pending: { username: user, password: "new" },
      current: { username: "app", password: "now" },
      previous: { username: "app_clone", password: "before" },
      admin: { password: "root" },
    });
    assert.equal(playing.setSecret(TakingTurns), "changed");
    assert.deepEqual(fake.steps, [...expected, "login pending", "settle by pending"]);
  }
});

test("the admin changes and settles what the user may not", () => {
  const fake = service("now", "root");
  fake.change = fake.settle = onlyAdmin(fake);
  assert.equal(scene({ admin: { password: "root" } }).setSecret(fake.Plugin), "changed");
  assert.deepEqual(fake.steps, [
    ...["login current", "change by current", "login admin", "change by admin"],
    ...["login pending", "settle by pending", "login admin", "settle by admin"],
  ]);
});

test("without an admin a refused settling is the failure of the step", () => {
  const fake = service("now");
  fake.settle = onlyAdmin(fake);
  assert.equal(thrown(Unauthorized, () => scene().setSecret(fake.Plugin)).effect, "changed");
});

test("the host hears of every refused login and of no other", () => {
  const fake = service("before");
  const playing = scene({ previous: { password: "before" } });
  playing.setSecret(fake.Plugin);
  assert.deepEqual(playing.refused, ["pending", "current"]);
  fake.valid.splice(0);
  thrown(Unauthorized, () => playing.testSecret(fake.Plugin));
  assert.deepEqual(playing.refused, ["pending", "current", "pending"]);
});

test("a refusal names what was tried", () => {
  const fake = service("now");
  fake.change = onlyAdmin(fake);
  const { message, effect } = thrown(Unauthorized, () => scene({ previous: { password: "before" } }).setSecret(fake.Plugin));
  const said = "no stored credential can make the change: pending: wrong password; current: may not; previous: wrong password";
  assert.deepEqual([message, effect], [said, "unchanged"]);
});

test("a lost answer is looked into", () => {
  const fake = service("now");
  fake.change = (_, next) => {
    fake.valid.push(next);
    throw new Unreachable("answer lost");
  };
  assert.equal(scene().setSecret(fake.Plugin), "changed");
  const other = service("now");
  other.change = () => {
    throw new Unreachable("answer lost");
  };
  assert.equal(thrown(Unreachable, () => scene().setSecret(other.Plugin)).effect, "unknown");
});

test("an exception of JavaScript in the change is looked into like a lost answer", () => {
  const fake = service("now");
  fake.change = (_, next) => {
    fake.valid.push(next);
    throw new RangeError("canary");
  };
  assert.equal(scene().setSecret(fake.Plugin), "changed");
  const other = service("now");
  other.change = () => {
    throw new RangeError("canary");
  };
  const { message, effect } = thrown(Internal, () => scene().setSecret(other.Plugin));
  assert.match(message, /^an unexpected RangeError at ladder\.test\.js:\d+$/);
  assert.equal(effect, "unknown");
});

test("a change without effect is not taken for one", () => {
  const fake = service("now");
  fake.change = () => undefined;
  assert.equal(thrown(NotYetEffective, () => scene().setSecret(fake.Plugin)).effect, "changed");
});

test("a rejected value ends the step without trying others", () => {
  const fake = service("now", "root");
  fake.change = () => {
    throw new Rejected("too short");
  };
  assert.equal(thrown(Rejected, () => scene({ admin: { password: "root" } }).setSecret(fake.Plugin)).effect, "unchanged");
  assert.deepEqual(fake.steps, ["login current", "change by current"]);
});

test("a login that gets no answer ends the step unchanged", () => {
  for (const role of ["pending", "current"]) {
    const fake = service("now");
    fake.downFor = role;
    assert.equal(thrown(Unreachable, () => scene().setSecret(fake.Plugin)).effect, "unchanged");
    if (role === "pending") assert.equal(thrown(Unreachable, () => scene().testSecret(fake.Plugin)).effect, "unchanged");
  }
});

test("a change that another run made meanwhile is found", () => {
  const fake = service("now");
  fake.change = (_, next) => {
    fake.valid.splice(0, 1, next);
    throw new Unauthorized("the session has ended");
  };
  assert.equal(scene().setSecret(fake.Plugin), "unchanged");
  assert.deepEqual(fake.steps.slice(-2), ["login pending", "settle by pending"]);
});

test("a failure that is returned instead of thrown, and a promise, are no success", () => {
  const fake = service("now");
  fake.change = () => new Rejected("too short");
  assert.match(thrown(Internal, () => scene().setSecret(fake.Plugin)).message, /change returned a failure: throw it/);
  fake.change = async () => {
    throw new Rejected("too late");
  };
  assert.match(thrown(Internal, () => scene().setSecret(fake.Plugin)).message, /change is asynchronous/);
});
