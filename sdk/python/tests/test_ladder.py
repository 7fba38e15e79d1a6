"""The ladder against a service of one user, over every state that a crash, a lost answer or an operator can leave behind."""

from __future__ import annotations

import unittest
from typing import Any, Callable

from windlass import (
    Credential,
    Effect,
    Internal,
    NotYetEffective,
    Outcome,
    Rejected,
    Role,
    Service,
    Unauthorized,
    Unreachable,
    Versions,
)
from windlass.testing import Scene


class Ladder(unittest.TestCase):
    def setUp(self) -> None:
        self.valid: list[str] = []
        self.steps: list[str] = []
        self.down_for: Role | None = None
        self.change: Callable[[Role, str], Any] = lambda role, new: self.valid.append(new)
        self.settle: Callable[[Role], Any] = lambda role: None
        test = self

        class Fake(Service[Role]):
            def login(self, credential: Credential) -> Role:
                if credential.role is test.down_for:
                    raise Unreachable("no answer")
                if credential.required("password").expose() not in test.valid:
                    raise Unauthorized("wrong password")
                test.steps.append(f"login {credential.role.value}")
                return credential.role

            def change(self, session: Role, new: Credential) -> Any:
                test.steps.append(f"change by {session.value}")
                return test.change(session, new.required("password").expose())

            def settle(self, session: Role, versions: Versions) -> Any:
                test.steps.append(f"settle by {session.value}")
                return test.settle(session)

        self.plugin = Fake

    def scene(self, *valid: str, **more: Any) -> Scene:
        self.valid = list(valid)
        self.steps.clear()
        return Scene(pending={"password": "new"}, current={"password": "now"}, **more)

    def test_the_current_credential_makes_the_change(self) -> None:
        scene = self.scene("now")
        self.assertIs(scene.set_secret(self.plugin), Outcome.CHANGED)
        self.assertEqual(self.steps, ["login current", "change by current", "login pending", "settle by pending"])
        self.steps.clear()
        self.assertIs(scene.set_secret(self.plugin), Outcome.UNCHANGED)
        self.assertEqual(self.steps, ["login pending", "settle by pending"])

    def test_the_previous_credential_helps_when_the_current_one_is_refused(self) -> None:
        scene = self.scene("before", previous={"password": "before"})
        self.assertIs(scene.set_secret(self.plugin), Outcome.CHANGED)
        self.assertEqual(self.steps, ["login previous", "change by previous", "login pending", "settle by pending"])

    def test_the_admin_is_asked_last(self) -> None:
        scene = self.scene("before", "root", previous={"password": "before"}, admin={"password": "root"})
        self.assertIs(scene.set_secret(self.plugin), Outcome.CHANGED)
        self.assertEqual(self.steps[:2], ["login previous", "change by previous"])

    def test_the_other_of_two_users_is_changed_by_the_admin_alone(self) -> None:
        test = self

        class TakingTurns(self.plugin):
            alternating = "username"

            def change_other(self, session: Role, new: Credential, current: Credential) -> None:
                test.assertEqual((new.role, current.role), (Role.PENDING, Role.CURRENT))
                test.steps.append(f"other user: {session.value}")
                self.change(session, new)

        for user, expected in (
            ("app_clone", ["login admin", "other user: admin", "change by admin"]),
            ("app", ["login current", "change by current"]),
        ):
            self.valid, self.steps = ["now", "before", "root"], []
            scene = Scene(
                pending={"username": user, "password": "new"},
                current={"username": "app", "password": "now"},
                previous={"username": "app_clone", "password": "before"},
                admin={"password": "root"},
            )
            self.assertIs(scene.set_secret(TakingTurns), Outcome.CHANGED)
            self.assertEqual(self.steps, [*expected, "login pending", "settle by pending"])

    def only_admin(self, role: Role, new: str = "") -> None:
        if role is not Role.ADMIN:
            raise Unauthorized("may not")
        if new:
            self.valid.append(new)

    def test_the_admin_changes_and_settles_what_the_user_may_not(self) -> None:
        self.change = self.settle = self.only_admin
        scene = self.scene("now", "root", admin={"password": "root"})
        self.assertIs(scene.set_secret(self.plugin), Outcome.CHANGED)
        changing = ["login current", "change by current", "login admin", "change by admin"]
        settling = ["login pending", "settle by pending", "login admin", "settle by admin"]
        self.assertEqual(self.steps, changing + settling)

    def test_without_an_admin_a_refused_settling_is_the_failure_of_the_step(self) -> None:
        self.settle = self.only_admin
        with self.assertRaises(Unauthorized) as caught:
            self.scene("now").set_secret(self.plugin)
        self.assertIs(caught.exception.effect, Effect.CHANGED)

    def test_the_host_hears_of_every_refused_login_and_of_no_other(self) -> None:
        scene = self.scene("before", previous={"password": "before"})
        scene.set_secret(self.plugin)
        self.assertEqual(scene.refused, [Role.PENDING, Role.CURRENT])
        self.valid.clear()
        with self.assertRaises(Unauthorized):
            scene.test_secret(self.plugin)
        self.assertEqual(scene.refused, [Role.PENDING, Role.CURRENT, Role.PENDING])

    def test_a_refusal_names_what_was_tried(self) -> None:
        self.change = self.only_admin
        with self.assertRaises(Unauthorized) as caught:
            self.scene("now", previous={"password": "before"}).set_secret(self.plugin)
        said = "no stored credential can make the change: pending: wrong password; current: may not; previous: wrong password"
        self.assertEqual(caught.exception.message, said)
        self.assertIs(caught.exception.effect, Effect.UNCHANGED)

    def test_a_lost_answer_is_looked_into(self) -> None:
        def lost_after(_: Role, new: str) -> None:
            self.valid.append(new)
            raise Unreachable("answer lost")

        def lost_before(_: Role, new: str) -> None:
            raise Unreachable("answer lost")

        self.change = lost_after
        self.assertIs(self.scene("now").set_secret(self.plugin), Outcome.CHANGED)
        self.change = lost_before
        with self.assertRaises(Unreachable) as caught:
            self.scene("now").set_secret(self.plugin)
        self.assertIs(caught.exception.effect, Effect.UNKNOWN)

    def test_an_exception_of_python_in_the_change_is_looked_into_like_a_lost_answer(self) -> None:
        def breaks_after(_: Role, new: str) -> None:
            self.valid.append(new)
            raise KeyError("canary")

        def breaks_before(_: Role, new: str) -> None:
            raise KeyError("canary")

        self.change = breaks_after
        self.assertIs(self.scene("now").set_secret(self.plugin), Outcome.CHANGED)
        self.change = breaks_before
        with self.assertRaises(Internal) as caught:
            self.scene("now").set_secret(self.plugin)
        self.assertIs(caught.exception.effect, Effect.UNKNOWN)
        self.assertRegex(caught.exception.message, r"^an unexpected KeyError at test_ladder\.py:\d+ in breaks_before$")

    def test_a_change_without_effect_is_not_taken_for_one(self) -> None:
        self.change = lambda role, new: None
        with self.assertRaises(NotYetEffective) as caught:
            self.scene("now").set_secret(self.plugin)
        self.assertIs(caught.exception.effect, Effect.CHANGED)

    def test_a_rejected_value_ends_the_step_without_trying_others(self) -> None:
        def rejects(_: Role, new: str) -> None:
            raise Rejected("too short")

        self.change = rejects
        with self.assertRaises(Rejected) as caught:
            self.scene("now", "root", admin={"password": "root"}).set_secret(self.plugin)
        self.assertIs(caught.exception.effect, Effect.UNCHANGED)
        self.assertEqual(self.steps, ["login current", "change by current"])

    def test_a_login_that_gets_no_answer_ends_the_step_unchanged(self) -> None:
        for role in (Role.PENDING, Role.CURRENT):
            with self.subTest(role=role):
                scene = self.scene("now")
                self.down_for = role
                with self.assertRaises(Unreachable) as caught:
                    scene.set_secret(self.plugin)
                self.assertIs(caught.exception.effect, Effect.UNCHANGED)

    def test_a_change_that_another_run_made_meanwhile_is_found(self) -> None:
        def another_was_faster(_: Role, new: str) -> None:
            self.valid[:] = [new]
            raise Unauthorized("the session has ended")

        self.change = another_was_faster
        self.assertIs(self.scene("now").set_secret(self.plugin), Outcome.UNCHANGED)
        self.assertEqual(self.steps[-2:], ["login pending", "settle by pending"])

    def test_a_failure_that_is_returned_instead_of_raised_is_no_success(self) -> None:
        def returns(_: Role, new: str) -> Rejected:
            return Rejected("too short")

        self.change = returns
        with self.assertRaisesRegex(Internal, "change returned a failure: raise it"):
            self.scene("now").set_secret(self.plugin)

    def test_an_asynchronous_method_is_no_success(self) -> None:
        async def later() -> None:
            pass

        waiting: list[Any] = []

        def asynchronous(_: Role, new: str) -> Any:
            waiting.append(later())
            return waiting[0]

        self.change = asynchronous
        with self.assertRaisesRegex(Internal, "change is asynchronous"):
            self.scene("now").set_secret(self.plugin)
        waiting[0].close()


if __name__ == "__main__":
    unittest.main()
