"""HTTP requests to the endpoints of the plugin's manifest."""

from __future__ import annotations

import base64
import json as _json
import sys
from typing import Any, Iterable, Mapping, Tuple, Union

from . import host
from .credential import Secret
from .failure import Conflict, Failure, Internal, RateLimited, Rejected, Unauthorized, Unreachable, Unsupported

if sys.platform == "wasi":
    from wit_world.imports import http as _bindings
else:
    from .stage import http as _bindings

Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]]]

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def segment(text: str) -> str:
    """`text` as one segment of a path or one value of a query: everything but letters, digits and `-._~` percent-encoded.

    Source: <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>
    """
    encoded = "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in host.text(text, "a segment").encode())
    # A segment of dots would be taken for a step in the path.
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded


def request(
    method: str,
    endpoint: str,
    path: str,
    *,
    headers: Headers = (),
    auth: tuple[Secret, Secret] | None = None,
    bearer: Secret | None = None,
    json: Any = None,
    body: bytes | str = b"",
) -> Response:
    """Sends a request and waits for the whole answer, whatever its status: `Response.ok` makes a failure of a bad one.

    Endpoint by its name in the manifest; path with query, percent-encoded (see `segment`). `auth` is user and password for
    `Authorization: Basic …`, `bearer` a token for `Authorization: Bearer …`, `json` a value that becomes the body.

    Raises `Denied` with effect unchanged before anything is sent; `Unreachable`, with effect unchanged if no connection came about.
    """
    lines = list(headers.items() if isinstance(headers, Mapping) else headers)
    if auth is not None:
        user, password = auth
        # Exposed: the scheme sends both in every request. Source: <https://www.rfc-editor.org/rfc/rfc7617>
        pair = f"{user.expose()}:{password.expose()}".encode()
        lines.append(("authorization", f"Basic {base64.b64encode(pair).decode()}"))
    if bearer is not None:
        # Exposed: the scheme sends the token in every request.
        lines.append(("authorization", f"Bearer {bearer.expose()}"))
    if json is not None:
        lines.append(("content-type", "application/json"))
        body = _json.dumps(json)
    if isinstance(body, str):
        body = host.text(body, "the body").encode()
    asked = _bindings.Request(
        host.text(endpoint, "the endpoint"),
        host.text(method, "the method"),
        host.text(path, "the path"),
        [(host.text(name, "the name of a header"), host.text(value, f"the header {name}")) for name, value in lines],
        host.binary(body, "the body"),
    )
    answer = host.ask(_bindings.send, asked)
    return Response(answer.status, list(answer.headers), bytes(answer.body), method=method, endpoint=endpoint)


def get(endpoint: str, path: str, **options: Any) -> Response:
    """A GET request, with the options of `request`."""
    return request("GET", endpoint, path, **options)


def put(endpoint: str, path: str, **options: Any) -> Response:
    """A PUT request, with the options of `request`."""
    return request("PUT", endpoint, path, **options)


def post(endpoint: str, path: str, **options: Any) -> Response:
    """A POST request, with the options of `request`."""
    return request("POST", endpoint, path, **options)


def patch(endpoint: str, path: str, **options: Any) -> Response:
    """A PATCH request, with the options of `request`."""
    return request("PATCH", endpoint, path, **options)


def delete(endpoint: str, path: str, **options: Any) -> Response:
    """A DELETE request, with the options of `request`."""
    return request("DELETE", endpoint, path, **options)


class Response:
    """An answer, whatever its status."""

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        method: str = "a request",
        endpoint: str = "",
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self._method = method
        self._endpoint = endpoint

    def header(self, name: str) -> str | None:
        """The value of the first header of this name, in whatever case."""
        return next((value for header, value in self.headers if header.lower() == name.lower()), None)

    def text(self) -> str:
        """The whole body as text. `Internal` if it is not UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            pass
        raise self._failure(Internal, " and a body that is not text")

    def json(self) -> Any:
        """The whole body as a JSON value. `Internal` if it is none."""
        text = self.text()
        try:
            return _json.loads(text)
        except (ValueError, RecursionError):
            pass
        raise self._failure(Internal, " and a body that is not JSON")

    def ok(self) -> Response:
        """This answer if its status is 200 to 299, else a failure that names method, endpoint and status, never quoting the body.

        | status | failure | effect |
        |---|---|---|
        | 401, 403 | Unauthorized | unchanged |
        | 429 | RateLimited | unchanged |
        | 409, 412, 423 | Conflict | unchanged |
        | 400, 413, 422 | Rejected | unchanged |
        | 404, 405, 410, 501 | Unsupported | unchanged |
        | 3xx (nothing follows it) | Unsupported | unchanged for GET, else unknown |
        | 408, other 5xx | Unreachable | unchanged for GET, else unknown |
        | others | Internal | unchanged for GET, else unknown |
        """
        status = self.status
        if 200 <= status <= 299:
            return self
        if status in (401, 403):
            failure = self._failure(Unauthorized)
        elif status == 429:
            failure = self._failure(RateLimited)
        elif status in (409, 412, 423):
            failure = self._failure(Conflict).unchanged()
        elif status in (400, 413, 422):
            failure = self._failure(Rejected)
        elif status in (404, 405, 410, 501):
            failure = self._failure(Unsupported)
        elif 300 <= status <= 399:
            # Some services carry a change out and then send the client on, to the page that shows it.
            failure = self._failure(Unsupported, ", a redirect, which is not followed").unknown()
        elif status == 408 or 500 <= status <= 599:
            failure = self._failure(Unreachable)
        else:
            failure = self._failure(Internal)
        raise failure.unchanged() if self._method == "GET" else failure

    def _failure(self, kind: type[Failure], more: str = "") -> Failure:
        return kind(f"the endpoint `{self._endpoint}` answered {self._method} with {self.status}{more}")

    def __repr__(self) -> str:
        # Headers and body may hold credentials.
        return f"Response({self.status})"
