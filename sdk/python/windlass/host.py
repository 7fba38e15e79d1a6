"""What the SDK asks of its surroundings: inside a component the contract's imports, natively the scene of a unit test.

A value of a wrong type is a trap without text in the generated bindings, so it is found here, where a failure can say what it is.
"""

from __future__ import annotations

import sys
from typing import Any, Callable

if sys.platform == "wasi":
    from componentize_py_types import Err
    from wit_world.exports import rotator
    from wit_world.imports import failures, log, random, secret
else:
    from .stage import Err, failures, log, random, rotator, secret

from .failure import BY_CAUSE, Cause, Effect, Failure, Internal

__all__ = ["Err", "ask", "binary", "failure_for_host", "log", "random", "rotator", "secret", "text"]


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of the host whose failures come as `Err`."""
    try:
        return function(*arguments)
    except Err as error:
        refused = error.value
    # Outside of the handler: `Err` is frozen, and whatever touches it as the context of another exception fails.
    raise BY_CAUSE[Cause[refused.cause.name]](refused.message, Effect[refused.effect.name])


def failure_for_host(failure: Failure) -> Err[failures.Failure]:
    """The exception by which the generated bindings know a failure."""
    # A lone surrogate has no UTF-8.
    message = str(failure.message).encode("utf-8", "replace").decode()
    return Err(failures.Failure(failures.Cause[failure.cause.name], failures.Effect[failure.effect.name], message))


def text(value: object, what: str) -> str:
    """The value, if it is text that the host can be given."""
    if not isinstance(value, str):
        raise Internal(f"{what} has to be a str, not a {_described(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        pass
    else:
        return str(value)
    raise Internal(f"{what} holds half a surrogate pair, which has no UTF-8")


def binary(value: object, what: str) -> bytes:
    """The value, if it is bytes that the host can be given."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise Internal(f"{what} has to be bytes, not a {_described(value)}")
    return bytes(value)


def _described(value: object) -> str:
    name = type(value).__name__
    return f"{name}: call expose() where the value must be seen" if name in ("Secret", "SecretBytes") else name
