"""What passes between a plugin and the host, and what must not."""

from __future__ import annotations

import copy
import json
import pathlib
import pickle
import re
import unittest
from typing import Any, Callable, Iterable

import windlass
from windlass import (
    Cause,
    Credential,
    Denied,
    Effect,
    Failure,
    Internal,
    MalformedSecret,
    Outcome,
    Role,
    Secret,
    SecretBytes,
    Steps,
    Unauthorized,
    Unreachable,
    Versions,
    connection,
    export,
    http,
    stage,
)
from windlass.failure import BY_CAUSE
from windlass.testing import Scene

CONTRACT = pathlib.Path(__file__).parents[3] / "wit"


def enum(file: str, name: str) -> list[str]:
    """The cases of an enum of the contract."""
    text = (CONTRACT / file).read_text("utf-8")
    body = re.sub(r"//.*", "", re.search(rf"enum {name} \{{(.*?)\n    \}}", text, re.DOTALL)[1])
    return [case.strip() for case in body.split(",") if case.strip()]


class TheContract(unittest.TestCase):
    def test_every_enum_is_that_of_the_contract(self) -> None:
        self.assertEqual([cause.value for cause in Cause], enum("failures.wit", "cause"))
        self.assertEqual([effect.value for effect in Effect], enum("failures.wit", "effect"))
        self.assertEqual([role.value for role in Role], enum("secret.wit", "version"))
        self.assertEqual([outcome.value for outcome in Outcome], enum("rotator.wit", "outcome"))

    def test_what_tests_run_against_has_the_enums_of_the_contract(self) -> None:
        for kind, file in [
            (stage.failures.Cause, "failures.wit"),
            (stage.failures.Effect, "failures.wit"),
            (stage.secret.Version, "secret.wit"),
            (stage.rotator.Outcome, "rotator.wit"),
            (stage.rotator.Verdict, "rotator.wit"),
            (stage.log.Level, "log.wit"),
        ]:
            names = [case.name.lower().replace("_", "-") for case in kind]
            self.assertEqual(names, enum(file, kind.__name__.lower()))

    def test_every_cause_has_an_exception_of_its_name(self) -> None:
        for cause in Cause:
            name = "".join(part.capitalize() for part in cause.value.split("-"))
            self.assertIs(BY_CAUSE[cause], getattr(windlass, name))


class Secrets(unittest.TestCase):
    def test_a_secret_shows_its_value_only_through_expose(self) -> None:
        for secret in (Secret("canary"), SecretBytes(b"canary")):
            self.assertEqual(repr([secret]), "[[redacted]]")
            uses: list[Callable[[Any], Any]] = [str, "{}".format, lambda it: f"{it}", lambda it: "%s" % it, bytes, pickle.dumps, json.dumps]
            for use in [*uses, copy.copy, lambda it: "a" + it, list, len, vars]:
                with self.assertRaises((Internal, TypeError)) as caught:
                    use(secret)
                self.assertNotIn("canary", str(caught.exception))
        self.assertEqual((Secret("canary").expose(), SecretBytes(b"canary").expose()), ("canary", b"canary"))

    def test_secrets_compare_by_value_and_an_empty_one_is_false(self) -> None:
        self.assertEqual(Secret("a"), Secret("a"))
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertNotEqual(Secret("a"), "a")
        self.assertEqual(len({Secret("a"), Secret("a")}), 1)
        self.assertEqual((bool(Secret("")), bool(Secret("0"))), (False, True))

    def test_a_field_that_is_missing_or_empty_is_named(self) -> None:
        scene = Scene(pending={"empty": "", "there": "canary"})
        pending = scene.versions().pending
        self.assertIsNone(scene.run(lambda: pending.get("missing")))
        self.assertEqual(scene.run(lambda: pending.required("there")).expose(), "canary")
        for name, said in [("missing", "the pending version has no field `missing`"), ("empty", "the field `empty` of the pending version is empty")]:
            with self.assertRaises(MalformedSecret) as caught:
                scene.run(lambda: pending.required(name))
            self.assertEqual((caught.exception.message, caught.exception.effect), (said, Effect.UNCHANGED))

    def test_a_secret_that_is_no_object_is_read_whole(self) -> None:
        scene = Scene(pending="plain", current=b"\xff", settings={"mode": "x"})
        versions = scene.versions()
        self.assertEqual(scene.run(versions.pending.text).expose(), "plain")
        self.assertEqual(scene.run(versions.current.bytes).expose(), b"\xff")
        with self.assertRaisesRegex(MalformedSecret, "the current version is binary, not text"):
            scene.run(versions.current.text)
        self.assertIsNone(versions.previous)
        self.assertEqual(scene.run(lambda: (windlass.setting("mode"), windlass.setting("none"))), ("x", None))

    def test_only_the_pending_version_exists_in_test_secret(self) -> None:
        seen: list[Any] = []

        class Looks(Steps):
            def set_secret(self, versions: Versions) -> Outcome:
                return Outcome.UNCHANGED

            def test_secret(self, pending: Credential) -> None:
                seen.extend([pending.get("password"), Credential(Role.CURRENT).get("password"), Credential(Role.ADMIN).bytes()])

        Scene(pending={"password": "new"}, current={"password": "now"}, admin={"password": "root"}).test_secret(Looks)
        self.assertEqual(seen, [Secret("new"), None, None])


def steps(set_secret: Callable[[], Any], test_secret: Callable[[], Any] = lambda: None) -> type[Steps]:
    """A plugin of two functions."""

    class Plugin(Steps):
        def set_secret(self, versions: Versions) -> Any:
            return set_secret()

        def test_secret(self, pending: Credential) -> Any:
            return test_secret()

    return Plugin


def raises(error: BaseException) -> Callable[[], Any]:
    def run() -> Any:
        raise error

    return run


class Failures(unittest.TestCase):
    def test_what_leaves_a_step_is_an_err_of_the_bindings_and_nothing_else(self) -> None:
        scene = Scene(pending={"password": "new"})
        errors: Iterable[BaseException] = [Unauthorized("no"), ValueError("canary"), SystemExit("canary"), RecursionError(), stage.Err("x")]
        for error in errors:
            for rotator in (export(steps(raises(error)))().set_secret, export(steps(lambda: None, raises(error)))().test_secret):
                with self.assertRaises(stage.Err) as caught:
                    stage.play(scene._state, rotator)
                self.assertIsInstance(caught.exception.value, stage.failures.Failure)
                self.assertNotIn("canary", caught.exception.value.message)

    def test_a_failure_keeps_cause_effect_and_message_on_its_way_out(self) -> None:
        with self.assertRaises(Denied) as caught:
            Scene(pending={}).set_secret(steps(raises(Denied("the reason").changed())))
        self.assertEqual((caught.exception.message, caught.exception.effect), ("the reason", Effect.CHANGED))

    def test_an_exception_of_python_is_internal_and_says_where_but_not_what(self) -> None:
        def reads() -> Any:
            return json.loads("canary")

        with self.assertRaises(Internal) as caught:
            Scene(pending={}).set_secret(steps(reads))
        self.assertRegex(caught.exception.message, r"^an unexpected JSONDecodeError at test_border\.py:\d+ in reads$")
        self.assertIs(caught.exception.effect, Effect.UNKNOWN)

    def test_a_failure_of_no_cause_cannot_be_made(self) -> None:
        with self.assertRaisesRegex(TypeError, "raise one of its subclasses"):
            Failure("x")

    def test_a_message_without_utf_8_still_arrives(self) -> None:
        with self.assertRaisesRegex(Internal, r"^a\?b$"):
            Scene(pending={}).set_secret(steps(raises(Internal("a\ud800b"))))

    def test_a_step_that_returns_something_else_failed(self) -> None:
        for value in (None, True, "changed", Cause.UNAUTHORIZED, Unauthorized("x")):
            with self.assertRaises(Internal):
                Scene(pending={}).set_secret(steps(lambda: value))
        for value in (False, True, Unauthorized("x")):
            with self.assertRaises(Internal):
                Scene(pending={}).test_secret(steps(lambda: None, lambda: value))

    def test_a_plugin_that_lacks_a_method_is_not_exported(self) -> None:
        class Half(windlass.Service[None]):
            def login(self, credential: Credential) -> None:
                pass

        with self.assertRaisesRegex(TypeError, "Half does not define change"):
            export(Half)
        for nothing in (object, "Half"):
            with self.assertRaisesRegex(TypeError, "extends Service or Steps"):
                export(nothing)

    def test_print_becomes_a_line_for_the_log(self) -> None:
        def prints() -> Outcome:
            print("one", 2)
            print("three", end="")
            return Outcome.UNCHANGED

        scene = Scene(pending={})
        scene.set_secret(steps(prints))
        self.assertEqual(scene.lines, ["one 2", "three"])


class Http(unittest.TestCase):
    def ask(self, status: int = 200, answered: bytes = b"", method: str = "GET", **options: Any) -> tuple[Any, http.Response]:
        asked: list[Any] = []

        def answer(request: Any) -> http.Response:
            asked.append(request)
            return http.Response(status, [("content-type", "text/plain")], answered)

        scene = Scene(pending={}, http={"api": answer})
        response = scene.run(lambda: http.request(method, "api", "/x", **options))
        return asked[0], response

    def test_a_request_carries_what_its_options_say(self) -> None:
        request, _ = self.ask(auth=(Secret("app"), Secret("pä")), json={"a": 1}, headers={"x-a": "b"}, method="PUT")
        self.assertEqual((request.endpoint, request.method, request.path, request.body), ("api", "PUT", "/x", b'{"a": 1}'))
        basic = ("authorization", "Basic YXBwOnDDpA==")
        self.assertEqual(request.headers, [("x-a", "b"), basic, ("content-type", "application/json")])
        self.assertEqual(self.ask(bearer=Secret("t"))[0].headers, [("authorization", "Bearer t")])
        self.assertEqual(self.ask(body="ä")[0].body, "ä".encode())

    def test_an_argument_of_a_wrong_type_is_a_failure_before_anything_is_sent(self) -> None:
        for options in ({"body": 5}, {"headers": {"x": 5}}, {"headers": {"x": Secret("canary")}}, {"body": "\ud800"}, {"body": Secret("canary")}):
            sent: list[Any] = []
            scene = Scene(pending={}, http={"api": sent.append})
            with self.subTest(options=options), self.assertRaises(Internal) as caught:
                scene.run(lambda: http.put("api", "/", **options))
            self.assertEqual(sent, [])
        self.assertIn("call expose()", caught.exception.message)

    def test_a_bad_status_becomes_a_failure_that_does_not_quote_the_body(self) -> None:
        table = [
            (301, "GET", Cause.UNSUPPORTED, Effect.UNCHANGED),
            (303, "POST", Cause.UNSUPPORTED, Effect.UNKNOWN),
            (307, "PUT", Cause.UNSUPPORTED, Effect.UNKNOWN),
            (404, "PUT", Cause.UNSUPPORTED, Effect.UNCHANGED),
            (400, "PUT", Cause.REJECTED, Effect.UNCHANGED),
            (401, "PUT", Cause.UNAUTHORIZED, Effect.UNCHANGED),
            (403, "PUT", Cause.UNAUTHORIZED, Effect.UNCHANGED),
            (409, "PUT", Cause.CONFLICT, Effect.UNCHANGED),
            (418, "PUT", Cause.INTERNAL, Effect.UNKNOWN),
            (429, "PUT", Cause.RATE_LIMITED, Effect.UNCHANGED),
            (503, "GET", Cause.UNREACHABLE, Effect.UNCHANGED),
            (503, "PUT", Cause.UNREACHABLE, Effect.UNKNOWN),
        ]
        for status, method, cause, effect in table:
            with self.subTest(status=status, method=method), self.assertRaises(Failure) as caught:
                self.ask(status, b"canary", method)[1].ok()
            self.assertEqual((caught.exception.cause, caught.exception.effect), (cause, effect))
            said = f"the endpoint `api` answered {method} with {status}"
            self.assertEqual(caught.exception.message.split(",")[0], said)
        self.assertEqual(self.ask(204)[1].ok().status, 204)

    def test_a_body_that_does_not_parse_is_internal_and_not_quoted(self) -> None:
        answer = self.ask(answered=b'{"a": [1]}')[1]
        self.assertEqual((answer.json(), answer.header("Content-Type")), ({"a": [1]}, "text/plain"))
        for body in (b"canary", b"\xffcanary", b"[" * 100_000):
            with self.assertRaises(Internal) as caught:
                self.ask(answered=body)[1].json()
            self.assertNotIn("canary", caught.exception.message)
        self.assertEqual(repr(self.ask(answered=b"canary")[1]), "Response(200)")

    def test_a_segment_cannot_leave_its_place_in_the_path(self) -> None:
        self.assertEqual(http.segment("a/b?c#d é%"), "a%2Fb%3Fc%23d%20%C3%A9%25")
        self.assertEqual([http.segment(text) for text in (".", "..", "a.b")], ["%2E", "%2E%2E", "a.b"])

    def test_an_endpoint_that_the_manifest_does_not_name_is_denied(self) -> None:
        with self.assertRaises(Denied):
            Scene(pending={}).run(lambda: http.get("other", "/"))
        with self.assertRaises(Denied):
            Scene(pending={}).run(lambda: connection.open("other"))


class Script:
    """A service that has its answers ready, in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.sent, self.closed = list(pieces), b"", False

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            return b""
        piece, rest = self.pieces[0][:size], self.pieces[0][size:]
        self.pieces[:1] = [rest] if rest else []
        return piece

    def sendall(self, data: bytes) -> None:
        if self.closed:
            raise OSError
        self.sent += data

    def close(self) -> None:
        self.closed = True


class Connections(unittest.TestCase):
    def with_stream(self, run: Callable[[connection.Connection], Any], *pieces: bytes) -> Any:
        self.script = Script(*pieces)
        self.scene = Scene(pending={}, connections={"line": lambda: self.script})
        return self.scene.run(lambda: run(connection.open("line")))

    def test_a_stream_reads_like_a_file_whatever_pieces_arrive(self) -> None:
        def run(stream: connection.Connection) -> list[bytes]:
            with stream:
                stream.write(b"hello")
                return [stream.readline(), stream.read(3), stream.readuntil(b"\r\n"), stream.readexactly(2), stream.read(), stream.read(4)]

        read = self.with_stream(run, b"on", b"e\ntw", b"o\r", b"\nxyre", b"st")
        self.assertEqual(read, [b"one\n", b"two", b"\r\n", b"xy", b"rest", b""])
        self.assertEqual((self.script.sent, self.script.closed), (b"hello", True))

    def test_an_answer_cut_short_is_unreachable_and_leaves_the_effect_unknown(self) -> None:
        for run in (lambda stream: stream.readexactly(4), lambda stream: stream.readuntil(b"\n")):
            with self.assertRaises(Unreachable) as caught:
                self.with_stream(run, b"abc")
            self.assertIs(caught.exception.effect, Effect.UNKNOWN)

    def test_a_service_that_never_ends_its_line_is_stopped(self) -> None:
        with self.assertRaisesRegex(Internal, "more than 10 bytes"):
            self.with_stream(lambda stream: stream.readuntil(b"\n", limit=10), b"x" * 11 + b"\n")
        with self.assertRaisesRegex(Internal, "more than 1 MiB"):
            self.with_stream(lambda stream: stream.read(), b"x" * (2 << 20))

    def test_plain_text_that_came_too_early_is_not_taken_for_encrypted(self) -> None:
        def run(stream: connection.Connection) -> None:
            stream.readuntil(b"\n")
            stream.start_tls()

        with self.assertRaises(Unreachable):
            self.with_stream(run, b"go ahead\nevil\n")
        self.assertTrue(self.script.closed)
        with self.assertRaisesRegex(Denied, "native tests have no TLS"):
            self.with_stream(run, b"go ahead\n")

    def test_a_closed_stream_says_so(self) -> None:
        def run(stream: connection.Connection) -> None:
            stream.close()
            stream.close()
            stream.write(b"x")

        with self.assertRaisesRegex(Denied, "closed already"):
            self.with_stream(run)

    def test_streams_that_a_plugin_forgets_are_closed_before_the_next_login(self) -> None:
        opened: list[Script] = []
        open_at_once: list[int] = []

        def connect() -> Script:
            opened.append(Script())
            open_at_once.append(sum(not script.closed for script in opened))
            return opened[-1]

        class Forgets(windlass.Service[connection.Connection]):
            def login(self, credential: Credential) -> connection.Connection:
                stream = connection.open("line")
                if credential.role is not Role.PREVIOUS:
                    raise Unauthorized("no")
                return stream

            def change(self, session: connection.Connection, new: Credential) -> None:
                session.write(b"still open")
                raise Unauthorized("may not")

        scene = Scene(pending={"a": "1"}, current={"a": "2"}, previous={"a": "3"}, connections={"line": connect})
        with self.assertRaises(Unauthorized):
            scene.set_secret(Forgets)
        self.assertEqual((open_at_once, [script.closed for script in opened]), ([1] * 4, [True] * 4))


if __name__ == "__main__":
    unittest.main()
