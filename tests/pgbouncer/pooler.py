"""A real PgBouncer for tests, in front of a server of theirs; it gives each transaction another session."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import psycopg

from tests.postgres import Server, as_somebody, end_with_us, uid

PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
"""None: not installed."""
_SETTINGS: Final = """\
[databases]
* = host={server}

[pgbouncer]
pool_mode = transaction
unix_socket_dir = {folder}
listen_port = 5432
auth_type = trust
auth_file = {folder}/users
default_pool_size = {sessions}
server_login_retry = 1
server_round_robin = 1
"""


class PgBouncer:
    """A pooler in transaction mode.

    Args:
        sessions: How many it has on the server; few, so that it passes them around.

    Attributes:
        folder: Where its socket lies.
    """

    def __init__(self, server: Server, sessions: int = 3) -> None:
        assert PROGRAM is not None, "apt-get install pgbouncer"
        self.folder = Path(tempfile.mkdtemp(prefix="pb-", dir="/tmp"))
        settings, log = self.folder / "ini", self.folder / "log"
        settings.write_text(_SETTINGS.format(server=server.folder, folder=self.folder, sessions=sessions), "utf-8")
        (self.folder / "users").write_text('"postgres" ""\n', "utf-8")
        if (owner := uid()) is not None:
            os.chown(self.folder, owner, owner)
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                as_somebody([PROGRAM, str(settings)]),
                stdout=file, stderr=file, preexec_fn=end_with_us, user=uid(), group=uid(),
            )  # fmt: skip
        end = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)

    def through(self, url: str) -> str:
        """Return the URL of a database of the server as it is reached through here."""
        folder = url.partition("host=")[2].partition("&")[0]
        return f"{url.replace(folder, str(self.folder))}&pooler=transaction"

    def close(self) -> None:
        """End it and remove what it has written."""
        self._process.kill()  # versions differ in which signal waits for whom
        self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
