"""One execution of a run by the process that has its functions: it owns the run, claims its tasks, hands in answers."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakKeyDictionary, finalize

from tasktrail.engine.drafts import RunEdit, save_in
from tasktrail.engine.ledger import Ledger, event_of_late_answer
from tasktrail.engine.output import Piece, keep
from tasktrail.engine.values import NOTHING, Encoded
from tasktrail.model.errors import Held
from tasktrail.model.lifecycle import MOST_LOSSES, Ask, Change, Failure, decide, fresh_budget
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task
from tasktrail.store.forking import ForkLock
from tasktrail.store.seam import LEASE_S, Life, Store
from tasktrail.store.transaction import Mark, Row, Transaction

LEFT_OUT: Final = "left out of step_order"
_DIED: Final = Failure("WorkerDied", "the process that executed it ended without an answer")
MAYBE_DONE: Final = "its process died while it ran, and it must not run twice: was it done?"
_LOST: Final = Ask("lapse", outcome="lost", failure=_DIED)
_LOST_FOR_GOOD: Final = Ask("fail", outcome="lost", failure=_DIED)
_ASK_FIRST: Final = Ask("block", reason=MAYBE_DONE)


@dataclass(frozen=True, slots=True)
class Worker:
    """This process, as the store knows it."""

    id: int
    pid: int
    life: Life


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to execute one task once: the task as it stands after its start, and the span of the attempt."""

    task: Task
    span_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended. `printed` is what of its output is not stored yet; already scrubbed."""

    claim: Claim
    ask: Ask
    payload: Encoded = NOTHING
    duration_us: int | None = None
    note: str | None = None
    printed: Sequence[Piece] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of handing in answers: the run as it stands, what to execute next, and whose answer came too late."""

    run: Run
    claims: Sequence[Claim]
    late: Sequence[Task]


_ALONE_FOR: Final = 4
"""Commits for which a run is not shared after it could not be."""

Pick = Callable[[Transaction], Sequence[Task]]

_registering: Final = ForkLock()
_active: Final[set[str]] = set()
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


def renew(ledger: Ledger, lease_s: float) -> bool:
    """Say that this process's worker is well; return False when it was taken for dead meanwhile."""
    worker_id = worker_of(ledger).id
    return ledger.store.write(lambda tx: _renew(tx, ledger, worker_id, lease_s))


def _renew(tx: Transaction, ledger: Ledger, worker_id: int, lease_s: float) -> bool:
    params = {"id": worker_id, "boot_now": ledger.clock.boot_us(), "lease_us": round(lease_s * 1_000_000)}
    return tx.row("renew_worker", **params) is not None


def retire(ledger: Ledger) -> None:
    """Say that this process's worker has stopped by itself, and end its life."""
    known = _workers.pop(ledger.store, None)
    if known is not None and known.pid == os.getpid():
        ledger.store.write(lambda tx: tx.execute("stop_worker", {"id": known.id, "at": ledger.clock.now()}))
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
                tx.execute("stop_worker", {"id": worker_id, "at": now})
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
    if own is not None and own.id == run.worker_id and own.pid == os.getpid() and run.owner_token not in _active:
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
    return store.read(lambda tx: tx.row("pooled_task_of_run", run_id=run.id)) is not None


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


def lapse_in(tx: Transaction, ledger: Ledger, tasks: Sequence[Task], once: Collection[str]) -> None:
    """Take back what a dead process left in progress; of what must not be done twice a person is asked.

    Whoever takes up a run of its own forgives its losses. Nobody takes up a pooled one, so there the third is the last.
    """
    now, mark = ledger.clock.now(), Mark(ledger.actor)
    over = {task.id for task in tasks if task.queue and task.losses + 1 >= MOST_LOSSES and task.key not in once}
    lapses = [decide(task, _LOST_FOR_GOOD if task.id in over else _LOST, now) for task in tasks]
    tx.apply([(change, mark) for change in lapses])
    asked = [change.after for change in lapses if change.task.key in once and change.status == "pending"]
    tx.apply([(decide(task, _ASK_FIRST, now), mark) for task in asked])


class Claiming:
    """Claims tasks of a run for this process, and hands in answers.

    Args:
        code_version: What tells the code of a step, by key; None when it has none.
    """

    def __init__(self, ledger: Ledger, run_id: int, code_version: Callable[[str], str | None] = lambda _: None) -> None:
        self.ledger = ledger
        self.run_id = run_id
        self._store = ledger.store
        self._token: str | None = None
        """By which the run is owned; None: nobody may own it."""
        self._code_version = code_version
        self._worker_id: int | None = None
        self._documents: tuple[int, ...] = ()
        self._left: Run | None = None
        """The run as our last commit left it; nobody else is expected to change one that is owned."""

    def end(self) -> None:
        """Say that this process has nothing more to do with the run."""

    def advance(self, answers: Sequence[Answer], pick: Pick, *, patience_s: float | None = None) -> Turn:
        """Hand in answers and claim what comes next, in one commit.

        Args:
            pick: Says which tasks to start, after the answers; not asked when the run takes none.

        Raises:
            Busy: Nothing was handed in; try again.
        """
        clean = [self._cleaned(answer) for answer in answers]

        def work(tx: Transaction) -> Turn:
            now = self.ledger.clock.now()
            self._believe(tx)
            return self._turn(tx, pick, self._hand_in(tx, clean, now), now)

        return self.ledger.commit(work, documents=self._documents, patience_s=patience_s)

    def _believe(self, tx: Transaction) -> None:
        """Say how the run was left, so that nothing waits for looking at it."""
        if self._left is not None:
            tx.expect(self._left)

    def record_output(self, pieces: Sequence[Piece], *, patience_s: float | None = None) -> None:
        """Store what running attempts have printed so far.

        Raises:
            Busy: Nothing was stored; try again.
        """
        self.ledger.commit(lambda tx: keep(tx, pieces, self.ledger.clock.now()), patience_s=patience_s)

    def record_late(self, answer: Answer) -> None:
        """Keep an answer that comes after the execution."""
        clean = self._cleaned(answer)
        self.ledger.commit(lambda tx: self._hand_in(tx, [clean], self.ledger.clock.now()))

    def _turn(self, tx: Transaction, pick: Pick, late: Sequence[Task], now: int) -> Turn:
        claims: list[Claim] = []
        if tx.accepts_starts(self.run_id) and tx.owner(self.run_id) == self._token:
            claims = self._claim(tx, picked := pick(tx), now)
            if len(claims) < len(picked):  # what was read ahead is not so any more
                tx.forget(self.run_id)
                claims += self._claim(tx, pick(tx), now)
        tx.settle()
        return Turn(tx.settled(self.run_id), claims, late)

    def _cleaned(self, answer: Answer) -> Answer:
        ask, note = self.ledger.clean(answer.ask), self.ledger.clean_text(answer.note)
        return answer if ask is answer.ask and note is answer.note else replace(answer, ask=ask, note=note)

    def _hand_in(self, tx: Transaction, answers: Sequence[Answer], now: int) -> list[Task]:
        changes: list[tuple[Change, Mark]] = []
        for answer in answers:
            answer.payload.keep(tx, now)
            if answer.printed:
                keep(tx, answer.printed, now)
            mark = Mark(self.ledger.actor, duration_us=answer.duration_us, note=answer.note, held=True)
            changes.append((decide(answer.claim.task, answer.ask, now), mark))
        done = tx.apply(changes)
        if len(done) == len(changes):
            return []
        accepted = {id(change) for change in done}  # not by task: a late answer may come with the good one
        refused = [change for change, _ in changes if id(change) not in accepted]
        for change in refused:
            details = {"task_id": change.task.id, "attempt": change.task.open_attempt}
            tx.record_run(self.run_id, "late", now, self.ledger.actor, changes=event_of_late_answer(change), **details)
        return [change.task for change in refused]

    def _claim(self, tx: Transaction, tasks: Sequence[Task], now: int) -> list[Claim]:
        ask = Ask("start", worker_id=self._worker_id)
        starts = []
        for task in tasks:
            mark = Mark(self.ledger.actor, self.ledger.ids.span_id(), code_version=self._code_version(task.key))
            starts.append((decide(task, ask, now), mark))
        started = {change.task.id for change in tx.apply(starts)}
        return [Claim(change.after, str(mark.span_id)) for change, mark in starts if change.task.id in started]


class Execution(Claiming):
    """Owns a run from `begin` to `end`. Nobody else executes it meanwhile."""

    def __init__(self, ledger: Ledger, run_id: int, code_version: Callable[[str], str | None] = lambda _: None) -> None:
        super().__init__(ledger, run_id, code_version)
        self._token = ledger.ids.token()
        self._owned = False

    def begin(
        self,
        named: Collection[str],
        pick: Pick,
        *,
        only: bool = False,
        reopen: bool = False,
        retry: bool = True,
        edit: RunEdit | None = None,
        once: Collection[str] = (),
        patience_s: float | None = None,
    ) -> Turn:
        """Own the run, make everything named startable again with a fresh budget, and claim what comes first.

        What a dead owner left running is taken back (its attempt is `lost`), failed tasks are retried, and tasks of a
        cancelled run are reopened.

        Args:
            named: Keys of the tasks that this execution is about.
            pick: See `advance`.
            only: Skip the pending tasks that are not named.
            reopen: Reopen named tasks that an earlier order had left out.
            retry: Whether what stands failed is tried again; else it stays as it is.
            edit: What is to be stored of the run before that.
            once: Keys of tasks that must not be done twice: what a dead owner left running of them is blocked.

        Raises:
            Held: A living process executes it, or workers do.
        """
        worker = worker_of(self.ledger, patience_s)
        seen = self._store.read(lambda tx: tx.run(self.run_id))
        check_not_pooled(self._store, seen)
        check_free(self._store, seen)

        def work(tx: Transaction) -> Turn:
            run = still_free(tx, seen)
            if edit is not None:
                save_in(tx, self.ledger, edit, self.ledger.clock.now())
                run = tx.run(self.run_id)
            self._lapse(tx, once)
            _take_up(tx, self.ledger, run, set(named), only=only, reopen=reopen, retry=retry)
            self._own(tx, run, worker.id)
            return self._turn(tx, pick, (), self.ledger.clock.now())

        self._worker_id = worker.id
        self._documents = (seen.document_id,) if seen.document_id is not None else ()
        _active.add(str(self._token))
        return self._went(self.ledger.commit(work, documents=self._documents, patience_s=patience_s))

    def _went(self, turn: Turn) -> Turn:
        self._owned = turn.run.owner_token == self._token
        self._left = turn.run if self._owned else None
        return turn

    def _own(self, tx: Transaction, run: Run, worker_id: int) -> None:
        _went_on(tx, self.ledger, run, worker_id=worker_id, owner_token=self._token)

    def _lapse(self, tx: Transaction, once: Collection[str]) -> None:
        """What a dead owner left running goes back to pending, or waits for a person. Losses are forgiven later."""
        lapse_in(tx, self.ledger, tx.tasks("active_of_run", run_id=self.run_id), once)

    def end(self) -> None:
        """Give the run back, unless its last answer did; what still runs stays in progress until it is taken up."""

        def work(tx: Transaction) -> None:
            if tx.run(self.run_id).owner_token == self._token:
                tx.set_run(self.run_id, worker_id=None, owner_token=None)

        _active.discard(str(self._token))
        if self._owned:
            self._owned = False
            self.ledger.commit(work, documents=self._documents)

    def advance(self, answers: Sequence[Answer], pick: Pick, *, patience_s: float | None = None) -> Turn:
        """Hand in answers and claim what comes next, in one commit. The last one gives the run back."""
        return self._went(super().advance(answers, pick, patience_s=patience_s))

    def _turn(self, tx: Transaction, pick: Pick, late: Sequence[Task], now: int) -> Turn:
        turn = super()._turn(tx, pick, late, now)
        if turn.run.status not in OVER or turn.run.owner_token != self._token:
            return turn
        tx.set_run(self.run_id, worker_id=None, owner_token=None)
        tx.settle()
        return Turn(tx.settled(self.run_id), turn.claims, late)


class Joining(Claiming):
    """Executes tasks of a pooled run, which nobody owns, beside other workers."""

    most: int = 0
    """How many tasks of the run may be in progress, wherever; 0: nobody knows, so it is not shared."""
    known: Collection[int] | None = None
    """Ids of the tasks that its runner knows to have, after a commit of which nobody knows whether it came through."""

    _alone_for = 0

    def begin(self, pick: Pick, *, patience_s: float | None = None) -> Turn:
        """Claim what comes first."""
        self._worker_id = worker_of(self.ledger, patience_s).id
        return self.advance((), pick, patience_s=patience_s)

    def _believe(self, tx: Transaction) -> None:
        """Share the run with other workers; where that came to nothing just now, have it alone for a while."""
        self._alone_for -= 1
        if self._left is not None and self._alone_for < 0 and not tx.share(self._left, self.most):
            self._alone_for = _ALONE_FOR

    def advance(self, answers: Sequence[Answer], pick: Pick, *, patience_s: float | None = None) -> Turn:
        """Hand in answers and claim what comes next; what was claimed and is not known is given back before."""
        known = self.known

        def picking(tx: Transaction) -> Sequence[Task]:
            if known is not None:
                self._give_back(tx, known)
                self.known = None
            return pick(tx)

        turn = super().advance(answers, picking, patience_s=patience_s)
        self._left = turn.run if self.most else None
        return turn

    def _give_back(self, tx: Transaction, known: Collection[int]) -> None:
        now, mark = self.ledger.clock.now(), Mark(self.ledger.actor, held=True)
        tasks = tx.tasks("active_of_run", run_id=self.run_id)
        strays = [task for task in tasks if task.worker_id == self._worker_id and task.id not in known]
        tx.apply([(decide(task, Ask("release"), now), mark) for task in strays])


def take_up_pooled(ledger: Ledger, run: Run) -> Run:
    """Let a pooled run go on: what failed can start again with a fresh budget, what was cancelled with it too.

    Nothing is taken from the workers that execute it.
    """

    def work(tx: Transaction) -> Run:
        current = tx.run(run.id)
        _take_up(tx, ledger, current, None, only=False, reopen=False, retry=True)
        _went_on(tx, ledger, current)
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work)


def _went_on(tx: Transaction, ledger: Ledger, run: Run, **values: object) -> None:
    """Record that a run was taken up: no longer cancelled, nor what was declared of it."""
    now, again = ledger.clock.now(), run.started_at is not None
    if again:
        tx.record_run(run.id, "resume", now, ledger.actor)
    lifted = {"cancelled_at": None, "declared_status": None, "declared_at": None, "declared_error": None}
    resumed_at = now if again else run.resumed_at
    tx.set_run(run.id, **lifted, **values, resumes=run.resumes + again, resumed_at=resumed_at, updated_at=now)


def _take_up(
    tx: Transaction,
    ledger: Ledger,
    run: Run,
    named: Collection[str] | None,
    *,
    only: bool,
    reopen: bool,
    retry: bool,
) -> None:
    """Let what is named start again; None names all."""
    now, mark = ledger.clock.now(), Mark(ledger.actor)
    if run.started_at is None and not only:
        return
    asked = {"failed": retry, "cancelled": run.cancelled_at is not None, "skipped": reopen, "pending": only}
    statuses = [status for status, wanted in asked.items() if wanted]
    tasks = tx.tasks("tasks_of_run_in", run_id=run.id, statuses=json.dumps(statuses))
    if not only:
        tasks += tx.tasks("used_budgets_of_run", run_id=run.id)
    pairs = ((task, named is None or task.key in named) for task in tasks)
    taken = (_taken_up(task, run, now, named=is_named, only=only, reopen=reopen) for task, is_named in pairs)
    tx.apply([(change, mark) for change in taken if change])


def _taken_up(task: Task, run: Run, now: int, *, named: bool, only: bool, reopen: bool) -> Change | None:
    """Return what taking a run up again does to one of its tasks; None when nothing."""
    if not named:
        left_out = only and task.status in ("pending", "failed")
        return decide(task, Ask("skip", reason=LEFT_OUT), now) if left_out else None
    if task.status == "failed":
        return decide(task, Ask("retry"), now)
    if task.status == "cancelled" and run.cancelled_at is not None:
        return decide(task, Ask("reopen"), now)
    if task.status == "skipped" and reopen and task.reason == LEFT_OUT:
        return decide(task, Ask("reopen"), now)
    if task.status == "pending":
        return fresh_budget(task, now)
    return None
