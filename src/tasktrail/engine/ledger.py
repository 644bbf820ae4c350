"""The one component that changes tasks: asks become changes, changes become rows and history, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Final, TypeVar

from tasktrail.engine.additions import check_tasks, distinct, named_by, task_row, waits_of
from tasktrail.engine.failures import trimmed_words
from tasktrail.engine.ids import RANDOM_IDS, Ids
from tasktrail.engine.scrubbing import PLAIN_SCRUBBER, Scrubber
from tasktrail.engine.spans import enclosing
from tasktrail.engine.values import NOTHING, Encoded
from tasktrail.formats import PLAN_CODEC
from tasktrail.model.attempt import w3c_span
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Conflict, Held, NotFound, TasktrailError
from tasktrail.model.lifecycle import LEASED_VERBS, Ask, Change, Failure, decide
from tasktrail.model.plain import storable
from tasktrail.model.reference import MAX_RUN_ID_CHARS, check_run_id
from tasktrail.model.run import Kind, Run, RunStatus, check_cancel, check_pause
from tasktrail.model.task import Task
from tasktrail.store.clock import SYSTEM_CLOCK, Clock
from tasktrail.store.records import Mark
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Transaction

if TYPE_CHECKING:
    from tasktrail.engine.attachments import Attachments

TEXT_COLUMNS: Final = frozenset({"error", "error_type", "reason", "summary"})
_TRIES: Final = 3
_CANCELLED_WITH_RUN: Final = ("pending", "in_progress", "blocked")

T = TypeVar("T")


class Ledger:
    """Changes tasks and runs in a store.

    Every text that is stored passes `scrub` here, in `clean` and `clean_failure`, and nowhere else.

    Args:
        actor: Who asks, as the history names it.
        clock: Wall time and boot time.
        ids: Draws identifiers.
        scrub: What every text passes before it is stored.
    """

    def __init__(
        self,
        store: Store,
        *,
        actor: str,
        clock: Clock = SYSTEM_CLOCK,
        ids: Ids = RANDOM_IDS,
        scrub: Scrubber = PLAIN_SCRUBBER,
    ) -> None:
        self.store = store
        self.actor = actor
        self.clock = clock
        self.ids = ids
        self._scrub = scrub

    # committing

    def commit(
        self, work: Callable[[Transaction], T], *, documents: Collection[int] = (), patience_s: float | None = None
    ) -> T:
        """Run `work` in one transaction, and bring the documents of the runs it touches to what they then say.

        Args:
            documents: Row ids of documents that it is known to touch; others are found out, at the price of a second
                try.
            patience_s: As for the store's `write`.
        """
        if not documents:
            try:
                return self.store.write(lambda tx: _without_documents(tx, work), patience_s=patience_s)
            except Documented as found:
                documents = found.ids
        return self.attachments.commit(work, documents, patience_s)

    @cached_property
    def attachments(self) -> Attachments:
        """The documents of this store's runs."""
        from tasktrail.engine.attachments import Attachments

        return Attachments(self)

    def refresh_plans(self) -> list[TasktrailError]:
        """Bring all plans up to date with their files; return what is wrong with files that cannot be read.

        Those plans stay as they were known.
        """
        faults: list[TasktrailError] = []
        for run in self.store.read(lambda tx: tx.runs("runs_of_codec", codec=PLAN_CODEC)):
            try:
                self.attachments.sync(run)
            except TasktrailError as error:
                faults.append(error)
        return faults

    # creating

    def create_run(self, draft: RunDraft, *, freely: bool = False) -> Run:
        """Store a run and its tasks; all or nothing.

        Args:
            freely: Where the id is taken, -2, -3 … is put behind it instead of refusing.

        Raises:
            BadInput: An id is none, a key is given twice, a need is unknown or a cycle; the details name all of them.
            Conflict: A run of this kind has the id already.
        """
        check_run_id(draft.name)
        check_tasks(draft.tasks)

        def work(tx: Transaction) -> Run:
            named = replace(draft, name=free_name(tx, draft.kind, draft.name)) if freely else draft
            return self.create_in(tx, named, self.clock.now())

        return self.commit(work)

    def create_in(self, tx: Transaction, draft: RunDraft, now: int, *, created_at: int | None = None) -> Run:
        """Create a run inside a transaction that does more.

        Args:
            created_at: When it was created according to a document; None is now.
        """
        if tx.runs("runs_by_name", name=draft.name, kind=draft.kind):
            raise Conflict(
                f"{draft.kind} run {draft.name} exists already", hint=f"tasktrail run dag --status {draft.name}"
            )
        run_id = self._insert_run(tx, draft, created_at or now)
        self._insert_tasks(tx, run_id, draft.tasks, {}, now)
        tx.record_run(run_id, "created", now, self.actor, changes=json.dumps({"tasks": [0, len(draft.tasks)]}))
        return tx.run(run_id)

    def add_tasks(self, run_id: int, drafts: Sequence[TaskDraft]) -> Run:
        """Add tasks to a run that exists; their needs may name tasks that it has already.

        Raises:
            BadInput: As for `create_run`; nothing is added then.
        """

        def work(tx: Transaction) -> Run:
            self.add_in(tx, run_id, drafts, self.clock.now())
            tx.settle()
            return tx.settled(run_id)

        return self.commit(work)

    def add_in(self, tx: Transaction, run_id: int, drafts: Sequence[TaskDraft], now: int) -> None:
        """Add tasks inside a transaction that does more."""
        run = tx.run(run_id)
        existing = named_by(tx, run, drafts)
        check_tasks(drafts, known=list(existing))
        n_needs = sum(len(distinct(draft.needs)) for draft in drafts)
        tx.count(run_id, n_pending=len(drafts), n_needs=n_needs)
        tx.set_run(run_id, updated_at=now)
        self._insert_tasks(tx, run_id, drafts, existing, now)
        counts = json.dumps({"tasks": [run.n_tasks, run.n_tasks + len(drafts)]})
        tx.record_run(run_id, "added", now, self.actor, changes=counts)

    def _insert_run(self, tx: Transaction, draft: RunDraft, now: int) -> int:
        last = tx.row("last_ids")
        assert last is not None
        run_id = int(str(last[0])) + 1
        params: dict[str, object] = {"id": run_id, "kind": draft.kind, "name": draft.name, "workflow": draft.workflow}
        params.update(target=draft.target, definition_id=draft.definition_id, metadata=draft.metadata)
        params["trace_id"] = draft.trace_id or self._trace_id()
        n_needs = sum(len(distinct(task.needs)) for task in draft.tasks)
        params.update(n_pending=len(draft.tasks), n_needs=n_needs, document_id=None, at=now)
        tx.execute("add_run", params)
        return run_id

    def _trace_id(self) -> str:
        """Return the trace of the code that creates a run, else a new one."""
        around = enclosing()
        return w3c_span(*around).trace_id if around else self.ids.trace_id()

    def _insert_tasks(
        self, tx: Transaction, run_id: int, drafts: Sequence[TaskDraft], existing: Mapping[str, Task], now: int
    ) -> None:
        """Insert tasks with explicit ids, so that needs can name them."""
        last = tx.row("last_ids")
        place = tx.row("last_position", run_id=run_id)
        assert last is not None
        assert place is not None
        first, position = int(str(last[1])) + 1, int(str(place[0])) + 1
        ids = {key: task.id for key, task in existing.items()}
        ids.update({draft.name: first + offset for offset, draft in enumerate(drafts)})
        waits = waits_of(tx.run(run_id), drafts, existing)
        if unreachable := sum(dead > 0 for _, dead in waits):
            tx.count(run_id, n_unreachable=unreachable)
        tx.execute_many(
            "add_task",
            (
                task_row(draft, first + offset, run_id, position + offset, waits[offset], now)
                for offset, draft in enumerate(drafts)
            ),
        )
        tx.execute_many(
            "add_need",
            (
                {
                    "task_id": first + offset,
                    "position": place,
                    "needed_key": need.key,
                    "needed_id": ids[need.key],
                    "optional": need.optional,
                }
                for offset, draft in enumerate(drafts)
                for place, need in enumerate(distinct(draft.needs))
            ),
        )

    # asking

    def ask(
        self,
        task_id: int,
        ask: Ask,
        *,
        note: str | None = None,
        token: str | None = None,
        payload: Encoded = NOTHING,
    ) -> Task:
        """Ask one thing of a task and return it as it then stands.

        Args:
            token: The lease token, where one holds.
            payload: The output when it is large; `ask.output` is its column then.

        Raises:
            WrongState: The task's status has no such verb.
            UnmetNeed: A start while a need is not met.
            Held: A lease or a running process holds the task and no token or force was given.
            Conflict: It changed under our hands three times.
        """
        ask, note = self.clean(ask), self.clean_text(note)

        def work(tx: Transaction) -> Task:
            now = self.clock.now()
            payload.keep(tx, now)
            return self._ask_in(tx, task_id, ask, Mark(self.actor, note=note, span_id=self.ids.span_id()), token, now)

        return self.commit(work)

    def _ask_in(self, tx: Transaction, task_id: int, ask: Ask, mark: Mark, token: str | None, now: int) -> Task:
        for _ in range(_TRIES):
            task = _existing(tx, task_id)
            check_lease(task, ask, token)
            change = decide(task, ask, now)
            if tx.apply([(change, mark)]):
                if ask.verb in ("retry", "reopen"):
                    tx.set_run(task.run_id, cancelled_at=None)
                return change.after
        raise Conflict("the task is being changed by others all the time", hint="run it again")

    def cancel_run(self, run_id: int, reason: str | None = None) -> Run:
        """Cancel what is not finished of a run that is not over; late answers change nothing, nor does repeating it."""
        reason = self.clean_text(reason)

        def work(tx: Transaction) -> Run:
            now = self.clock.now()
            mark = Mark(self.actor)
            check_cancel(tx.run(run_id))
            tasks = tx.tasks("tasks_of_run_in", run_id=run_id, statuses=json.dumps(_CANCELLED_WITH_RUN))
            if tx.run(run_id).cancelled_at is None:
                tx.record_run(run_id, "cancel", now, self.actor, note=reason)
                tx.set_run(run_id, cancelled_at=now, updated_at=now)
            tx.apply([(decide(task, Ask("cancel", reason=reason), now), mark) for task in tasks])
            tx.settle()
            return tx.settled(run_id)

        return self.commit(work)

    def pause_run(self, run_id: int, reason: str | None = None) -> Run:
        """Let nothing new start in a run that is not over; what runs is finished. Repeating it changes nothing."""
        reason = self.clean_text(reason)

        def work(tx: Transaction) -> Run:
            run = tx.run(run_id)
            check_pause(run)
            if not run.paused:
                now = self.clock.now()
                tx.record_run(run_id, "pause", now, self.actor, note=reason, changes='{"paused":[0,1]}')
                tx.set_run(run_id, paused=1, updated_at=now)
                tx.settle()
            return tx.settled(run_id)

        return self.commit(work)

    def unpause_run(self, run_id: int) -> Run:
        """Let steps start again; a run that is not paused stays as it is."""

        def work(tx: Transaction) -> Run:
            if tx.run(run_id).paused:
                now = self.clock.now()
                tx.record_run(run_id, "unpause", now, self.actor, changes='{"paused":[1,0]}')
                tx.set_run(run_id, paused=0, updated_at=now)
                tx.settle()
            return tx.settled(run_id)

        return self.commit(work)

    def note(self, task: Task, text: str) -> None:
        """Append a note to a task's history."""
        note = self.clean_text(text)

        def work(tx: Transaction) -> None:
            tx.record_run(task.run_id, "note", self.clock.now(), self.actor, task_id=task.id, note=note)

        self.commit(work)

    def progress(self, task: Task, done: int, total: int | None) -> None:
        """Say how far a running attempt is; no history, and void once the attempt is over."""
        params = {"id": task.id, "fence": task.fence, "done": done, "total": total}
        self.commit(lambda tx: tx.execute("note_progress", params))

    def declare_run(self, run_id: int, status: RunStatus, error: str | None = None) -> Run:
        """Let a run have a status that is not its tasks' doing, until one of them moves."""

        def work(tx: Transaction) -> Run:
            self.declare_in(tx, run_id, status, error, self.clock.now())
            tx.settle()
            return tx.settled(run_id)

        return self.commit(work)

    def declare_in(self, tx: Transaction, run_id: int, status: RunStatus, error: str | None, now: int) -> None:
        """Declare a run inside a transaction that does more."""
        text = self.clean_text(error)
        tx.record_run(run_id, "declare", now, self.actor, note=text, to_status=status)
        tx.set_run(run_id, declared_status=status, declared_at=now, declared_error=text, updated_at=now)

    def drop_run(self, run_id: int) -> None:
        """Remove a run with its tasks, attempts and history, for good."""

        self.commit(lambda tx: drop_in(tx, run_id))

    # scrubbing: the one place where text fields pass

    def clean_text(self, text: str | None) -> str | None:
        """Return a text as it may be stored."""
        return self._scrub(storable(text)) if text else text

    def clean_failure(self, failure: Failure) -> Failure:
        """Return a failure as it may be stored."""
        words = (failure.type, failure.message, failure.stack or "")
        kind, message, stack = trimmed_words(self._scrub.together(words))
        return Failure(kind, message, stack or None, failure.fingerprint)

    def clean(self, ask: Ask) -> Ask:
        """Return an ask as it may be stored."""
        if not (ask.reason or ask.summary or ask.failure or ask.values):
            return ask
        return replace(
            ask,
            reason=self.clean_text(ask.reason),
            summary=self.clean_text(ask.summary),
            failure=self.clean_failure(ask.failure) if ask.failure else None,
            values={
                name: self._scrub(value) if name in TEXT_COLUMNS and isinstance(value, str) else value
                for name, value in ask.values.items()
            },
        )


class Documented(Exception):  # it is no error: the work is done again with the documents locked
    """Work that touches documents was tried without their locks."""

    def __init__(self, ids: Collection[int]) -> None:
        super().__init__(ids)
        self.ids = ids


def _without_documents(tx: Transaction, work: Callable[[Transaction], T]) -> T:
    result = work(tx)
    tx.settle()
    if touched := tx.documents():
        raise Documented(touched)
    return result


def free_name(tx: Transaction, kind: Kind, name: str) -> str:
    """Return the name, with -2, -3 … where another run of its kind has it."""
    if not tx.runs("runs_by_name", name=name, kind=kind):
        return name
    taken = {str(row[0]) for row in tx.rows("names_taken", kind=kind, prefix=name[: MAX_RUN_ID_CHARS - 8])}
    numbers = (f"-{number}" for number in count(2))
    return next(one for ending in numbers if (one := name[: MAX_RUN_ID_CHARS - len(ending)] + ending) not in taken)


def _existing(tx: Transaction, task_id: int) -> Task:
    task = tx.task("task_by_id", id=task_id)
    if task is None:
        raise NotFound("the task does not exist any more", hint="tasktrail list-runs")
    return task


def check_lease(task: Task, ask: Ask, token: str | None) -> None:
    """Refuse what needs the token of a lease that holds.

    Raises:
        Held: The message says by what.
    """
    if task.status != "in_progress" or ask.verb not in LEASED_VERBS or ask.force:
        return
    if task.lease_token is not None and token != task.claim_token:
        raise Held(f"task {task.name} is claimed by somebody else", hint="pass the claim's token, or use --force")
    if task.lease_token is None and task.worker_id is not None:
        raise Held(f"task {task.name} is being executed by worker {task.worker_id}", hint="cancel it, or use --force")


def event_of_late_answer(change: Change) -> str:
    """Return what a late event records of an answer that changes nothing."""
    return json.dumps({"status": [change.task.status, change.status], "output": [None, change.values.get("output")]})


def drop_in(tx: Transaction, run_id: int) -> None:
    """Remove a run with all that belongs to it inside a transaction that does more."""
    tx.execute("drop_events", {"run_id": run_id})
    tx.execute("lower_readers", {})
    tx.execute("drop_run", {"id": run_id})
