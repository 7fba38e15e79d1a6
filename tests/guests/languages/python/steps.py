"""What both Python guests need around their two steps. It imports only interfaces that every world has."""

from functools import wraps
from typing import NamedTuple

from componentize_py_types import Err
from wit_world.imports import secret
from wit_world.imports.failures import Cause, Effect, Failure
from wit_world.imports.secret import Version


class Login(NamedTuple):
    username: str
    password: str


def failure(cause: Cause, effect: Effect, message: str) -> Err:
    """Has to be raised: a returned one is a trap, and so is a raised `Failure`, which is no exception.

    `Err` is a frozen dataclass: `add_note` and a `@contextmanager` that it passes through fail on it, and that is a trap too.
    """
    return Err(Failure(cause, effect, message))


def login(version: Version) -> Login | None:
    """The credential of this version, or None if there is no such version."""
    username, password = secret.field(version, "username"), secret.field(version, "password")
    return Login(username, password) if username and password else None


def pending() -> Login:
    return Login(pending_field("username"), pending_field("password"))


def pending_field(name: str) -> str:
    if text := secret.field(Version.PENDING, name):
        return text
    raise failure(Cause.MALFORMED_SECRET, Effect.UNCHANGED, f"the field `{name}` of pending is missing or empty")


def other_logins() -> list[tuple[str, Login]]:
    """The credentials that may change the password, the likeliest first. In test-secret there are none."""
    versions = (Version.CURRENT, Version.ADMIN, Version.PREVIOUS)
    return [(version.name.lower(), found) for version in versions if (found := login(version))]


def step(function):
    """Turns an exception that is no `Err` into a failure: it would be a trap, and with stubbed WASI its text goes nowhere.

    The result is checked because an enum crosses the border as a number: `return Cause.UNAUTHORIZED` would count as `ACCEPTED`.
    Beyond its reach: an argument of the wrong type for a host function (a str for an enum, a bytearray for bytes), `print` and
    `time.time()` trap on the spot.
    """

    @wraps(function)
    def wrapper(self):
        try:
            result = function(self)
            if not isinstance(result, function.__annotations__["return"]):
                raise TypeError(f"{function.__name__} returned a {type(result).__name__}")
            return result
        except Err:
            raise  # the guest's own failure, or one that a host function returned: passed on unchanged
        except Exception as error:
            raise failure(Cause.INTERNAL, Effect.UNKNOWN, f"{type(error).__name__}: {error}")

    return wrapper
