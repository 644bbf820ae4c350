"""Serves many clients by streamable HTTP at `/mcp`, behind the guard that all our servers stand behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tasktrail.logs import logger
from tasktrail.mcp.server import ProjectServer
from tasktrail.serving.address import Address
from tasktrail.serving.server import Server

__all__ = ["PATH", "application", "serve_http"]

PATH: Final = "/mcp"


def application(project: ProjectServer) -> ASGIApp:
    """Return the ASGI application; who asks for what is the guard's business, which must stand in front of it."""

    async def metrics(_: Request) -> PlainTextResponse:
        return PlainTextResponse(project.calls.metrics.text())

    return project.build().streamable_http_app(
        streamable_http_path=PATH,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        custom_starlette_routes=[Route("/metrics", metrics)],
    )


def serve_http(project: ProjectServer, address: Address, token: str | None, told: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        token: What clients must send; None asks for none, which only a loopback address may do.
        told: Gets the URL once somebody listens there.

    Raises:
        BadInput: The address needs a token or TLS, or is taken.
    """
    server = Server(application(project), address, token=token, checks_json=True)
    server.run(lambda port: told(f"{address.url(port)}{PATH}"))
    logger(__name__).info("ended: %s", project.calls.metrics.summary())
