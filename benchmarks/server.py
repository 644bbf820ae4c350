"""A PostgreSQL server of a subject's own: as durable as one in use, its data in the subject's folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.append(str(Path(__file__).parents[1]))  # tests know how to start one

if TYPE_CHECKING:
    from tests.postgres import Server

_DURABLE: Final = (
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "max_wal_size=1GB",
    "shared_buffers=128MB",
)


def missing() -> str | None:
    """Return what keeps a server from being started here and what to install, or None."""
    if find_spec("psycopg") is None:
        return "psycopg not installed"
    from tests.postgres import binaries

    try:
        binaries()
    except FileNotFoundError as error:
        return f"no PostgreSQL server: {str(error).partition(': ')[2]}"
    return None


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Give a new server; it ends with the block."""
    from tests.postgres import Server

    server = Server(_DURABLE, folder / "server")
    try:
        server.start()
        yield server
    finally:
        server.close()


def connect(server: Server) -> Any:
    """Return a connection of psycopg's that commits each statement and prepares it at once."""
    import psycopg

    connection = psycopg.connect(server.url(), autocommit=True)
    connection.prepare_threshold = 0
    return connection


def settings(server: Server) -> str:
    """Return how durable the server is, as it says itself."""
    with connect(server) as connection:
        shown = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in _SHOWN}
    version, *rest = shown.values()
    return ", ".join([f"PostgreSQL {version.split()[0]}", *map("{}={}".format, _SHOWN[1:], rest)])


_SHOWN: Final = ("server_version", "fsync", "synchronous_commit")


def cpu_s(server: Server) -> float:
    """Return how long the processors worked so far for the processes that the server has now."""
    task = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    pids = [server.pid, *map(int, task.read_text().split())]
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9
