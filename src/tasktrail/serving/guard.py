"""The outermost layer of every server: a request that should not be there is refused before an application sees it."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Final

from tasktrail.logs import logger
from tasktrail.model.errors import BadInput
from tasktrail.serving.asgi import App, Message, Receive, Scope, Send
from tasktrail.serving.json_body import check
from tasktrail.serving.refusal import Refusal

MAX_BODY_BYTES: Final = 1024 * 1024

_ONCE: Final = (b"host", b"origin", b"authorization", b"sec-fetch-site", b"content-length")
_REFUSED_BY_POLICY: Final = 1008  # of WebSocket; a server that has not accepted yet answers 403


class _Left(Exception):
    """The client went away before its request was whole."""


class Guard:
    """Lets through what is meant for this server, by a client that may ask, and small enough.

    A page that is open in somebody's browser can reach any port of the machine. It cannot choose what the browser says
    in `Host`, `Origin` and `Sec-Fetch-Site`, so these must be exactly ours; names that lead here by a DNS of
    somebody else's (DNS rebinding) are not. The application gets its body whole, in one message.

    Args:
        hosts: What `Host` may be, in lower case, with the port.
        origins: What `Origin` may be, if there is one.
        token: What `Authorization: Bearer …` must have; None asks for none. It is looked for nowhere else.
        checks_json: A body that is not empty must be JSON without what applications stumble over.
    """

    def __init__(
        self,
        app: App,
        hosts: Collection[str],
        origins: Collection[str],
        *,
        token: str | None = None,
        checks_json: bool = False,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._token = None if token is None else token.encode()
        self._checks_json = checks_json
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            raise RuntimeError(f"expected http, websocket or lifespan, got: {scope['type']}")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._admit(scope)
            body = await self._body(receive)
        except Refusal as refusal:
            _log(refusal, scope)
            await refusal.answer(send)
        except _Left:
            pass
        else:
            await self._app(scope, _again(body, receive), send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._admit(scope)
        except Refusal as refusal:
            _log(refusal, scope)
            await receive()
            await send({"type": "websocket.close", "code": _REFUSED_BY_POLICY})
        else:
            await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        """Look at everything that is known before the body."""
        headers = _headers(scope)
        self._check_host(headers.get(b"host"))
        self._check_origin(headers.get(b"origin"), headers.get(b"sec-fetch-site"))
        if not scope["path"].startswith("/"):  # a whole URL: it would name another host than `Host` does
            raise Refusal(400, "bad_request", "expected a path that begins with /", "ask for /PATH alone")
        if self._token is not None:
            self._check_token(self._token, headers.get(b"authorization", b""))
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise Refusal(400, "bad_request", "expected Content-Length to be a number", "leave it to an HTTP client")
        if len(length) > 18 or int(length) > self._max_body_bytes:
            raise self._too_large()

    def _check_host(self, host: bytes | None) -> None:
        if host is None:
            raise Refusal(400, "bad_request", "expected a Host header", "leave it to an HTTP client")
        if _lower(host) not in self._hosts:
            hint = "call the server by the address that it said when it started"
            raise Refusal(403, "foreign_host", "this Host is not served here", hint)

    def _check_origin(self, origin: bytes | None, site: bytes | None) -> None:
        if origin is not None and _lower(origin) not in self._origins:
            raise Refusal(
                403, "foreign_origin", "pages of another origin may not ask", "ask from a page of this server"
            )
        if site is not None and _lower(site) not in ("none", "same-origin"):
            raise Refusal(403, "foreign_site", "pages of another site may not ask", "ask from a page of this server")

    def _check_token(self, token: bytes, authorization: bytes) -> None:
        scheme, _, given = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), token):
            what = "another token was given" if authorization else "a token is needed"
            challenge = ((b"www-authenticate", b'Bearer realm="tasktrail"'),)
            hint = "send the header Authorization: Bearer TOKEN; whoever started this server can tell the token"
            raise Refusal(401, "unauthorized", what, hint, challenge)

    async def _body(self, receive: Receive) -> bytes:
        body = bytearray()
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Left
            body += message.get("body", b"")
            has_more = message.get("more_body", False)
            if len(body) > self._max_body_bytes:
                raise self._too_large()
        if body and self._checks_json:
            _check_json(bytes(body))
        return bytes(body)

    def _too_large(self) -> Refusal:
        return Refusal(413, "too_large", f"expected at most {self._max_body_bytes:,} bytes", "send less at once")


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers by name; of two alike, different readers would believe different ones."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _ONCE and name in headers:
            raise Refusal(400, "bad_request", f"expected {name.decode()} once", "leave it to an HTTP client")
        headers[name] = value
    return headers


def _lower(value: bytes) -> str:
    return value.decode("latin-1").lower()


def _check_json(body: bytes) -> None:
    try:
        check(body)
    except BadInput as error:
        message = "; ".join((error.message, *error.details))
        raise Refusal(400, "bad_json", message, "send strict JSON") from None


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what hands out a body that was read, and then waits for the end of the client."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _log(refusal: Refusal, scope: Scope) -> None:
    """What was refused, and nothing of it: it may hold a secret."""
    client = scope.get("client") or ("?",)
    logger(__name__).info("refused a request of %s: %s (%d)", client[0], refusal.code, refusal.status)
