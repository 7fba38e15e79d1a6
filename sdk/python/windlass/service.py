"""What a plugin implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Generic, TypeVar

from . import ladder
from .credential import Credential, Versions
from .failure import Failure

Session = TypeVar("Session")


class Outcome(Enum):
    """What `set-secret` did."""

    CHANGED = "changed"
    """The service accepts the pending credential now and did not before."""
    UNCHANGED = "unchanged"
    """The service accepted it already."""


class Steps(ABC):
    """The two steps themselves, for services that do not fit `Service`. Every `Service` is one."""

    @abstractmethod
    def set_secret(self, versions: Versions) -> Outcome:
        """Makes the service accept the pending credential. May run again after any failure or kill, and twice at once.

        Raises a `Failure` with the effect as exact as it is known; when in doubt, `UNKNOWN`.
        """

    @abstractmethod
    def test_secret(self, pending: Credential) -> None:
        """Proves that the service accepts the pending credential by using it. Changes nothing.

        Raises a `Failure`; `Unauthorized` is the only proof that the credential does not work.
        """


class Service(Steps, Generic[Session]):
    """A service to which a credential logs in and which changes it when it is logged in: nearly every one.

    The SDK makes both steps of it. `test-secret` is a login. `set-secret` is a ladder:

    1. If the pending credential logs in, an earlier run did the work: `settle`, outcome unchanged.
    2. Else the first of current, previous and admin that logs in and may do it makes the change; only admin where two users take
       turns (`alternating`).
    3. After a change that succeeded, or whose answer was lost, the pending credential is tried again before anything is reported;
       and likewise if none could make the change, because another run of the step may have made it meanwhile.

    A failure other than `Unauthorized` ends the step where it happens. An exception that is no `Failure` counts as `Internal`, and in
    `change` as an answer that was lost. Streams that a session opened are closed before the next login.
    """

    alternating: str | None = None
    """The field of the secret that names the user, if the plugin can change another user than that of the current credential. The
    manifest names the same field in `secret.alternating`; where the operator has two users take turns, the pending credential names
    the other one."""

    @abstractmethod
    def login(self, credential: Credential) -> Session:
        """Proves that the service accepts this credential by using it. Changes nothing. Called several times in a step.

        Returns what `change` and `settle` work with: an open connection, a token, or the credential itself.

        Raises `Unauthorized` if, and only if, the service says that the credential is wrong; the ladder goes on to the next one. A
        login that cannot fail is found out by the host, which tries a corrupted credential.
        """

    @abstractmethod
    def change(self, session: Session, new: Credential) -> None:
        """Makes the service accept `new`, which is the pending credential. The session belongs to the current, previous or admin
        credential. Keeps the current credential valid where the service can hold two.

        Raises `Unauthorized` with effect unchanged if the session lacks the right; the ladder goes on to the next credential. Where
        the change may have happened, say so by the effect: the ladder looks before it reports.
        """

    def change_other(self, session: Session, new: Credential, current: Credential) -> None:
        """Makes the service accept `new`, which names another user than `current`, and makes that user if there is none. The session
        belongs to the admin credential. Called instead of `change` where two users take turns. The user has to get what the one of
        `current` may do before anybody can log in with `new`, or in `settle`. Does what `change` does unless overridden.

        Raises as `change` does.
        """
        self.change(session, new)

    def settle(self, session: Session, versions: Versions) -> None:
        """Finishes what goes with a change: persists it, retires the previous credential. Runs in every `set-secret` once the pending
        credential logs in, also when an earlier run made the change and then crashed, so it must be repeatable. Does nothing
        unless overridden.

        The session belongs to the pending credential. If that is not allowed to settle (`Unauthorized`) and there is an admin
        credential, it is called again with a session of that one.
        """

    def set_secret(self, versions: Versions) -> Outcome:
        return Outcome.CHANGED if ladder.climb(self, versions) else Outcome.UNCHANGED

    def test_secret(self, pending: Credential) -> None:
        try:
            ladder.login(self, pending)
        except Failure as failure:
            raise failure.unchanged()
