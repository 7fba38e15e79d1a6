"""The versions of the secret, by the role each plays in the rotation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, NoReturn, TypeVar, Union

from . import host
from .failure import Internal, MalformedSecret

Value = TypeVar("Value", str, bytes)


class _Hidden(Generic[Value]):
    __slots__ = ("__value",)

    def __init__(self, value: Value) -> None:
        self.__value: Value = value

    def expose(self) -> Value:
        """The plain value. Say at each call why it must be seen."""
        return self.__value

    def __repr__(self) -> str:
        return "[redacted]"

    # None of them is `[redacted]`: f"AUTH {password}" would make that the password, and a login with it would succeed.

    def __str__(self) -> NoReturn:
        raise _used_as_text()

    def __format__(self, _: str) -> NoReturn:
        raise _used_as_text()

    def __bytes__(self) -> NoReturn:
        raise _used_as_text()

    def __reduce__(self) -> NoReturn:
        raise _used_as_text()

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        return self.__value == other.__value if isinstance(other, _Hidden) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.__value)


def _used_as_text() -> Internal:
    return Internal("a secret was used as text: call expose() where the value must be seen, or print its repr()")


class Secret(_Hidden[str]):
    """A value of the secret. Its `repr` is `[redacted]`, it cannot be formatted, and it leaves through `expose()`.

    A plugin can make one of what it derived from a credential, such as a session token. An empty one is false.
    """

    __slots__ = ()


class SecretBytes(_Hidden[bytes]):
    """A whole secret as bytes, which hides its value as `Secret` does."""

    __slots__ = ()


class Role(Enum):
    """Which version of the secret a credential is."""

    PENDING = "pending"
    """The new credential (AWSPENDING)."""
    CURRENT = "current"
    """The credential in use (AWSCURRENT)."""
    PREVIOUS = "previous"
    """The one in use before that (AWSPREVIOUS)."""
    ADMIN = "admin"
    """A credential of another secret that may change this one."""


@dataclass(frozen=True)
class Credential:
    """One version of the secret. It carries its role, so that two versions cannot be mixed up, and no value: fields are read from
    the host when they are asked for.
    """

    role: Role

    def get(self, name: str) -> Union[Secret, None]:
        """A field of the secret's JSON object, or of the defaults in the plugin's manifest.

        A JSON string answers with its content, any other value with its JSON text; `null` counts as missing.
        """
        value = host.secret.field(version(self.role), host.text(name, "the name of a field"))
        return None if value is None else Secret(value)

    def required(self, name: str) -> Secret:
        """A field that the plugin cannot do without. `MalformedSecret`, naming the field, if it is missing or empty."""
        value = self.get(name)
        if value is None:
            raise MalformedSecret(f"the {self.role.value} version has no field `{name}`")
        if not value:
            raise MalformedSecret(f"the field `{name}` of the {self.role.value} version is empty")
        return value

    def text(self) -> Secret:
        """The whole `SecretString`, for secrets that are no JSON object. `MalformedSecret` if the version is binary."""
        value = host.secret.text(version(self.role))
        if value is None:
            raise MalformedSecret(f"the {self.role.value} version is binary, not text")
        return Secret(value)

    def refused(self) -> None:
        """Tells the host that the service refused a login with this version. The ladder of a `Service` does it by itself; a plugin that
        implements `Steps` does it after each refused login, before it tries the next: the host bounds them, so that no account is locked.
        Answers with HTTP status 401 are counted without it.
        """
        host.secret.refused(version(self.role))

    def bytes(self) -> Union[SecretBytes, None]:
        """The whole secret as bytes, however it was stored; nothing if the version does not exist."""
        value = host.secret.raw(version(self.role))
        return None if value is None else SecretBytes(value)


@dataclass(frozen=True)
class Versions:
    """What exists in `set-secret`."""

    pending: Credential
    """The new credential."""
    current: Credential
    """The credential in use."""
    previous: Union[Credential, None]
    """The one in use before that, if it names the same identity."""
    admin: Union[Credential, None]
    """A credential that may change this one, if the operator bound one."""

    @classmethod
    def read(cls) -> Versions:
        """The versions that the host offers now."""
        previous, admin = (Credential(role) for role in (Role.PREVIOUS, Role.ADMIN))
        return cls(
            Credential(Role.PENDING),
            Credential(Role.CURRENT),
            previous if previous.bytes() else None,
            admin if admin.bytes() else None,
        )


def version(role: Role) -> host.secret.Version:
    """The version as the host calls it."""
    return host.secret.Version[role.name]


def setting(name: str) -> Union[str, None]:
    """What the operator set under this name for this secret, else the manifest's default, else nothing. Settings are no secrets."""
    return host.secret.setting(host.text(name, "the name of a setting"))
