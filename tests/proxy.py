"""A man in the middle of a connection to a server: passes bytes on, until a test says what becomes of a commit."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from pathlib import Path
from typing import Literal

Fate = Literal["pass", "lose the request", "lose the answer", "keep the server"]


class Proxy:
    """Listens on a socket of its own and passes all on to a server's.

    Args:
        listening: The socket, bound.
        target: The address of the server's, of the same family.

    Attributes:
        fate: What becomes of the next statement that holds `word`; once it happened it is `pass` again.
        word: Bytes that tell the statement.
        refused: How many connections it did not take.
    """

    def __init__(self, listening: socket.socket, target: str | tuple[str, int], word: bytes = b"COMMIT") -> None:
        self._listening, self._target = listening, target
        self.word, self.fate = word, "pass"
        self._is_down = False
        self.refused = 0
        self._open: list[socket.socket] = []
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def of_postgres(cls, folder: Path, target: Path) -> Proxy:
        """Return one between two folders of a PostgreSQL server's socket."""
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(folder / ".s.PGSQL.5432"))
        return cls(listening, str(target / ".s.PGSQL.5432"))

    @classmethod
    def of_port(cls, port: int, word: bytes) -> Proxy:
        """Return one before a port of this machine."""
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        return cls(listening, ("127.0.0.1", port), word)

    @property
    def folder(self) -> Path:
        """Where its socket lies, if that is a file."""
        return Path(str(self._listening.getsockname())).parent

    @property
    def port(self) -> int:
        """Where it listens, if that is a port."""
        return int(self._listening.getsockname()[1])

    def cut(self) -> None:
        """End all connections, and take no new ones until `mend`."""
        self._is_down = True
        for end in self._open:
            _shut(end)

    def refuse(self) -> None:
        """Take no new connections until `mend`; those that are there go on."""
        self._is_down = True

    def mend(self) -> None:
        """Take connections again."""
        self._is_down = False

    def close(self) -> None:
        """End."""
        self._is_down = True
        _shut(self._listening)
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._is_down:
                    self.refused += 1
                    client.close()
                    continue
                server = socket.socket(self._listening.family)
                server.connect(self._target)
                self._open += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        mute = False
        with contextlib.suppress(OSError, ValueError), client, server:  # a socket that `cut` closed has no number
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is client and self.word in data and self.fate != "pass":
                        lost, self.fate = self.fate, "pass"
                        if lost == "keep the server":  # it does not hear that its client has gone
                            self._open.append(server.dup())
                        if lost != "lose the answer":
                            return
                        mute = True
                    if end is server and mute:
                        return
                    (server if end is client else client).sendall(data)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
