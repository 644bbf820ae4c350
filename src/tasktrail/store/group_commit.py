"""Threads share commits: whoever comes first leads, those who come meanwhile go with the next one."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Final

_LARGEST_BATCH: Final = 256
_LONGEST_WAIT_S: Final = 0.5
"""Who was not told anything for so long looks for itself: whoever had to tell it may have been interrupted."""


class Ticket:
    """One caller's work, its result or error, and the lock it waits on while somebody else leads."""

    __slots__ = ("batch", "error", "patience_s", "result", "wake", "withdrawn", "work")

    def __init__(self, work: Callable[[Any], Any], patience_s: float) -> None:
        self.work = work
        self.patience_s = patience_s
        self.result: Any = None
        self.error: BaseException | None = None
        self.batch: Batch | None = None
        self.wake: threading.Lock | None = None
        self.withdrawn = False

    @property
    def done(self) -> bool:
        """Whether nothing is to be done for it any more."""
        return self.withdrawn or (self.batch is not None and self.batch.done)

    def outcome(self) -> Any:
        """Return the result, or raise what the work or the commit raised."""
        if self.error is not None:
            raise self.error
        return self.result


class Batch:
    """The tickets of one commit. That it is done is one assignment, so no interruption can leave it half done."""

    __slots__ = ("done", "tickets")

    def __init__(self, tickets: list[Ticket]) -> None:
        self.tickets = tickets
        self.done = False


class GroupCommit:
    """Runs work in as few commits as the callers' concurrency allows.

    An uncontended caller commits on its own thread, no hop. A caller that comes while a commit runs waits; when it
    ends, the first of those who wait leads the next commit for all of them.

    A thread may be interrupted (KeyboardInterrupt) between any two lines here. Therefore the turn is only ever taken
    by a `with`, and nobody waits without end for being told.

    Args:
        commit: Runs the tickets in one transaction and sets result or error of each. It raises only what interrupts
            its thread; then all is rolled back, or the batch is marked as done.
    """

    def __init__(self, commit: Callable[[Batch], None]) -> None:
        self._commit = commit
        self._turn = threading.Lock()
        self._waiting: deque[Ticket] = deque()
        self._leader: int | None = None

    def submit(self, ticket: Ticket) -> Any:
        """Run the ticket's work; return its result once it is committed."""
        if self._leader == threading.get_ident():
            raise RuntimeError("a transaction was asked for inside a transaction of the same thread")
        try:
            if self._turn.locked() or self._waiting:
                self._wait(ticket)
            while not ticket.done:
                with self._turn:
                    if not ticket.done:
                        self._lead(ticket)
                self._pass_on()
        except BaseException:
            self._withdraw(ticket)
            raise
        return ticket.outcome()

    def _wait(self, ticket: Ticket) -> None:
        """Sleep until the ticket is done or its caller is to lead; who leads does the work in the caller's context."""
        work: Callable[[Any], Any] = partial(copy_context().run, ticket.work)  # type: ignore[call-arg]  # takes the rest
        ticket.work = work
        ticket.wake = threading.Lock()
        ticket.wake.acquire()
        self._waiting.append(ticket)
        if self._turn.locked() or not self._is_first(ticket):
            ticket.wake.acquire(timeout=_LONGEST_WAIT_S)

    def _is_first(self, ticket: Ticket) -> bool:
        """Whether it is to lead by itself: who led until just now may have looked for an heir before it came."""
        try:
            return self._waiting[0] is ticket
        except IndexError:  # somebody leads it already
            return False

    def _lead(self, own: Ticket) -> None:
        batch = Batch(self._take(own))
        try:
            self._leader = threading.get_ident()
            for ticket in batch.tickets:
                ticket.batch = batch
            self._commit(batch)
            batch.done = True
        finally:
            self._leader = None
            for ticket in batch.tickets:
                if ticket is not own:
                    self._tell(ticket)

    def _take(self, own: Ticket) -> list[Ticket]:
        """Return those who wait, in the order they came; the leader's own ticket among them, wherever it was."""
        tickets: list[Ticket] = []
        while self._waiting and len(tickets) < _LARGEST_BATCH:
            ticket = self._waiting.popleft()
            if not ticket.done:
                tickets.append(ticket)
        return tickets if own in tickets else [own, *tickets]

    def _pass_on(self) -> None:
        """Let the first who waits lead; whoever comes from now on sees that the turn is free."""
        with contextlib.suppress(IndexError):  # somebody took it just now
            if self._waiting:
                self._tell(self._waiting[0])

    def _tell(self, ticket: Ticket) -> None:
        if ticket.wake is not None:
            with contextlib.suppress(RuntimeError):  # it was told already
                ticket.wake.release()

    def _withdraw(self, ticket: Ticket) -> None:
        """A caller was interrupted: its work is not done, unless it is being committed just now."""
        ticket.withdrawn = True
        if self._leader == threading.get_ident():
            self._leader = None
        with contextlib.suppress(ValueError):
            self._waiting.remove(ticket)
        self._pass_on()
