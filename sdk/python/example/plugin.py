"""Rotates the password of an ACL user of Redis 6 or later.

A user can have several passwords: the new one is added beside the current one, and the previous one is retired once the new one logs
in. Source: <https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>
"""

from __future__ import annotations

from dataclasses import dataclass

from resp import Client, ErrorReply
from windlass import Credential, Internal, MalformedSecret, Secret, Service, Versions, connection, export, log


@dataclass
class Session:
    """A connection that is logged in."""

    client: Client
    user: Secret

    def modify(self, user: Secret, how: str, password: Secret) -> None:
        """Adds (`>`) or removes (`<`) a password of the user."""
        # Exposed: the server stores the hash of the password, or looks for it.
        self.client.call("ACL", "SETUSER", user.expose(), how + password.expose())


class Redis(Service[Session]):
    def login(self, credential: Credential) -> Session:
        user, password = credential.required("username"), credential.required("password")
        client = Client(connection.open("redis"))
        try:
            # Exposed: the server compares them.
            client.call("AUTH", user.expose(), password.expose())
        except ErrorReply as error:
            raise error.failure("AUTH") from None
        # The server's own word for whose session this is. A user need not have the right to ask: AUTH has succeeded.
        try:
            name = client.call("ACL", "WHOAMI")
        except ErrorReply as error:
            if error.code() != b"NOPERM":
                raise error.failure("ACL WHOAMI") from None
        else:
            # Exposed: compared with the server's answer.
            if name != user.expose().encode():
                raise Internal("the server logged the session in as another user").unchanged()
        return Session(client, user)

    def change(self, session: Session, new: Credential) -> None:
        user, password = new.required("username"), new.required("password")
        # SETUSER creates a user that does not exist, so somebody else has to make sure that this one does.
        if user != session.user:
            try:
                # Exposed: the server has to know which user.
                known = session.client.call("ACL", "GETUSER", user.expose())
            except ErrorReply as error:
                raise error.failure("ACL GETUSER") from None
            if known is None:
                raise MalformedSecret("the server has no user of the name in the field `username`")
        try:
            session.modify(user, ">", password)
        except ErrorReply as error:
            raise error.failure("ACL SETUSER") from None

    def settle(self, session: Session, versions: Versions) -> None:
        user = versions.pending.required("username")
        in_use = (versions.pending.get("password"), versions.current.get("password"))
        retired = versions.previous.get("password") if versions.previous else None
        if retired and retired not in in_use:
            try:
                session.modify(user, "<", retired)
            except ErrorReply as error:
                # Otherwise retired by an earlier run.
                if not error.says(b"you are trying to remove from the user does not exist"):
                    raise error.failure("ACL SETUSER") from None
        try:
            session.client.call("ACL", "SAVE")
        except ErrorReply as error:
            if not error.says(b"not configured to use an ACL file"):
                raise error.failure("ACL SAVE") from None
            log.warn("the server keeps its users in no ACL file: it forgets the new password when it restarts")


Rotator = export(Redis)
