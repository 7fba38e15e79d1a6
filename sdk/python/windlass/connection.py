"""Byte streams to the endpoints of the plugin's manifest."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from . import host, streams
from .failure import Denied, Internal, Unreachable

if sys.platform == "wasi":
    from wit_world.imports import connection as _bindings
else:
    from .stage import connection as _bindings

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MOST_AT_ONCE = 65_536
_MOST_WITHOUT_A_SIZE = 1 << 20


def open(endpoint: str) -> Connection:
    """Opens a stream to the endpoint of this name.

    It is encrypted from the first byte unless the manifest says `tls = "start-tls"`, or `"optional"` and the secret asks for plain
    text.

    Raises `Denied` (no such endpoint, or policy) or `Unreachable` (resolve, connect, TLS), always with effect unchanged.
    """
    return Connection(host.ask(_bindings.Connection.open, host.text(endpoint, "the endpoint")))


class Connection(io.BufferedIOBase):
    """An open byte stream, which is a binary file: `with`, `read`, `readline`, `write`, `close`. What is written is sent at once.

    As with a file, the end of the stream is an empty or short read. `readexactly` and `readuntil`, named after those of
    `asyncio.StreamReader`, raise there, and bound what a service may send.

    Raises `Unreachable` with effect unknown if the stream breaks or nothing arrives in time.
    """

    def __init__(self, stream: _bindings.Connection) -> None:
        self._stream: _bindings.Connection | None = stream
        self._waiting = b""
        streams.opened(self)

    def start_tls(self) -> None:
        """Encrypts the stream from here on, once, after the protocol's negotiation in plain text. Do it before a credential is sent.

        Raises `Denied` if the endpoint is not declared `tls = "start-tls"` or the stream is encrypted already; `Unreachable` if the
        handshake fails. After that the stream is closed.
        """
        # Whoever sits in between can send plain text in advance, which would then be taken for the service's encrypted answer.
        if self._waiting:
            self.close()
            raise Unreachable("the service sent more than its answer before the stream was encrypted")
        host.ask(self._open().start_tls)

    def readexactly(self, size: int) -> bytes:
        """`size` bytes. `Unreachable` with effect unknown if the service closes the stream before that."""
        data = self.read(_size(size))
        if len(data) < size:
            raise _cut_short()
        return data

    def readuntil(self, separator: bytes = b"\n", limit: int = 4096) -> bytes:
        """What comes up to and including the separator. `Internal` if that is more than `limit` bytes.

        `Unreachable` with effect unknown if the service closes the stream before that.
        """
        if not separator:
            raise Internal("readuntil needs a separator")
        while separator not in self._waiting[:limit]:
            if len(self._waiting) >= limit:
                raise Internal(f"the service sent more than {limit} bytes where a line should have ended")
            if not self._fill():
                raise _cut_short()
        return self._take(self._waiting.index(separator) + len(separator))

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end of the stream. Without a size up to the end, at most 1 MiB."""
        if size is None or size < 0:
            while self._fill():
                if len(self._waiting) > _MOST_WITHOUT_A_SIZE:
                    raise Internal("the service sent more than 1 MiB and did not close the stream: read with a size")
            return self._take(len(self._waiting))
        while len(self._waiting) < size and self._fill(size - len(self._waiting)):
            pass
        return self._take(size)

    def read1(self, size: int = -1) -> bytes:
        """What is there, up to `size` bytes, after one read at most. Empty only at the end of the stream."""
        size = _MOST_AT_ONCE if size < 0 else size
        if size and not self._waiting:
            self._fill(size)
        return self._take(size)

    def peek(self, size: int = 0) -> bytes:
        """What is there, without taking it, after one read at most. Empty only at the end of the stream."""
        if not self._waiting:
            self._fill()
        return self._waiting

    def write(self, data: Buffer) -> int:
        """Sends all of `data` now."""
        data = host.binary(data, "what is written to a connection")
        # An empty write is nothing to send, and not worth a way to the host.
        if data:
            host.ask(self._open().write, data)
        return len(data)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Closes the stream. The SDK does it too, before the next login and at the end of the step."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.__exit__(None, None, None)
        super().close()

    def _fill(self, wanted: int = 0) -> bool:
        more = host.ask(self._open().read, min(max(wanted, 4096), _MOST_AT_ONCE))
        self._waiting += more
        return bool(more)

    def _take(self, size: int) -> bytes:
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    def _open(self) -> _bindings.Connection:
        if self._stream is None:
            raise Denied("the connection is closed already")
        return self._stream

    def __repr__(self) -> str:
        return "Connection(closed)" if self._stream is None else "Connection(open)"


def _size(size: int) -> int:
    if type(size) is not int or size < 0:
        raise Internal("the number of bytes to read has to be an int that is not negative")
    return size


def _cut_short() -> Unreachable:
    return Unreachable("the service closed the connection before its answer was complete")
