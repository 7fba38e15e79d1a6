import json
import unittest

from plugin import TYPE
from windlass import Outcome, Unauthorized
from windlass.http import Response
from windlass.testing import Scene

OLD, NEW = "Basic YXBwOm9sZA==", "Basic YXBwOm5ldw=="  # app:old, app:new


class Rotation(unittest.TestCase):
    """A service that knows one user, whose password is `old` until it is changed."""

    valid = OLD

    def answer(self, request):
        if dict(request.headers).get("authorization") != self.valid:
            return Response(401, [], b"")
        if (request.method, request.path) == ("PUT", "/users/app/password"):
            self.assertEqual(json.loads(request.body), {"password": "new"})
            self.valid = NEW
        return Response(200, [], b"{}")

    def test_a_rotation_changes_the_password_and_a_second_run_finds_it_done(self):
        scene = Scene(
            pending={"username": "app", "password": "new"},
            current={"username": "app", "password": "old"},
            http={"api": self.answer},
        )
        self.assertRaises(Unauthorized, scene.test_secret, TYPE)
        self.assertEqual(scene.set_secret(TYPE), Outcome.CHANGED)
        self.assertEqual(scene.set_secret(TYPE), Outcome.UNCHANGED)
        scene.test_secret(TYPE)


if __name__ == "__main__":
    unittest.main()
