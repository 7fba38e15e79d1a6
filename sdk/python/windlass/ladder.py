"""The order in which credentials are tried, for every `Service`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import host, streams
from .credential import Credential, Versions
from .failure import Cause, Effect, Failure, Internal, NotYetEffective, Unauthorized, unexpected

if TYPE_CHECKING:
    from .service import Service


def climb(service: Service[Any], versions: Versions) -> bool:
    """Whether this run made the change."""
    refusals: list[str] = []
    try:
        session = login(service, versions.pending)
    except Unauthorized as refused:
        refusals.append(f"{versions.pending.role.value}: {refused.message}")
    except Failure as failure:
        # Nothing was sent but a login, so nothing changed, whatever became of the connection.
        raise failure.unchanged()
    else:
        settle(service, session, versions)
        return False
    # Nobody but an admin changes another user.
    user = service.alternating
    other = user is not None and versions.pending.get(user) != versions.current.get(user)
    for credential in (versions.admin,) if other else (versions.current, versions.previous, versions.admin):
        if credential is None:
            continue
        try:
            session = login(service, credential)
        except Unauthorized as refused:
            refusals.append(f"{credential.role.value}: {refused.message}")
            continue
        except Failure as failure:
            raise failure.unchanged()
        try:
            if other:
                call(service.change_other, session, versions.pending, versions.current)
            else:
                call(service.change, session, versions.pending)
        except Failure as failure:
            if failure.effect is not Effect.UNCHANGED:
                return look_again(service, failure, versions)
            if failure.cause is not Cause.UNAUTHORIZED:
                raise
            refusals.append(f"{credential.role.value}: {failure.message}")
        else:
            return look_again(service, None, versions)
    # What was refused just now may have been replaced just now, by another run of this step.
    try:
        session = login(service, versions.pending)
    except Failure:
        raise Unauthorized(f"no stored credential can make the change: {'; '.join(refusals)}") from None
    settle(service, session, versions)
    return False


def login(service: Service[Any], credential: Credential) -> Any:
    """Logs in, and tells the host if the service refuses."""
    streams.close_all()
    try:
        return call(service.login, credential)
    except Unauthorized:
        credential.refused()
        raise


def look_again(service: Service[Any], doubt: Failure | None, versions: Versions) -> bool:
    """The change happened, or nobody knows: the pending credential decides."""
    try:
        session = login(service, versions.pending)
    except Failure as failure:
        if doubt is not None:
            raise doubt from None
        if failure.cause is Cause.UNAUTHORIZED:
            said = "the service took the change but does not accept the new credential yet"
            raise NotYetEffective(f"{said}: {failure.message}") from None
        raise failure.changed()
    try:
        settle(service, session, versions)
    except Failure as failure:
        raise failure.changed()
    return True


def settle(service: Service[Any], session: Any, versions: Versions) -> None:
    try:
        call(service.settle, session, versions)
        return
    except Unauthorized:
        if versions.admin is None:
            raise
    call(service.settle, login(service, versions.admin), versions)


def call(method: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a method of the plugin, out of which only failures come."""
    try:
        result = host.ask(method, *arguments)
    except Failure:
        raise
    except Exception as error:
        raise unexpected(error) from None
    if isinstance(result, Failure):
        raise Internal(f"{method.__name__} returned a failure: raise it")
    if hasattr(result, "__await__"):
        raise Internal(f"{method.__name__} is asynchronous: there is no event loop in a component")
    return result
