"""What tells a client to start our server, ready to paste."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasktrail.model.errors import BadInput
from tasktrail.model.suggestion import Suggestions

__all__ = ["CLIENTS", "Snippet", "snippet"]

CLIENTS: Final[Mapping[str, str]] = {
    "claude-desktop": "claude_desktop_config.json (Settings > Developer > Edit Config)",
    "claude-code": ".mcp.json in the project's folder",
    "cursor": ".cursor/mcp.json in the project's folder",
    "vscode": ".vscode/mcp.json in the project's folder",
    "codex": "~/.codex/config.toml",
}
"""Where each client reads it. Source: the clients' documentation."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text, and where it goes."""

    file: str
    text: str


def snippet(client: str, root: Path, settings: Mapping[str, str], options: Sequence[str] = ()) -> Snippet:
    """Return what a client is told.

    The command is this interpreter with its whole path, since clients have another PATH than a shell; the folder is
    said, since they start servers anywhere.

    Args:
        settings: By name, as flags of the command line said them; they go along, but for a store's URL with a password.
        options: Of the command `mcp`.

    Raises:
        BadInput: Nobody knows such a client.
    """
    if client not in CLIENTS:
        known = ", ".join(CLIENTS)
        raise BadInput(f"no client is called {client}{Suggestions()(client, CLIENTS)}", hint=f"there are {known}")
    arguments = ["-m", "tasktrail", "-C", str(root), *_flags(settings), "mcp", *options]
    return Snippet(CLIENTS[client], _text(client, {"command": sys.executable, "args": arguments}))


def _flags(settings: Mapping[str, str]) -> list[str]:
    url = settings.get("store.url", "")
    return ["--store", url] if url and "@" not in url else []


def _text(client: str, server: dict[str, Any]) -> str:
    if client == "codex":
        lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in server.items())
        return "\n".join(["[mcp_servers.tasktrail]", *lines, ""])
    members = "servers" if client == "vscode" else "mcpServers"
    entry = {"type": "stdio", **server} if client in ("vscode", "claude-code") else server
    return json.dumps({members: {"tasktrail": entry}}, indent=2, ensure_ascii=False) + "\n"
