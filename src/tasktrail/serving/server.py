"""One application on one address, behind the guard, until somebody says that it is enough."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tasktrail.engine.loops import run_to_end
from tasktrail.logs import adopt
from tasktrail.model.errors import BadInput, TasktrailError
from tasktrail.serving.address import Address, check
from tasktrail.serving.asgi import App, Message, Receive, Scope, Send
from tasktrail.serving.guard import MAX_BODY_BYTES, Guard

if TYPE_CHECKING:
    from tasktrail.serving.listener import Listener


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server bears.

    Args:
        deadline_s: A request must be there within it, with its body. How long its answer takes is not limited.
        grace_s: Answers that are under way have this long when the server ends.
        most_connections: Beyond, requests are answered with 503.
    """

    max_body_bytes: int = MAX_BODY_BYTES
    deadline_s: float = 30.0
    grace_s: float = 3.0
    most_connections: int = 200


_LIMITS: Final = Limits()


class Server:
    """Serves an application, which must understand `lifespan`. The port is taken at once, answers come with `run`.

    Args:
        token: What clients must send; None asks for none, which only a loopback address may do.
        checks_json: Bodies must be strict JSON.

    Raises:
        BadInput: The address needs more, or is taken.
    """

    def __init__(
        self,
        app: App,
        address: Address,
        *,
        token: str | None = None,
        checks_json: bool = False,
        limits: Limits = _LIMITS,
    ) -> None:
        check(address, has_token=token is not None)
        _need_uvicorn()
        tls = _tls(address)
        self._app = _Application(app)
        self._socket = _bind(address)
        self.port: int = self._socket.getsockname()[1]
        guard = Guard(
            self._app,
            address.hosts(self.port),
            address.origins(self.port),
            token=token,
            checks_json=checks_json,
            max_body_bytes=limits.max_body_bytes,
        )
        self._listener = _listener(guard, tls, limits)

    def run(self, told: Callable[[int], None] = lambda _: None) -> None:
        """Serve until SIGTERM or SIGINT comes, where this is the main thread, or `stop` is called.

        Args:
            told: Called with the port once requests are answered.

        Raises:
            Exception: What the application raised when it started or ended.
            TasktrailError: It said that it cannot start.
        """
        self._listener.told = lambda: told(self.port)
        try:
            run_to_end(self._listener.serve([self._socket]))
        except SystemExit:  # so uvicorn ends when the application does not start
            if self._app.fault is None:
                raise TasktrailError("the application of the server did not start") from None
        finally:
            self._socket.close()
        if self._app.fault is not None:
            raise self._app.fault

    def stop(self) -> None:
        """Have `run` return soon; from any thread, at any time."""
        self._listener.should_exit = True


class _Application:
    """An application; what it raises when it starts or ends is kept for the caller, where uvicorn would only log it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.fault: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        is_told = False

        async def tell(message: Message) -> None:
            nonlocal is_told
            is_told = True
            await send({"type": message["type"]})  # without the stack that it may have as its message

        try:
            await self._app(scope, receive, tell)
        except Exception as error:  # noqa: BLE001  # foreign code; the caller gets it
            self.fault = error
            if not is_told:
                await send({"type": "lifespan.startup.failed"})


def _need_uvicorn() -> None:
    try:
        import uvicorn  # noqa: F401  # only whether it is there, before a port is taken
    except ImportError as error:
        raise TasktrailError("a server needs uvicorn", hint="pip install 'tasktrail[mcp]'") from error


def _tls(address: Address) -> ssl.SSLContext | None:
    if address.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:  # the empty password is wrong for a key that has one: else a server would ask for it on the terminal
        context.load_cert_chain(address.certificate, address.key, password="")
    except OSError as error:
        files = f"{address.certificate} and {address.key}"
        raise BadInput(f"cannot use the certificate and key {files}: {error.strerror or error}") from error
    return context


def _bind(address: Address) -> socket.socket:
    where = f"{address.host} port {address.port}"
    try:
        family, kind, _, _, place = socket.getaddrinfo(address.listens_on, address.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise BadInput(f"cannot listen on {where}: {error.strerror}") from error
    try:
        if os.name != "nt":  # where it would let two programs have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen()
    except OSError as error:
        listening.close()
        is_taken = error.errno == errno.EADDRINUSE
        hint = "take another port; 0 is any that is free" if is_taken else None
        raise BadInput(f"cannot listen on {where}: {error.strerror}", hint=hint) from error
    return listening


def _listener(guard: Guard, tls: ssl.SSLContext | None, limits: Limits) -> Listener:
    import uvicorn

    from tasktrail.serving.listener import Listener, protocol

    adopt("uvicorn")
    config = uvicorn.Config(
        guard,
        interface="asgi3",
        http=protocol(limits.deadline_s),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        forwarded_allow_ips="",
        server_header=False,
        limit_concurrency=limits.most_connections,
        workers=1,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    return Listener(config, limits.grace_s)
