"""The plugin against a server of one user, as Redis 7 answers: python3 -m unittest discover sdk/python/example, with
PYTHONPATH=sdk/python.
"""

from __future__ import annotations

import unittest

from plugin import Redis
from windlass import Effect, Internal, MalformedSecret, Outcome, Rejected, Unauthorized, Unreachable
from windlass.testing import Scene


class Server:
    """What one connection after another talks to."""

    def __init__(self, *passwords: str) -> None:
        self.passwords = set(passwords)
        self.refuses: dict[str, bytes] = {}
        self.mute_after: str | None = None
        self.calls: list[str] = []

    def connect(self) -> Connection:
        return Connection(self)

    def answer(self, command: list[str]) -> bytes:
        name = " ".join(command[:2] if command[0] == "ACL" else command[:1])
        self.calls.append(name)
        if name in self.refuses:
            return self.refuses[name]
        if name == "AUTH":
            if self.mute_after == name:
                return b""
            return b"+OK\r\n" if command[2] in self.passwords else b"-WRONGPASS invalid username-password pair\r\n"
        if name == "ACL WHOAMI":
            return b"$3\r\napp\r\n"
        if name == "ACL SETUSER" and command[3][0] == ">":
            self.passwords.add(command[3][1:])
        if name == "ACL SETUSER" and command[3][0] == "<":
            if command[3][1:] not in self.passwords:
                return b"-ERR Error in ACL SETUSER modifier '<x': The password you are trying to remove from the user does not exist\r\n"
            self.passwords.remove(command[3][1:])
        return b"" if name == self.mute_after else b"+OK\r\n"


class Connection:
    def __init__(self, server: Server) -> None:
        self.server, self.answers = server, b""

    def sendall(self, data: bytes) -> None:
        words = data.split(b"\r\n")[2::2]
        self.answers += self.server.answer([word.decode() for word in words])

    def recv(self, size: int) -> bytes:
        # In pieces, as a network delivers.
        piece, self.answers = self.answers[:3], self.answers[3:]
        return piece

    def close(self) -> None:
        pass


def scene(server: Server, **more: dict[str, str]) -> Scene:
    def login(password: str) -> dict[str, str]:
        return {"username": "app", "password": password}

    versions = {"pending": login("new"), "current": login("now"), "previous": login("before")} | more
    return Scene(**versions, connections={"redis": server.connect})


class Plugin(unittest.TestCase):
    def test_a_rotation_adds_the_new_password_keeps_the_current_and_retires_the_previous(self) -> None:
        server = Server("now", "before")
        self.assertIs(scene(server).set_secret(Redis), Outcome.CHANGED)
        self.assertEqual(server.passwords, {"now", "new"})
        self.assertEqual(server.calls[-1], "ACL SAVE")
        self.assertIs(scene(server).set_secret(Redis), Outcome.UNCHANGED)
        scene(server).test_secret(Redis)

    def test_a_refused_login_is_unauthorized(self) -> None:
        with self.assertRaises(Unauthorized):
            scene(Server("now")).test_secret(Redis)

    def test_an_answer_that_was_lost_is_looked_into(self) -> None:
        server = Server("now")
        server.mute_after = "ACL SETUSER"
        self.assertIs(scene(server).set_secret(Redis), Outcome.CHANGED)
        server = Server("now")
        server.mute_after = "AUTH"
        with self.assertRaises(Unreachable) as caught:
            scene(server, pending={"username": "app", "password": "now"}).set_secret(Redis)
        self.assertIs(caught.exception.effect, Effect.UNCHANGED)

    def test_a_user_that_does_not_exist_is_not_created(self) -> None:
        server = Server("root")
        server.refuses = {"ACL GETUSER": b"*-1\r\n", "ACL WHOAMI": b"-NOPERM this user has no permissions\r\n"}
        with self.assertRaises(MalformedSecret):
            scene(server, admin={"username": "root", "password": "root"}).set_secret(Redis)
        self.assertNotIn("ACL SETUSER", server.calls)

    def test_no_word_of_the_server_is_repeated(self) -> None:
        server = Server("now")
        server.refuses = {"ACL SETUSER": b"-ERR Error in ACL SETUSER modifier '>canary': Syntax error\r\n"}
        with self.assertRaises(Rejected) as caught:
            scene(server).set_secret(Redis)
        self.assertNotIn("canary", str(caught.exception))

    def test_a_server_without_an_acl_file_is_a_warning(self) -> None:
        server = Server("now")
        server.refuses = {"ACL SAVE": b"-ERR This Redis instance is not configured to use an ACL file. canary\r\n"}
        playing = scene(server)
        self.assertIs(playing.set_secret(Redis), Outcome.CHANGED)
        self.assertEqual(len(playing.lines), 1)
        self.assertIn("forgets the new password", playing.lines[0])

    def test_what_is_no_redis_is_internal(self) -> None:
        for answer in (b"HTTP/1.1 400\r\n", b"*65537\r\n", b"$1048577\r\n", b"$-2\r\n", b"$1_0\r\n", b"*1\r\n" * 20, b"$1\r\nabc", b"+" + b"x" * 5000):
            server = Server("now")
            server.refuses = {"AUTH": answer}
            with self.subTest(answer=answer[:20]), self.assertRaises(Internal):
                scene(server).test_secret(Redis)


if __name__ == "__main__":
    unittest.main()
