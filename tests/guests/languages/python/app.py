"""World `http-plugin`: changes a password with `PUT /password` and proves it with `GET /login`, both with basic authentication.

Settings: `prefix` is put in front of both paths.
"""

# Imported here, not where it is used: only modules loaded while the component is built exist when it runs.
import base64

from wit_world import exports
from wit_world.exports.rotator import Outcome, Verdict
from wit_world.imports import http, log, random, secret
from wit_world.imports.failures import Cause, Effect

from steps import Login, failure, other_logins, pending, step


class Rotator(exports.Rotator):
    @step
    def set_secret(self) -> Outcome:
        new = pending()
        if call("GET", "/login", new, Effect.UNCHANGED):
            return Outcome.UNCHANGED
        for name, old in other_logins():
            if call("PUT", "/password", old, Effect.UNKNOWN, new.password.encode()):
                log.write(log.Level.INFO, f"changed the password with the {name} credential")
                return Outcome.CHANGED
        raise failure(Cause.UNAUTHORIZED, Effect.UNCHANGED, "the service accepts neither the pending nor any older credential")

    @step
    def test_secret(self) -> Verdict:
        if call("GET", "/login", pending(), Effect.UNCHANGED):
            return Verdict.ACCEPTED
        raise failure(Cause.UNAUTHORIZED, Effect.UNCHANGED, "GET /login answered 401")


def call(method: str, path: str, login: Login, effect: Effect, body: bytes = b"") -> bool:
    """Whether the service took the credential. `effect` is what is known after an answer that is neither yes nor no."""
    basic = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    # Never from `random`, `uuid` or `secrets`: their seed is frozen at build time.
    nonce = random.generate(8).hex()
    headers = [("authorization", f"Basic {basic}"), ("x-request-id", nonce)]
    response = http.send(http.Request("api", method, (secret.setting("prefix") or "") + path, headers, body))
    if response.status == 401:
        return False
    if not 200 <= response.status < 300:
        raise failure(Cause.INTERNAL, effect, f"{method} {path} answered {response.status}")
    return True
