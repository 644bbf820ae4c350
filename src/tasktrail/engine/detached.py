"""A run that a process of its own executes, which goes on when this one ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Thread
from typing import IO, Final

from tasktrail.config import environment
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.spans import enclosing
from tasktrail.model.attempt import traceparent, w3c_span
from tasktrail.model.errors import TasktrailError
from tasktrail.model.run import Run

_BEGINS_WITHIN_S: Final = 2.0
"""What is wrong with a run's code shows by then; what takes longer is seen in the run alone."""
_LOOK_EVERY_S: Final = 0.05
_KEPT_BYTES: Final = 4 * 1024
_LINES: Final = 10
_HINT: Final = "hint: "
"""What the last line begins with where the command knows what helps."""
_STAYS: Final = "the run stays as it is: once that is mended, it can be retried"


def execute_detached(
    ledger: Ledger, run: Run, command: Sequence[str], *, folder: Path, settings: Mapping[str, str]
) -> Run:
    """Let a command in a process of its own execute a run; return the run once it is taken up, or a moment later.

    Args:
        command: Arguments of `tasktrail`.
        folder: That of the project.
        settings: What the command finds in its environment, by name.

    Raises:
        TasktrailError: The process ended with an error before it had taken the run up; the details are its last words.
    """
    with TemporaryFile() as stderr:
        process = _start(command, folder, environment(settings), stderr)
        code = _ended_before(ledger, run, process)
        if code:
            words = f"run {run.name} was not executed: the process for it ended with exit code {code}"
            said = _last_lines(ledger, stderr)
            hint = said.pop().removeprefix(_HINT) if said and said[-1].startswith(_HINT) else _STAYS
            raise TasktrailError(words, hint=hint, details=said)
    return ledger.store.read(lambda tx: tx.run(run.id))


def _start(command: Sequence[str], folder: Path, env: dict[str, str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that no signal to ours ends it; without our stdout, which may be a protocol."""
    if (around := enclosing()) is not None:
        env["TRACEPARENT"] = traceparent(*w3c_span(*around))
    return subprocess.Popen(
        [sys.executable, "-m", "tasktrail", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        cwd=folder,
        env=env,
        start_new_session=True,
    )


def _ended_before(ledger: Ledger, run: Run, process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit code of a process that ended before it took the run up; None: it did, or still may."""
    ended, deadline = Event(), time.monotonic() + _BEGINS_WITHIN_S
    Thread(target=_reap, args=(process, ended), name="tasktrail-reap", daemon=True).start()
    while not ended.wait(_LOOK_EVERY_S) and time.monotonic() < deadline:
        if _is_taken_up(ledger, run):
            return None
    return process.returncode if ended.is_set() and not _is_taken_up(ledger, run) else None


def _reap(process: subprocess.Popen[bytes], ended: Event) -> None:
    process.wait()
    ended.set()


def _is_taken_up(ledger: Ledger, before: Run) -> bool:
    now = ledger.store.read(lambda tx: tx.run(before.id))
    is_begun = before.started_at is None and now.started_at is not None
    return is_begun or now.resumes > before.resumes or now.owner_token not in (None, before.owner_token)


def _last_lines(ledger: Ledger, stderr: IO[bytes]) -> list[str]:
    stderr.seek(max(0, stderr.seek(0, 2) - _KEPT_BYTES))
    text = ledger.clean_text(stderr.read().decode("utf-8", "replace")) or ""
    return [line.strip() for line in text.splitlines() if line.strip()][-_LINES:]
