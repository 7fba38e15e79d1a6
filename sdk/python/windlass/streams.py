"""The streams that the session of the moment has opened.

An open stream counts against the host's limit until it is closed, and an exception keeps the streams of its frames alive. So the
SDK closes what is left before every login and at the end of a step, whatever the plugin forgot.
"""

from __future__ import annotations

from typing import Protocol


class Closes(Protocol):
    def close(self) -> None: ...


_opened: list[Closes] = []


def opened(stream: Closes) -> None:
    """Remembers a stream to close."""
    _opened.append(stream)


def close_all() -> None:
    """Closes every stream that is still open."""
    while _opened:
        _opened.pop().close()
