import json
import unittest

from plugin import TYPE
from windlass import Outcome, Unauthorized
from windlass.testing import Scene


class Stream:
    """A connection to a service that knows one user, whose password is `old` until it is changed."""

    valid = "old"

    def __init__(self):
        self.answers = b""

    def sendall(self, data):
        question = json.loads(data)
        changes = question["do"] == "change"
        answer = "ok" if changes or question["password"] == Stream.valid else "no"
        Stream.valid = question["password"] if changes else Stream.valid
        self.answers += json.dumps({"answer": answer}).encode() + b"\n"

    def recv(self, size):
        answer, self.answers = self.answers[:size], self.answers[size:]
        return answer

    def close(self):
        pass


class Rotation(unittest.TestCase):
    def test_a_rotation_changes_the_password_and_a_second_run_finds_it_done(self):
        scene = Scene(
            pending={"username": "app", "password": "new"},
            current={"username": "app", "password": "old"},
            connections={"service": Stream},
        )
        self.assertRaises(Unauthorized, scene.test_secret, TYPE)
        self.assertEqual(scene.set_secret(TYPE), Outcome.CHANGED)
        self.assertEqual(scene.set_secret(TYPE), Outcome.UNCHANGED)
        scene.test_secret(TYPE)


if __name__ == "__main__":
    unittest.main()
