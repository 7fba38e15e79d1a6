"""What the SDK finds natively in place of the generated bindings: the scene that a unit test plays.

Names and types are those of the bindings, and so is the strictness: where a wrong type is a trap in a component, it fails the test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable, Generic, Protocol, TypeVar

E = TypeVar("E")


@dataclass(frozen=True)
class Err(Generic[E], Exception):
    value: E


class Socket(Protocol):
    """What stands in for the service's end of a stream: a socket, or whatever has these three."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


@dataclass
class State:
    """What exists while a test plays."""

    texts: dict[str, bytes] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    services: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    sockets: dict[str, Callable[[], Socket]] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    only_pending: bool = False


_playing: list[State] = []


def play(state: State, run: Callable[[], Any]) -> Any:
    """Runs code of the plugin in a scene."""
    _playing.append(state)
    try:
        return run()
    finally:
        _playing.pop()


def _state() -> State:
    if not _playing:
        raise AssertionError("code of a plugin runs inside a windlass.testing.Scene in native tests")
    return _playing[-1]


def _exactly(kind: type, *values: object) -> None:
    for value in values:
        assert type(value) is kind, f"the bindings take a {kind.__name__} here, not a {type(value).__name__}"


class failures:
    class Cause(Enum):
        UNAUTHORIZED = 0
        UNREACHABLE = 1
        REJECTED = 2
        RATE_LIMITED = 3
        NOT_YET_EFFECTIVE = 4
        CONFLICT = 5
        MALFORMED_SECRET = 6
        DENIED = 7
        UNSUPPORTED = 8
        INTERNAL = 9

    class Effect(Enum):
        UNCHANGED = 0
        CHANGED = 1
        UNKNOWN = 2

    @dataclass
    class Failure:
        cause: failures.Cause
        effect: failures.Effect
        message: str


def _err(cause: failures.Cause, effect: failures.Effect, message: str) -> Err[failures.Failure]:
    return Err(failures.Failure(cause, effect, message))


class rotator:
    class Outcome(Enum):
        CHANGED = 0
        UNCHANGED = 1

    class Verdict(Enum):
        ACCEPTED = 0


class secret:
    class Version(Enum):
        PENDING = 0
        CURRENT = 1
        PREVIOUS = 2
        ADMIN = 3

    @staticmethod
    def field(of: secret.Version, name: str) -> str | None:
        _exactly(str, name)
        return _state().fields.get(_name(of), {}).get(name)

    @staticmethod
    def text(of: secret.Version) -> str | None:
        raw = secret.raw(of)
        try:
            return None if raw is None else raw.decode()
        except UnicodeDecodeError:
            return None

    @staticmethod
    def raw(of: secret.Version) -> bytes | None:
        return _state().texts.get(_name(of))

    @staticmethod
    def setting(name: str) -> str | None:
        _exactly(str, name)
        return _state().settings.get(name)

    @staticmethod
    def refused(of: secret.Version) -> None:
        _exactly(secret.Version, of)
        _state().refused.append(of.name.lower())


def _name(of: secret.Version) -> str:
    _exactly(secret.Version, of)
    hidden = _state().only_pending and of is not secret.Version.PENDING
    return "" if hidden else of.name.lower()


class log:
    class Level(Enum):
        DEBUG = 0
        INFO = 1
        WARN = 2
        ERROR = 3

    @staticmethod
    def write(level: log.Level, line: str) -> None:
        _exactly(str, line)
        _state().lines.append((level.name.lower(), line))


class random:
    @staticmethod
    def generate(count: int) -> bytes:
        return os.urandom(count)


class http:
    @dataclass
    class Request:
        endpoint: str
        method: str
        path: str
        headers: list[tuple[str, str]]
        body: bytes

    @staticmethod
    def send(request: http.Request) -> Any:
        _exactly(str, request.endpoint, request.method, request.path, *(part for line in request.headers for part in line))
        _exactly(bytes, request.body)
        service = _state().services.get(request.endpoint)
        if service is None:
            raise _no_endpoint(request.endpoint)
        return service(request)


class connection:
    class Connection:
        def __init__(self, socket: Socket) -> None:
            self._socket = socket

        @classmethod
        def open(cls, endpoint: str) -> connection.Connection:
            _exactly(str, endpoint)
            connect = _state().sockets.get(endpoint)
            if connect is None:
                raise _no_endpoint(endpoint)
            try:
                return cls(connect())
            except OSError:
                raise _err(failures.Cause.UNREACHABLE, failures.Effect.UNCHANGED, "cannot connect") from None

        def read(self, max: int) -> bytes:
            _exactly(int, max)
            try:
                return self._socket.recv(max)
            except OSError:
                raise _broken() from None

        def write(self, data: bytes) -> None:
            _exactly(bytes, data)
            try:
                self._socket.sendall(data)
            except OSError:
                raise _broken() from None

        def start_tls(self) -> None:
            raise _err(failures.Cause.DENIED, failures.Effect.UNCHANGED, "native tests have no TLS")

        def __exit__(self, *_: object) -> None:
            self._socket.close()


def _no_endpoint(name: str) -> Err[failures.Failure]:
    return _err(failures.Cause.DENIED, failures.Effect.UNCHANGED, f"the manifest has no endpoint `{name}`")


def _broken() -> Err[failures.Failure]:
    return _err(failures.Cause.UNREACHABLE, failures.Effect.UNKNOWN, "the connection broke")
