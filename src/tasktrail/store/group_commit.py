"""Threads share commits: whoever comes first leads, those who come meanwhile go with the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

_LARGEST_BATCH: Final = 256


class Ticket:
    """One caller's work, its result or error, and the lock it waits on while somebody else leads."""

    __slots__ = ("error", "leads", "patience_s", "result", "wake", "work")

    def __init__(self, work: Callable[[Any], Any], patience_s: float) -> None:
        self.work = work
        self.patience_s = patience_s
        self.result: Any = None
        self.error: BaseException | None = None
        self.wake: threading.Lock | None = None
        self.leads = False

    def outcome(self) -> Any:
        """Return the result, or raise what the work or the commit raised."""
        if self.error is not None:
            raise self.error
        return self.result


class GroupCommit:
    """Runs work in as few commits as the callers' concurrency allows.

    An uncontended caller commits on its own thread, no hop. A caller that comes while a commit runs waits; when it
    ends, the first of those who wait leads the next commit for all of them.

    Args:
        commit: Runs the tickets in one transaction and sets result or error of each; never raises.
    """

    def __init__(self, commit: Callable[[Sequence[Ticket]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._led = False
        self._leader: int | None = None

    def submit(self, ticket: Ticket) -> Any:
        """Run the ticket's work; return its result once it is committed."""
        if self._leader == threading.get_ident():
            raise RuntimeError("a transaction was asked for inside a transaction of the same thread")
        with self._lock:
            leads = not self._led
            if leads:
                self._led = True
            else:
                ticket.wake = threading.Lock()
                ticket.wake.acquire()
                self._waiting.append(ticket)
        if leads:
            self._lead([ticket], ticket)
        else:
            self._follow(ticket)
        return ticket.outcome()

    def _follow(self, ticket: Ticket) -> None:
        assert ticket.wake is not None
        try:
            ticket.wake.acquire()
        except BaseException:
            self._give_up(ticket)
            raise
        if ticket.leads:
            self._lead(self._take(), ticket)

    def _take(self) -> list[Ticket]:
        with self._lock:
            batch = self._waiting[:_LARGEST_BATCH]
            del self._waiting[:_LARGEST_BATCH]
        return batch

    def _lead(self, batch: list[Ticket], own: Ticket) -> None:
        self._leader = threading.get_ident()
        try:
            self._commit(batch)
        finally:
            self._leader = None
            self._pass_on()
            for ticket in batch:
                if ticket is not own and ticket.wake is not None:
                    ticket.wake.release()

    def _pass_on(self) -> None:
        """Let the first who waits lead, or leave the place free."""
        with self._lock:
            if not self._waiting:
                self._led = False
                return
            heir = self._waiting[0]
            heir.leads = True
            assert heir.wake is not None
            heir.wake.release()

    def _give_up(self, ticket: Ticket) -> None:
        """A caller was interrupted while it waited: its work is withdrawn unless it is being committed just now."""
        with self._lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        if ticket.leads:
            self._pass_on()
