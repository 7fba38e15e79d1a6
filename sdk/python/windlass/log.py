"""Lines for the operator's log.

A line passes the host's redactor, which is a net under the rule and not the rule: never log a credential. A line is cut after
2,048 bytes; after 200 lines or 64 KiB in one step the rest is dropped.
"""

from __future__ import annotations

import io

from . import host


def debug(line: str) -> None:
    """For the plugin's author; off unless the operator asks for it."""
    host.log.write(host.log.Level.DEBUG, host.text(line, "a line for the log"))


def info(line: str) -> None:
    """What the plugin did."""
    host.log.write(host.log.Level.INFO, host.text(line, "a line for the log"))


def warn(line: str) -> None:
    """Something the operator should look at, though the step goes on."""
    host.log.write(host.log.Level.WARN, host.text(line, "a line for the log"))


def error(line: str) -> None:
    """Why the step is about to fail."""
    host.log.write(host.log.Level.ERROR, host.text(line, "a line for the log"))


class Printed(io.TextIOBase):
    """Takes the place of the standard streams during a step: `print` becomes a line at level debug, where it would be a trap."""

    def __init__(self) -> None:
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        # A lone surrogate has no UTF-8.
        *lines, self._line = (self._line + text.encode("utf-8", "replace").decode()).split("\n")
        for line in lines:
            debug(line)
        return len(text)

    def flush(self) -> None:
        if self._line:
            debug(self._line)
            self._line = ""
