"""Randomness from the host's operating system, for nonces and salts.

It is the only source worth the name inside a component: the seeds of Python's `random`, `secrets` and `uuid` are frozen there. The
new credential itself is never made by a plugin; the host generates it.
"""

from __future__ import annotations

import builtins

from . import host
from .failure import Internal

_MOST = 65_536


def bytes(count: int) -> builtins.bytes:
    """Exactly `count` random bytes, at most 65,536."""
    if type(count) is not int or not 0 <= count <= _MOST:
        raise Internal("the host gives 0 to 65,536 random bytes at a time")
    return host.random.generate(count)
