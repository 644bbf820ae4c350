"""`mcp`: serve the project to agents by the Model Context Protocol, and print what tells a client how to start it."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli.session import Group, Session, session_of, tell
from tasktrail.model.errors import BadInput, TasktrailError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasktrail.mcp.server import ProjectServer

PORT: Final = 8001
"""Beside 8000, where others like to be. Source: document 001, Phase 2A."""

_GRACE_S: Final = 1.5
"""How long calls may go on that nobody waits for: clients wait two seconds before they kill."""


@click.group("mcp", cls=Group, invoke_without_command=True)
@click.option(
    "--transport", type=click.Choice(("stdio", "http")), default="stdio", show_default=True,
    help="stdio: one client, which starts this; http: streamable HTTP at /mcp.",
)  # fmt: skip
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65_535), default=PORT, show_default=True, help="0: any that is free.")
@click.option("--url", "urls", metavar="URL", multiple=True, help="By which it is reached besides: a proxy's.")
@click.option(
    "--tls-cert", "tls_certificate", metavar="FILE", type=click.Path(path_type=Path), help="PEM, to speak TLS."
)
@click.option("--tls-key", metavar="FILE", type=click.Path(path_type=Path), help="Its key.")
@click.option("--behind-proxy", is_flag=True, help="A proxy that speaks TLS passes requests on.")
@click.option("--token", "asks_token", is_flag=True, help="Ask for the token also on a loopback address.")
@click.option("--toolsets", metavar="NAMES", help="What is offered: plan, plan-more, executions, matrix, runs, or all.")
@click.option("--read-only", is_flag=True, help="Offer no tool that changes something.")
@click.option("--plan", metavar="NAME", help="Which plan; else that of architecture/task-breakdown.json, else main.")
@click.option("--conformance-fixtures", "has_fixtures", is_flag=True, hidden=True)
@click.pass_context
def mcp_command(
    ctx: click.Context,
    transport: str,
    host: str,
    port: int,
    urls: Sequence[str],
    tls_certificate: Path | None,
    tls_key: Path | None,
    behind_proxy: bool,
    asks_token: bool,
    toolsets: str | None,
    read_only: bool,
    plan: str | None,
    has_fixtures: bool,
) -> None:
    """Serve the project to agents by the Model Context Protocol, until the client leaves, or SIGTERM.

    Over stdio the client starts this command: `tasktrail mcp config CLIENT` prints how it is told to. stdout is the
    protocol's alone; log lines go to stderr (-v: one for each call).

    \b
    tasktrail mcp
    tasktrail mcp --toolsets executions --read-only
    tasktrail mcp --transport http --port 8001
    """
    if ctx.invoked_subcommand is not None:
        return
    session = session_of(ctx)
    session.log()
    project = _project(session, toolsets, plan, read_only=read_only, has_fixtures=has_fixtures)
    if transport == "stdio":
        from tasktrail.mcp.stdio import serve_stdio

        serve_stdio(project)
        _end_soon()
        return
    from tasktrail.mcp.http import serve_http
    from tasktrail.serving.address import Address

    address = Address(host, port, tuple(urls), tls_certificate, tls_key, behind_proxy)
    token = _token(session) if asks_token or address.is_public else None
    serve_http(project, address, token, lambda url: tell(f"serving {url}"))
    _end_soon()


def _end_soon() -> None:
    """An interpreter that ends waits for its threads, and one may wait for a lock as long as somebody holds it."""
    late = threading.Timer(_GRACE_S, os._exit, (0,))
    late.daemon = True
    late.start()


def _token(session: Session) -> str:
    """Return what clients must send, and say where they find it, never what it is."""
    from tasktrail.serving.token import find_token

    found = find_token(session.config)
    tell(f"clients send Authorization: Bearer TOKEN; the token: {found.origin}")
    return found.text


def _project(
    session: Session, toolsets: str | None, plan: str | None, *, read_only: bool, has_fixtures: bool
) -> ProjectServer:
    try:
        with _keeping_what_is_made():
            from tasktrail.mcp.calls import Limits
            from tasktrail.mcp.server import ProjectServer
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("mcp", "mcp_types", "anyio"):
            raise
        raise TasktrailError("the package mcp is not installed", hint="pip install 'tasktrail[mcp]'") from None
    from tasktrail.mcp.toolsets import Offer

    config = session.config
    names = tuple(filter(None, toolsets.replace(" ", "").split(","))) if toolsets is not None else config.mcp_toolsets
    if not names:
        raise BadInput("expected --toolsets to name one at least", hint="tasktrail mcp --toolsets plan,executions")
    offer = Offer(
        names, read_only or config.mcp_read_only == "on", Path.cwd(), plan, {**session.flags, **_said_actor(session)}
    )
    return ProjectServer(offer, Limits(config.mcp_timeout_s, config.mcp_calls_per_s), has_fixtures)


@contextmanager
def _keeping_what_is_made() -> Iterator[None]:
    """What the SDK's import makes stays: nobody need look for garbage in it, neither now nor while calls wait."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _said_actor(session: Session) -> dict[str, str]:
    """An actor that somebody chose wins over the name of a client."""
    chosen = {
        name: value for name, value, origin in session.config.origins() if name == "actor" and origin != "default"
    }
    return {name: str(value) for name, value in chosen.items()}


@mcp_command.command("config")
@click.argument("client", metavar="CLIENT")
@click.pass_context
def config_command(ctx: click.Context, client: str) -> None:
    """Print what is pasted into a client's settings, and where that is.

    CLIENT is claude-desktop, claude-code, cursor, vscode or codex. Options of `mcp` go along:

    \b
    tasktrail mcp --toolsets all config claude-code
    """
    from tasktrail.mcp.client_config import snippet

    session = session_of(ctx)
    found = snippet(client, Path.cwd(), session.flags, _given(ctx))
    if session.json:
        from tasktrail.cli.documents import emit

        emit("mcp-config@1", {"id": client, "file": found.file, "text": found.text})
        return
    sys.stdout.write(found.text)
    tell(f"it goes into {found.file}")


def _given(ctx: click.Context) -> list[str]:
    """Return the options of the command before that say what is served."""
    assert ctx.parent is not None
    said = ctx.parent.params
    flags = ["--read-only"] if said["read_only"] else []
    options = [(f"--{name}", said[name]) for name in ("toolsets", "plan") if said[name] is not None]
    return [*flags, *(word for option in options for word in option)]
