"""Serves one client over stdin and stdout. What anything else prints goes to stderr, so that no message breaks."""

from __future__ import annotations

import anyio
from mcp.server.stdio import stdio_server

from tasktrail.logs import logger
from tasktrail.mcp.server import ProjectServer

__all__ = ["serve_stdio"]


def serve_stdio(project: ProjectServer) -> None:
    """Serve until stdin ends."""
    anyio.run(_serve, project)
    logger(__name__).info("the client has left: %s", project.calls.metrics.summary())


async def _serve(project: ProjectServer) -> None:
    server = project.build()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
