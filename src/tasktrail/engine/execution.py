"""One execution of a run by the process that has its functions: it owns the run, claims its tasks, hands in answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tasktrail.engine.cells import with_details
from tasktrail.engine.drafts import RunEdit, save_in
from tasktrail.engine.ledger import Ledger, event_of_late_answer
from tasktrail.engine.output import Piece, keep
from tasktrail.engine.ownership import active, check_free, check_not_pooled, still_free, worker_of
from tasktrail.engine.values import NOTHING, Encoded
from tasktrail.model.lifecycle import MOST_LOSSES, Ask, Change, Failure, decide, fresh_budget
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

LEFT_OUT: Final = "left out of step_order"
_DIED: Final = Failure("WorkerDied", "the process that executed it ended without an answer")
MAYBE_DONE: Final = "its process died while it ran, and it must not run twice: was it done?"
_LOST: Final = Ask("lapse", outcome="lost", failure=_DIED)
_LOST_FOR_GOOD: Final = Ask("fail", outcome="lost", failure=_DIED)
_ASK_FIRST: Final = Ask("block", reason=MAYBE_DONE)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to execute one task once: the task as it stands after its start, and the span of the attempt."""

    task: Task
    span_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended.

    Args:
        printed: What of its output is not stored yet; already scrubbed.
        details: What no column has and the task is to have from now on, by name.
    """

    claim: Claim
    ask: Ask
    payload: Encoded = NOTHING
    duration_us: int | None = None
    note: str | None = None
    printed: Sequence[Piece] = ()
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of handing in answers: the run as it stands, what to execute next, and whose answer came too late."""

    run: Run
    claims: Sequence[Claim]
    late: Sequence[Task]


_ALONE_FOR: Final = 4
"""Commits for which a run is not shared after it could not be."""

Pick = Callable[[Transaction], Sequence[Task]]


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
        detailed: dict[int, Sequence[object]] = {}
        for answer in answers:
            answer.payload.keep(tx, now)
            if answer.printed:
                keep(tx, answer.printed, now)
            also = _detailed(tx, answer) if answer.details else None
            mark = Mark(self.ledger.actor, duration_us=answer.duration_us, note=answer.note, held=True, also=also)
            changes.append((decide(answer.claim.task, answer.ask, now), mark))
            if also:
                detailed[id(changes[-1][0])] = also["metadata"]
        done = tx.apply(changes)
        for change in done if detailed else ():
            if id(change) in detailed:
                tx.execute("set_metadata", {"id": change.task.id, "metadata": detailed[id(change)][1]})
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


def _detailed(tx: Transaction, answer: Answer) -> Mapping[str, Sequence[object]] | None:
    """What the metadata of a task were and are to be with the details of an answer; None where they are the same."""
    row = tx.row("details_of_task", id=answer.claim.task.id)
    metadata = str(row[2]) if row and row[2] is not None else None
    said = with_details(metadata, answer.details)
    return {"metadata": [metadata, said]} if said != metadata else None


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
        items: Collection[str] | None = None,
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
            items: Of a matrix the only items that this execution is about, '' for the group's own tasks.

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
            _take_up(tx, self.ledger, run, _naming(set(named), items), only=only, reopen=reopen, retry=retry)
            self._own(tx, run, worker.id)
            return self._turn(tx, pick, (), self.ledger.clock.now())

        self._worker_id = worker.id
        self._documents = seen.documents
        active.add(str(self._token))
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

        active.discard(str(self._token))
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
        self._documents = self._store.read(lambda tx: tx.run(self.run_id)).documents
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

    Nothing is taken from the workers that execute it; what is in no queue, they do not execute.
    """

    def work(tx: Transaction) -> Run:
        current = tx.run(run.id)
        _take_up(tx, ledger, current, lambda task: task.queue is not None, only=False, reopen=False, retry=True)
        _went_on(tx, ledger, current)
        tx.settle()
        return tx.settled(run.id)

    return ledger.commit(work)


def _naming(keys: Collection[str], items: Collection[str] | None) -> Callable[[Task], bool]:
    if items is None:
        return lambda task: task.key in keys
    return lambda task: task.key in keys and task.item in items


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
    is_named: Callable[[Task], bool],
    *,
    only: bool,
    reopen: bool,
    retry: bool,
) -> None:
    """Let what is named start again."""
    now, mark = ledger.clock.now(), Mark(ledger.actor)
    if run.started_at is None and not only:
        return
    asked = {"failed": retry, "cancelled": run.cancelled_at is not None, "skipped": reopen, "pending": only}
    statuses = [status for status, wanted in asked.items() if wanted]
    tasks = tx.tasks("tasks_of_run_in", run_id=run.id, statuses=json.dumps(statuses))
    if not only:
        tasks += tx.tasks("used_budgets_of_run", run_id=run.id)
    taken = (_taken_up(task, run, now, named=is_named(task), only=only, reopen=reopen) for task in tasks)
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
