"""Write a Windlass plugin in Python: a class, two methods and one line.

This is a whole plugin for a service with an HTTP interface, `plugin.py`:

    from windlass import Service, export, http

    class Acme(Service):
        def login(self, credential):
            user, password = credential.required("username"), credential.required("password")
            http.get("api", "/v1/me", auth=(user, password)).ok()
            return user, password

        def change(self, session, new):
            body = {"password": new.required("password").expose()}
            http.put("api", "/v1/me/password", auth=session, json=body).ok()

    Rotator = export(Acme)

Beside it stands a `plugin.toml` that names the fields of the secret and the endpoint `api`; `sdk/python/build` makes a component of
the two.

`windlass.http` and `windlass.connection` are not imported here: each exists only in a component that talks to its service that way.
"""

from . import log, random
from .credential import Credential, Role, Secret, SecretBytes, Versions, setting
from .export import export
from .failure import (
    Cause,
    Conflict,
    Denied,
    Effect,
    Failure,
    Internal,
    MalformedSecret,
    NotYetEffective,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from .service import Outcome, Service, Steps

__version__ = "0.1.0"

__all__ = [
    "Cause",
    "Conflict",
    "Credential",
    "Denied",
    "Effect",
    "Failure",
    "Internal",
    "MalformedSecret",
    "NotYetEffective",
    "Outcome",
    "RateLimited",
    "Rejected",
    "Role",
    "Secret",
    "SecretBytes",
    "Service",
    "Steps",
    "Unauthorized",
    "Unreachable",
    "Unsupported",
    "Versions",
    "export",
    "log",
    "random",
    "setting",
]
