"""Unit tests of a plugin, with plain `python3 -m unittest` and without WebAssembly.

A `Scene` is everything a plugin can see: versions of the secret, settings, endpoints. It plays the two steps as the host calls them,
through what `export` makes of the plugin; in `test_secret` only the pending version exists.

    from windlass import Unauthorized
    from windlass.http import Response
    from windlass.testing import Scene

    scene = Scene(
        pending={"username": "app", "password": "new"},
        http={"api": lambda request: Response(401, [], b"")},
    )
    with self.assertRaises(Unauthorized):
        scene.test_secret(Acme)
"""

from __future__ import annotations

import json
from typing import Any, Callable, Mapping, TypeVar, Union

from . import host, stage, streams
from .credential import Role, Versions
from .export import export
from .http import Response
from .service import Outcome, Steps

Secret = Union[Mapping[str, str], str, bytes]
Result = TypeVar("Result")


class Scene:
    """What a plugin can see during a unit test.

    A version is a mapping of fields, or a str or bytes for a secret that is no JSON object. `http` maps an endpoint to a function from
    the request (`endpoint`, `method`, `path`, `headers`, `body`) to a `Response`. `connections` maps an endpoint to a function that
    returns a socket, or anything with `recv`, `sendall` and `close`: `lambda: socket.create_connection(address, timeout=10)`.
    """

    def __init__(
        self,
        *,
        pending: Secret,
        current: Secret | None = None,
        previous: Secret | None = None,
        admin: Secret | None = None,
        settings: Mapping[str, str] | None = None,
        http: Mapping[str, Callable[[Any], Response]] | None = None,
        connections: Mapping[str, Callable[[], stage.Socket]] | None = None,
    ) -> None:
        self._state = stage.State(settings=dict(settings or {}), services=dict(http or {}), sockets=dict(connections or {}))
        for role, value in zip(Role, (pending, current, previous, admin)):
            if value is not None:
                self.put(role, value)

    def put(self, role: Role, value: Secret) -> None:
        """Puts a version in the place of what was there."""
        if isinstance(value, Mapping):
            self._state.fields[role.value] = dict(value)
            value = json.dumps(dict(value))
        else:
            self._state.fields.pop(role.value, None)
        self._state.texts[role.value] = value.encode() if isinstance(value, str) else value

    def set_secret(self, plugin: type[Steps]) -> Outcome:
        """Runs the step `set-secret`. Raises the failures of the plugin."""
        outcome = self.run(export(plugin)().set_secret)
        return Outcome[outcome.name]

    def test_secret(self, plugin: type[Steps]) -> None:
        """Runs the step `test-secret`. Raises the failures of the plugin."""
        self._state.only_pending = True
        try:
            self.run(export(plugin)().test_secret)
        finally:
            self._state.only_pending = False

    def run(self, code: Callable[[], Result]) -> Result:
        """Runs any code of the plugin in this scene, and closes the streams that it leaves open."""
        try:
            result: Result = stage.play(self._state, lambda: host.ask(code))
            return result
        finally:
            streams.close_all()

    def versions(self) -> Versions:
        """The versions of this scene, for code that takes them."""
        return self.run(Versions.read)

    @property
    def lines(self) -> list[str]:
        """What the plugin logged so far."""
        return [line for _, line in self._state.lines]

    @property
    def refused(self) -> list[Role]:
        """The versions with which a login was refused so far, each as often as it was. The host bounds them."""
        return [Role(name) for name in self._state.refused]
