"""Serves one client over stdin and stdout. What anything else prints goes to stderr, so that no message breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError

from tasktrail.logs import logger
from tasktrail.mcp.server import ProjectServer

__all__ = ["serve_stdio"]


def serve_stdio(project: ProjectServer) -> None:
    """Serve until stdin ends; SIGTERM, SIGINT, and a stdout that cannot be written to end the process."""
    if sys.stdin.isatty():
        logger(__name__).warning("waiting for a client on stdin; to tell one: tasktrail mcp config CLIENT; Ctrl-D ends")
    anyio.run(_serve, project)
    logger(__name__).info("the client has left: %s", project.calls.metrics.summary())


async def _serve(project: ProjectServer) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(_leave, project, 0))
    server = project.build()
    async with stdio_server() as (incoming, outgoing):
        send, receive = anyio.create_memory_object_stream[SessionMessage | Exception]()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_pass_on, incoming, send, outgoing)
                await server.run(receive, outgoing, server.create_initialization_options())
        except anyio.get_cancelled_exc_class():
            logger(__name__).error("stdout cannot be written to any more")
            _leave(project, 1)


async def _pass_on(incoming: Any, send: MemoryObjectSendStream[SessionMessage | Exception], outgoing: Any) -> None:
    """Who sends what is no message hears so, and does not wait for an answer for ever."""
    fault = ErrorData(code=PARSE_ERROR, message="expected a line to be a JSON-RPC message in UTF-8")
    async with send:
        async for one in incoming:
            if isinstance(one, Exception):
                await outgoing.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=fault)))
            else:
                await send.send(one)


def _leave(project: ProjectServer, code: int) -> None:
    """End at once: the thread that reads stdin waits for a line, and an interpreter that ends waits for it."""
    logger(__name__).info("ended: %s", project.calls.metrics.summary())
    os._exit(code)
