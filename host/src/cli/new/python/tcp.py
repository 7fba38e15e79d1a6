"""Rotates the password of a user of NAME, which speaks a line of JSON for each question and each answer."""

import json

from windlass import Internal, Rejected, Service, Unauthorized, connection, export


class TYPE(Service):
    def login(self, credential):
        """Has to fail with Unauthorized if the password is wrong."""
        user, password = credential.required("username"), credential.required("password")
        stream = connection.open("service")
        # Exposed: the service compares them.
        ask(stream, do="login", user=user.expose(), password=password.expose())
        return stream

    def change(self, session, new):
        user, password = new.required("username"), new.required("password")
        # Exposed: the service has to know whose password becomes which.
        ask(session, do="change", user=user.expose(), password=password.expose())


def ask(stream, **question):
    stream.write(json.dumps(question).encode() + b"\n")
    # At most 4,096 bytes: a service must not fill the plugin's memory.
    answer = json.loads(stream.readuntil(b"\n", limit=4096)).get("answer")
    if answer == "no":
        raise Unauthorized("the service refuses the user or the password")
    if answer == "invalid":
        raise Rejected("the service does not take the new password")
    if answer != "ok":
        raise Internal("the service answered what it should not")


Rotator = export(TYPE)
