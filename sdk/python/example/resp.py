"""RESP2, as much as the ACL commands need. Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>"""

from __future__ import annotations

from typing import Union

from windlass import Failure, Internal, RateLimited, Rejected, Unauthorized, Unreachable, Unsupported
from windlass.connection import Connection

# All texts of a reply together, in bytes, and all its elements. A user with thousands of key patterns stays below.
MOST_TEXT = 1 << 20
MOST_ELEMENTS = 65_536

Reply = Union[bytes, int, None, "list[Reply]"]


class ErrorReply(Exception):
    """The server refused the command. It keeps no text that is printed: `ACL SETUSER` repeats the password in it."""

    def __init__(self, line: bytes) -> None:
        super().__init__()
        self._line = line

    def code(self) -> bytes:
        return self._line.split(b" ")[0]

    def says(self, part: bytes) -> bool:
        return part in self._line

    def failure(self, command: str) -> Failure:
        """What this answer to `command` means. Source of codes and words: `src/server.c` and `src/acl.c` of Redis 7."""
        code = self.code()
        quoted = code.decode("ascii") if len(code) <= 16 and code.isalpha() and code.isupper() else "an error"
        said = f"{command} was answered with {quoted}"
        if code == b"WRONGPASS":
            return Unauthorized(f"{said}: wrong user name or password, or the user is off")
        if code in (b"NOAUTH", b"NOPERM"):
            return Unauthorized(f"{said}: the user may not do this")
        if code in (b"LOADING", b"MASTERDOWN", b"BUSY", b"CLUSTERDOWN", b"TRYAGAIN"):
            return Unreachable(f"{said}: the server is not ready").unchanged()
        if code == b"READONLY":
            return Unsupported(f"{said}: this is a replica; the secret has to name the primary")
        if self.says(b"max number of clients"):
            return RateLimited(f"{said}: the server has no free connection")
        if command == "ACL SAVE":
            return Unreachable(f"{said}: the server could not write its ACL file, see its own log").changed()
        if self.says(b"unknown command") or self.says(b"nknown subcommand"):
            return Unsupported(f"{said}: ACL users need Redis 6 or later")
        if command == "ACL SETUSER":
            return Rejected(said)
        return Internal(said).unchanged()


class Client:
    """One side of a conversation."""

    def __init__(self, stream: Connection) -> None:
        self._stream = stream

    def call(self, *command: str) -> Reply:
        """Sends a command and waits for its reply. Arguments are bulk strings, so nothing in them is syntax."""
        words = [word.encode() for word in command]
        self._stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        self._text_left, self._elements_left = MOST_TEXT, MOST_ELEMENTS
        return self._reply(depth=0)

    def _reply(self, depth: int) -> Reply:
        line = self._stream.readuntil(b"\r\n")[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise ErrorReply(rest)
        if kind == b":":
            return _number(rest.lstrip(b"-"), 1 << 63)
        if kind in (b"$", b"*") and rest == b"-1":
            return None
        if kind == b"$":
            length = _number(rest, self._text_left)
            self._text_left -= length
            bulk = self._stream.readexactly(length + 2)
            if not bulk.endswith(b"\r\n"):
                raise _unreadable()
            return bulk[:-2]
        if kind == b"*" and depth < 8:
            elements = _number(rest, self._elements_left)
            self._elements_left -= elements
            return [self._reply(depth + 1) for _ in range(elements)]
        raise _unreadable()


def _number(digits: bytes, most: int) -> int:
    # int() takes signs, spaces and underscores as well.
    if not digits.isdigit() or len(digits) > 19 or int(digits) > most:
        raise _unreadable()
    return int(digits)


def _unreadable() -> Internal:
    return Internal("the server's answer is no RESP2, or too long: is this port Redis, and is TLS set as the server has it?")
