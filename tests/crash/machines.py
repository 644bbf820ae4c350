"""Machines for tests: network namespaces with a cable each to the machine of a server; the cables can be cut.

A namespace has no name: it is there as long as something of it is open, so nothing of it outlives the tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator

_NEW_NET = 0x40000000  # CLONE_NEWNET. Source: namespaces(7).
_OWN = "/proc/thread-self/ns/net"


def why_not() -> str | None:
    """Return why there can be no machines here; None when there can."""
    if shutil.which("ip") is None:
        return "no program ip (Debian: iproute2)"
    cable = ["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"]
    tried = subprocess.run(["unshare", "--net", *cable], capture_output=True)
    return None if tried.returncode == 0 else "the system lets us make no network namespaces"


class Machine:
    """A network namespace of its own."""

    def __init__(self) -> None:
        with _going_home():
            _check(_libc.unshare(_NEW_NET))
            self._fd = os.open(_OWN, os.O_RDONLY)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def path(self) -> str:
        """How `ip` names it, from wherever it is called."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread starts meanwhile, it starts on this machine."""
        with _going_home():
            _check(_libc.setns(self._fd, _NEW_NET))
            yield

    def run(self, *command: str) -> None:
        """Run a command here."""
        with self.entered():
            subprocess.run(command, check=True, capture_output=True)

    def close(self) -> None:
        """Let go of it; its end of a cable goes with it."""
        os.close(self._fd)


class Cable:
    """Between the machine of a server, which gets 10.77.N.1, and another one, which gets 10.77.N.2."""

    def __init__(self, server: Machine, other: Machine, number: int) -> None:
        self._server, self._name = server, f"to{number}"
        self.address = f"10.77.{number}.1"
        server.run("ip", "link", "add", self._name, "type", "veth", "peer", "name", "eth0", "netns", other.path)
        for machine, end, last in ((server, self._name, 1), (other, "eth0", 2)):
            machine.run("ip", "address", "add", f"10.77.{number}.{last}/24", "dev", end)
            machine.run("ip", "link", "set", end, "up")

    def cut(self) -> None:
        """From now on nothing gets through, and nobody is told."""
        self._server.run("ip", "link", "set", self._name, "down")

    def mend(self) -> None:
        """Let all through again."""
        self._server.run("ip", "link", "set", self._name, "up")


_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def _going_home() -> Iterator[None]:
    """Bring this thread back to where it was."""
    home = os.open(_OWN, os.O_RDONLY)
    try:
        yield
    finally:
        _check(_libc.setns(home, _NEW_NET))
        os.close(home)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
