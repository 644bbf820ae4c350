"""Who executes what: this process as a worker, which others live, and whose a run is."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary, finalize

from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import Held
from tasktrail.model.run import Run
from tasktrail.store.forking import ForkLock
from tasktrail.store.seam import LEASE_S, Life, Store
from tasktrail.store.transaction import Row, Transaction


@dataclass(frozen=True, slots=True)
class Worker:
    """This process, as the store knows it."""

    id: int
    pid: int
    life: Life


_registering: Final = ForkLock()
active: Final[set[str]] = set()
"""Tokens of the executions of this process. One that the store still names and that is not here has ended badly."""

_workers: Final[WeakKeyDictionary[Store, Worker]] = WeakKeyDictionary()


def worker_of(
    ledger: Ledger,
    patience_s: float | None = None,
    *,
    serves: tuple[Sequence[str], Sequence[str]] | None = None,
    lease_s: float = LEASE_S,
) -> Worker:
    """Return this process's worker in the ledger's store; the first call registers it and marks the dead as stopped.

    Args:
        serves: Queues that it serves and labels that it offers; None: it executes runs that it owns.
        lease_s: How long its death may go unnoticed in a store that is told of it by leases alone.
    """
    with _registering.held():
        known = _workers.get(ledger.store)
        if known is not None and known.pid == os.getpid():
            return known
        return _register(ledger, patience_s, serves, lease_s)


def renew(ledger: Ledger, lease_s: float | None) -> bool:
    """Say that this process's worker is well; return False when it was taken for dead meanwhile.

    Args:
        lease_s: How long that holds; None: for as long as the system says that it lives, if it does that.
    """
    worker = worker_of(ledger)
    said_s = worker.life.lease_s if lease_s is None else lease_s
    return ledger.store.write(lambda tx: _renew(tx, ledger, worker.id, said_s))


def _renew(tx: Transaction, ledger: Ledger, worker_id: int, lease_s: float | None) -> bool:
    lease_us = None if lease_s is None else round(lease_s * 1_000_000)
    return tx.row("renew_worker", id=worker_id, boot_now=ledger.clock.boot_us(), lease_us=lease_us) is not None


def retire(ledger: Ledger) -> None:
    """Say that this process's worker has stopped by itself, and end its life."""
    known = _workers.pop(ledger.store, None)
    if known is not None and known.pid == os.getpid():
        said = {"id": known.id, "at": ledger.clock.now(), "died": False}
        ledger.store.write(lambda tx: tx.execute("stop_worker", said))
        known.life.free()


def _register(
    ledger: Ledger, patience_s: float | None, serves: tuple[Sequence[str], Sequence[str]] | None, lease_s: float
) -> Worker:
    store = ledger.store
    life = store.begin_life(lease_s)
    dead, _ = dead_workers(ledger)
    row = {"name": ledger.actor, "host": socket.gethostname(), "pid": os.getpid(), "boot_id": ledger.clock.boot_id()}
    said = [json.dumps(words) for words in serves] if serves is not None else [None, None]

    def work(tx: Transaction) -> int:
        now = ledger.clock.now()
        # What a dead one holds of a pool is taken over first; until then it must be found among the dead.
        holding = {task.worker_id for task in tx.tasks("held_by_workers") if task.queue is not None} if dead else ()
        for worker_id in dead:
            if worker_id not in holding:
                tx.execute("stop_worker", {"id": worker_id, "at": now, "died": True})
        added = tx.row("add_worker", **row, lock_name=life.name, queues=said[0], labels=said[1], at=now)
        assert added is not None
        worker_id = int(str(added[0]))
        if life.lease_s is not None:
            _renew(tx, ledger, worker_id, life.lease_s)
        return worker_id

    try:
        worker_id = store.write(work, patience_s=patience_s)
    except BaseException:
        life.free()
        raise
    worker = _workers[store] = Worker(worker_id, os.getpid(), life)
    finalize(store, life.free)
    return worker


def dead_workers(ledger: Ledger) -> tuple[list[int], int]:
    """Return the ids of workers that never stopped and live no more or let their lease run out; and how many live.

    This process lives, although a server that was away may not know it yet.
    """
    own, clock = _workers.get(ledger.store), {"boot_now": ledger.clock.boot_us(), "boot_id": ledger.clock.boot_id()}
    rows, expired = ledger.store.read(lambda tx: (tx.rows("unstopped_workers"), tx.rows("expired_workers", **clock)))
    others = [row for row in rows if own is None or row[0] != own.id]
    alive, silent = ledger.store.held([str(row[5]) for row in others]), {row[0] for row in expired}
    dead = [int(str(row[0])) for row in others if row[0] in silent or str(row[5]) not in alive]
    return dead, len(rows) - len(dead)


def is_alive(store: Store, row: Row) -> bool:
    """Whether the process of a worker row lives. Its lock decides: host names change, and containers share one.

    Whether the row says stopped does not: so it is said of one that a server took for dead when a link was cut.
    """
    return store.is_held(str(row[5]))


def owner_of(store: Store, run: Run) -> str | None:
    """Return who executes a run now, in words; None when nobody does, or an execution of this process ended badly."""
    if run.worker_id is None:
        return None
    own = _workers.get(store)
    if own is not None and own.id == run.worker_id and own.pid == os.getpid() and run.owner_token not in active:
        return None
    row = store.read(lambda tx: tx.row("worker_by_id", id=run.worker_id))
    if row is None or not is_alive(store, row):
        return None
    return f"process {row[3]} on {row[2]} ({row[1]})"


def check_free(store: Store, run: Run) -> None:
    """Refuse a run that somebody executes.

    Raises:
        Held: The message names who does.
    """
    if owner := owner_of(store, run):
        raise Held(f"run {run.name} is being executed by {owner}", hint=f"wait for it, or: tasktrail cancel {run.name}")


def is_pooled(store: Store, run: Run) -> bool:
    """Whether workers execute a run."""
    return store.read(lambda tx: is_pooled_in(tx, run))


def is_pooled_in(tx: Transaction, run: Run) -> bool:
    """Whether workers execute a run, as a transaction sees it."""
    name = "pooled_cell_of_run" if run.kind == "matrix" else "pooled_task_of_run"
    return tx.row(name, run_id=run.id) is not None


def check_not_pooled(store: Store, run: Run) -> None:
    """Refuse a run that workers execute: owning it would take from the living what they execute.

    Raises:
        Held: It is one.
    """
    if is_pooled(store, run):
        hint = f"to go on: tasktrail resume {run.name}; to execute it: tasktrail worker"
        raise Held(f"run {run.name} is pooled: workers execute it", hint=hint)


def still_free(tx: Transaction, seen: Run) -> Run:
    """Return a run as it stands now; `check_free` found it free when it was seen.

    Raises:
        Held: Somebody has taken it up since.
    """
    run = tx.run(seen.id)
    if run.worker_id not in (None, seen.worker_id) or run.owner_token != seen.owner_token:
        raise Held(f"run {run.name} was taken up by somebody else just now", hint="run it again")
    return run
