"""Tells commands and functions of events: reads the log from its place, at least once each, the failing passed over."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tasktrail.config import environment
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event
from tasktrail.engine.readers import Logged, NamedReader, log_end
from tasktrail.logs import logger
from tasktrail.model.errors import TasktrailError
from tasktrail.model.reference import format_task
from tasktrail.model.scrub import scrub_text

__all__ = ["READER", "CommandFailed", "Notice", "Notifier", "command"]

READER: Final = "notify"
"""The name under which the place in the log is kept."""
WAITS_S: Final = (1.0, 5.0)
"""How long to wait before the second and the third try; there is no fourth."""
_TIMEOUT_S: Final = 60.0

Deliver = Callable[[Logged], object]
"""Tells somebody of an event; whatever it raises is a failure, and it is tried again."""


class CommandFailed(TasktrailError):
    """A command that was to be told of an event ended with another exit code than 0, or not in time."""

    code = "notice_failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """Who is told of what.

    Args:
        on: Verbs, and statuses that something came to; empty takes every event.
        of: Whether of tasks, or of runs as a whole.
        runs: Names of runs; empty takes all.
        types: Keys of tasks, in a matrix task types; empty takes all.
    """

    deliver: Deliver
    on: Collection[str] = ()
    of: Literal["task", "run"] = "task"
    runs: Collection[str] = ()
    types: Collection[str] = ()

    def concerns(self, one: Logged) -> bool:
        """Whether somebody is to be told of an event. A note or an edit brings a task to no status."""
        event = one.event
        if (event.key is None) == (self.of == "task"):
            return False
        came_to = event.to_status if event.to_status != event.from_status else None
        is_meant = not self.on or event.verb in self.on or came_to in self.on
        return is_meant and _is_among(one.run, self.runs) and _is_among(event.key, self.types)


def _is_among(name: str | None, names: Collection[str]) -> bool:
    return not names or name in names


class Notifier:
    """Tells of what comes after it was begun for the first time; what was told is kept in the store.

    Args:
        wait: Called with the seconds before another try.

    Raises:
        Held: Another process that lives does so.
    """

    def __init__(
        self,
        ledger: Ledger,
        notices: Sequence[Notice],
        *,
        name: str = READER,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.reader = NamedReader(ledger, name, begins=log_end(ledger).seq)
        self._notices, self._wait = notices, wait

    def tell(self) -> bool:
        """Tell of the next events, and keep the place behind them; return whether there were any."""
        page = self.reader.page()
        for one in page:
            self.tell_of(one)
        self.reader.done()
        return bool(page)

    def tell_of(self, one: Logged) -> None:
        """Tell all whom an event concerns. Who fails three times is passed over, so that nobody else waits."""
        for notice in self._notices:
            if notice.concerns(one):
                self._deliver(notice, one)

    def _deliver(self, notice: Notice, one: Logged) -> None:
        for wait_s in (*WAITS_S, None):
            try:
                notice.deliver(one)
                return
            except Exception as error:  # noqa: BLE001 - foreign code
                words = scrub_text(f"event {one.event.seq}: {type(error).__name__}: {error}")
            if wait_s is None:
                logger(__name__).warning("nobody was told of %s; passed over after %s tries", words, len(WAITS_S) + 1)
            else:
                logger(__name__).info("not told of %s; trying again in %s s", words, wait_s)
                self._wait(wait_s)


def command(arguments: Sequence[str], encode: Callable[[Logged], str], folder: Path) -> Deliver:
    """Return what runs a command for an event: the event on stdin, and the variables of `variables_of`.

    Args:
        encode: Gives the event as text.
        folder: Where the command works.
    """

    def deliver(one: Logged) -> None:
        import subprocess

        env = {**environment(), **variables_of(one)}
        try:
            done = subprocess.run(
                arguments, input=encode(one).encode(), env=env, cwd=folder, timeout=_TIMEOUT_S, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{arguments[0]} did not end within {_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise CommandFailed(f"{arguments[0]} cannot be executed: {error.strerror}") from None
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise CommandFailed(
                f"{arguments[0]} ended with exit code {done.returncode}{''.join(f': {x}' for x in last)}"
            )

    return deliver


def variables_of(one: Logged) -> Mapping[str, str]:
    """Return what a command finds in its environment."""
    event = one.event
    return {
        "TASKTRAIL_EVENT": str(event.seq), "TASKTRAIL_RUN": one.run or "", "TASKTRAIL_TASK": _task(one.run, event),
        "TASKTRAIL_VERB": event.verb, "TASKTRAIL_STATUS": event.to_status or "",
    }  # fmt: skip


def _task(run: str | None, event: Event) -> str:
    if event.key is None or run is None:
        return ""
    return format_task(run, event.key, event.item or "", -1 if event.map_index is None else event.map_index)
