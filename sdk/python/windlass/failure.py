"""How a step says that it did not succeed."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class Cause(Enum):
    """Why something did not succeed. The host decides by the cause what happens next and who has to act."""

    UNAUTHORIZED = "unauthorized"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    RATE_LIMITED = "rate-limited"
    NOT_YET_EFFECTIVE = "not-yet-effective"
    CONFLICT = "conflict"
    MALFORMED_SECRET = "malformed-secret"
    DENIED = "denied"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


class Effect(Enum):
    """What is known about the service afterwards. When in doubt, unknown: a wrong `UNCHANGED` can lock a service out."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNKNOWN = "unknown"


class Failure(Exception):
    """Why something did not succeed, what it did to the service, and a sentence for people.

    Raise one of the subclasses; each has the effect that is usual for its cause, and `effect`, `unchanged()`, `changed()` and
    `unknown()` correct it.

    Never put a credential into the message. The host replaces every value it handed out, but it cannot know one that the plugin has
    transformed.
    """

    cause: ClassVar[Cause]
    usual_effect: ClassVar[Effect]

    def __init__(self, message: str, effect: Effect | None = None) -> None:
        if not hasattr(self, "cause"):
            raise TypeError("Failure has no cause: raise one of its subclasses, such as Unauthorized or Internal")
        super().__init__(message)
        self.message = message
        self.effect = self.usual_effect if effect is None else effect

    def unchanged(self) -> Self:
        """This failure, after which the service certainly is as it was."""
        self.effect = Effect.UNCHANGED
        return self

    def changed(self) -> Self:
        """This failure, after which the service certainly was changed, at least in part."""
        self.effect = Effect.CHANGED
        return self

    def unknown(self) -> Self:
        """This failure, after which nobody knows whether the service was changed."""
        self.effect = Effect.UNKNOWN
        return self


class Unauthorized(Failure):
    """The service does not accept the credential, or the credential may not do this. Effect: unchanged.

    Only if the service says so: a test that ends with it is the only proof that a credential does not work.
    """

    cause = Cause.UNAUTHORIZED
    usual_effect = Effect.UNCHANGED


class Unreachable(Failure):
    """The service could not be reached or did not answer. Effect: unknown."""

    cause = Cause.UNREACHABLE
    usual_effect = Effect.UNKNOWN


class Rejected(Failure):
    """The service refuses the new value. Effect: unchanged."""

    cause = Cause.REJECTED
    usual_effect = Effect.UNCHANGED


class RateLimited(Failure):
    """The service asks to come back later. Effect: unchanged."""

    cause = Cause.RATE_LIMITED
    usual_effect = Effect.UNCHANGED


class NotYetEffective(Failure):
    """The service accepted the change but does not apply it yet. Effect: changed."""

    cause = Cause.NOT_YET_EFFECTIVE
    usual_effect = Effect.CHANGED


class Conflict(Failure):
    """Somebody else is changing the same credential. Effect: unknown."""

    cause = Cause.CONFLICT
    usual_effect = Effect.UNKNOWN


class MalformedSecret(Failure):
    """The secret lacks what the plugin needs. Name the field, never its value. Effect: unchanged."""

    cause = Cause.MALFORMED_SECRET
    usual_effect = Effect.UNCHANGED


class Denied(Failure):
    """Policy refuses what was asked. Usually the host says this. Effect: unchanged."""

    cause = Cause.DENIED
    usual_effect = Effect.UNCHANGED


class Unsupported(Failure):
    """The service is of a kind or version that this plugin does not handle. Effect: unchanged."""

    cause = Cause.UNSUPPORTED
    usual_effect = Effect.UNCHANGED


class Internal(Failure):
    """Something that the plugin cannot explain, such as an answer that does not parse. Effect: unknown."""

    cause = Cause.INTERNAL
    usual_effect = Effect.UNKNOWN


BY_CAUSE: dict[Cause, type[Failure]] = {kind.cause: kind for kind in Failure.__subclasses__()}

_THIS_PACKAGE = os.path.dirname(__file__)
_STANDARD_LIBRARY = os.path.dirname(os.__file__)


def unexpected(error: BaseException) -> Internal:
    """What an exception that is no failure becomes: its type and its place.

    Its text is left out, because Python's own exceptions quote what they stumbled over: `KeyError` a key, `UnicodeEncodeError` the
    whole string.
    """
    place = ""
    # By hand, because the module `traceback` looks for the source's file, which is a trap where there are no files.
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if os.path.dirname(code.co_filename) != _THIS_PACKAGE and not code.co_filename.startswith(_STANDARD_LIBRARY):
            place = f" at {os.path.basename(code.co_filename)}:{step.tb_lineno} in {code.co_name}"
        step = step.tb_next
    return Internal(f"an unexpected {type(error).__name__}{place}")
