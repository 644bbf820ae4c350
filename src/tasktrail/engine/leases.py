"""Leases of agents on tasks: their tokens and their clock. Source: DESIGN §5.4 to 5.6.

A token is the secret of one claim. It also says how long the lease is, so that every call that carries it can renew it;
the attempt's span is made from it, so that a late answer is known. Behind it the store keeps in which boot of the
machine the lease counts: that is another one once it is renewed after a restart.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import BadInput
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Holding:
    """A claim that has not ended; `ran_out` once nobody renewed its lease in time."""

    key: str
    owner: str
    ran_out: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim's token, and until when it holds on the leases' clock in that boot."""

    token: str
    until: int
    boot: str

    @property
    def stored(self) -> str:
        """What its task keeps of it; see `Task.claim_token`."""
        return f"{self.token}.{self.boot}"

    @property
    def span_id(self) -> str:
        """Of the attempt that it begins."""
        return span_of(self.token)


def lease(tx: Transaction, ledger: Ledger, lease_s: float) -> Lease:
    """Return a new lease.

    Raises:
        BadInput: It is too short or too long.
    """
    if not SHORTEST_S <= lease_s <= LONGEST_S:
        raise BadInput(f"expected a lease of {SHORTEST_S:g} to {LONGEST_S:g} seconds, got: {lease_s!r}")
    lease_us = round(lease_s * 1_000_000)
    return _lease(tx, ledger, f"{ledger.ids.token()}.{lease_us}")


def span_of(token: str) -> str:
    """Return the span of the attempt that a token's claim began."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def renew_in(tx: Transaction, ledger: Ledger, task: Task, token: str | None) -> bool:
    """Renew the lease of a claim, also one that ran out and nobody took over; return whether the token holds it."""
    if token is None or token != task.claim_token:
        return False
    new = _lease(tx, ledger, token)
    return tx.row("renew_claim", id=task.id, was=task.lease_token, token=new.stored, until=new.until) is not None


def ran_out(tx: Transaction, ledger: Ledger, run: Run) -> list[Task]:
    """Return the tasks of a plan that are in progress under a lease that ran out."""
    claimed = tx.tasks("claimed_of_run", run_id=run.id)
    if not claimed:
        return []
    now, boot = _clock(tx, ledger)
    return [task for task in claimed if _is_over(task, now, boot)]


def holdings(tx: Transaction, ledger: Ledger, run: Run) -> list[Holding]:
    """Return the claims on a plan's tasks that have not ended."""
    over = {task.id for task in ran_out(tx, ledger, run)}
    claimed = tx.tasks("claimed_of_run", run_id=run.id)
    return [Holding(task.key, owner_in(tx, task), task.id in over) for task in claimed]


def owner_in(tx: Transaction, task: Task) -> str:
    """Return who began a task's last attempt."""
    return str(tx.attempts("attempts_of_task", task_id=task.id)[-1].actor)


def _lease(tx: Transaction, ledger: Ledger, token: str) -> Lease:
    """Begin the lease of a token, for the first time or anew."""
    now, boot = _clock(tx, ledger)
    return Lease(token, now + int(token.split(".")[1]), boot)


def _is_over(task: Task, now: int, boot: str) -> bool:
    """The clock begins anew with each boot of the machine: what is of another one says nothing any more."""
    return (task.lease_until or 0) <= now or not str(task.lease_token).endswith(f".{boot}")


def _clock(tx: Transaction, ledger: Ledger) -> tuple[int, str]:
    """Return the time of leases, and what tells its boot from others: of this machine, or of none on a server."""
    row = tx.row("lease_now", boot_now=ledger.clock.boot_us(), boot_id=ledger.clock.boot_id())
    assert row is not None
    return int(str(row[0])), hashlib.sha256(str(row[1]).encode()).hexdigest()[:8]
