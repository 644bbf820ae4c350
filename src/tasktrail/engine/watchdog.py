"""Ends what we started when we ourselves are killed: a shell that waits for our pipe to close, and nothing else."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from itertools import count
from pathlib import Path
from typing import Final

from tasktrail.engine.strays import MARK

_NOT_FOR_IT: Final = [one for one in signal.Signals if one.name in ("SIGHUP", "SIGINT", "SIGTERM")]
_SCRIPT: Final = """
folder=$1 groups=' '
while read -r line; do
  case $line in
    +*) groups="$groups${line#+} " ;;
    *) groups="${groups%% "${line#-}" *} ${groups#* "${line#-}" }" ;;
  esac
done
strays() {
  set -- "$folder"/*/
  [ -d "$1" ] || return
  for file in $(grep -lsF "@MARK@=$folder/" /proc/[0-9]*/environ); do
    process=${file#/proc/} process=${process%/environ}
    read -r stat <"/proc/$process/stat" || continue
    set -- ${stat##*) }
    case $groups in *" $3 "*) ;; *) echo "$process" ;; esac
  done
}
tell() {
  living=
  for group in $groups; do kill -s "$1" -- "-$group" && living=yes; done
  for process in $(strays); do kill -s "$1" -- "$process" && living=yes; done
}
tell TERM
for moment in 1 2 3 4 5 6 7 8 9 10; do
  tell 0
  [ "$living" ] || break
  sleep 0.2 || sleep 1
done
tell KILL
rm -rf -- "$folder"
""".replace("@MARK@", MARK)
"""Reads `+GROUP` and `-GROUP`, a line each. At the end of its input its owner is gone: what is left of the groups is
told to end, and killed two seconds later. A group that exists no more is no error.

Strays are looked for as long as the folder of an attempt is there, whose end came with that of its owner: also what was
started in that very moment, and that nobody could tell of."""


class Watchdog:
    """One shell that outlives this process for a moment, and a private folder that it removes then.

    A process that is killed cannot clean up after itself, and the system ends no grandchildren for it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tasktrail-"))
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._numbers = count(1)
        self._start()

    def _start(self) -> None:
        """In a session of its own, so that no Ctrl-C and no kill of our group reaches it."""
        # It inherits what is blocked: no moment is left to be hit in.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_IT)
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "tasktrail-watchdog", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def watch(self, group: int) -> None:
        """From now on this process group ends with us."""
        with self._lock:
            self._groups.add(group)
            self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """This process group has ended."""
        with self._lock:
            self._groups.discard(group)
            self._tell(f"-{group}\n")

    def new_folder(self) -> Path:
        """Return a folder that nobody else can read."""
        path = self.folder / str(next(self._numbers))
        path.mkdir(mode=0o700)
        return path

    def _tell(self, line: str) -> None:
        """Somebody may have killed the shell: then another one takes its place."""
        assert self._shell.stdin is not None
        try:
            self._shell.stdin.write(line.encode())
        except BrokenPipeError:
            self._close()
            self._shell.wait()
            self._start()
            self._shell.stdin.write("".join(f"+{group}\n" for group in self._groups).encode())

    def end(self) -> None:
        """End it as if we were gone; what it still watches is ended, and the folder removed after that."""
        with self._lock:
            self._close()
            self._let_go()

    def leave(self) -> None:
        """In a forked child: it belongs to the parent, whose end it must not hide."""
        self._close()
        self._shell.returncode = 0

    def _close(self) -> None:
        assert self._shell.stdin is not None
        with contextlib.suppress(OSError):
            self._shell.stdin.close()

    def _let_go(self) -> None:
        """With nothing to end it ends at once; else it may outlive us, which is no reason for a warning."""
        if not self._groups:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._shell.wait(timeout=1)
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._shell.returncode is None:
            self._shell.returncode = 0


_starting = threading.Lock()
_watchdog: Watchdog | None = None


def watchdog() -> Watchdog:
    """Return this process's watchdog; the first call starts it."""
    global _watchdog
    with _starting:
        if _watchdog is None:
            _watchdog = Watchdog()
            atexit.register(_watchdog.end)
        return _watchdog


def _leave_to_parent() -> None:
    global _watchdog, _starting
    _starting = threading.Lock()
    if _watchdog is not None:
        atexit.unregister(_watchdog.end)
        _watchdog.leave()
        _watchdog = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
