"""What may happen between BEGIN and COMMIT: named queries, and the one way a change reaches the rows.

A transaction reads each run it touches once, moves its counters in memory, and writes it back in `settle`, just
before COMMIT. So rows, history, counters and the run's status always agree.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, cast

from tasktrail.model.attempt import Attempt
from tasktrail.model.errors import NotFound
from tasktrail.model.lifecycle import Change
from tasktrail.model.run import OVER, Run, roll_up
from tasktrail.model.task import STATUSES, Status, Task, Value
from tasktrail.store.records import Mark, closing, event, moving, opening
from tasktrail.store.sightings import Sightings

Params = Mapping[str, object]
Row = tuple[object, ...]

_COUNTER: Final[Mapping[Status, str]] = {status: f"n_{status}" for status in STATUSES}
_COUNTERS: Final = (*_COUNTER.values(), "n_unreachable", "n_stopping")
_UNSHARED: Final = ("n_needs", "definition_id", "owner_token", "cancelled_at", "declared_status")
"""What nobody else may change of a run that is shared: who decides by it must know it."""

_NOTHING_MORE: Final[Params] = dict.fromkeys(  # of an event
    ("run_id", "task_id", "from_status", "to_status", "attempt", "changes", "note")
)


class Rows(Protocol):
    """The part of a database cursor that is used here."""

    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...
    def __iter__(self) -> Iterator[Row]: ...


class Database(Protocol):
    """What a store gives a transaction: how to run a named query, and how many rows the last one changed.

    `stream` gives rows one after the other, however many there are: they are never all in memory.
    """

    @property
    def is_far(self) -> bool: ...  # it answers when somebody looks, so that what is asked before travels together
    def execute(self, name: str, params: Params) -> Rows: ...
    def execute_each(self, name: str, params: Iterable[Params]) -> Iterable[Rows]: ...  # the answers, in their order
    def execute_many(self, name: str, params: Iterable[Params]) -> None: ...
    def changed_each(self, name: str, params: Iterable[Params]) -> list[int]: ...  # how many rows each of them changed
    def stream(self, name: str, params: Params) -> Iterator[Row]: ...
    def with_queries(self, named: Mapping[str, str]) -> Database: ...
    def changed(self) -> int: ...


class Mistaken(Exception):  # the store runs the work again, on what the rows say
    """Something that was believed of a run is not so."""


class Transaction:
    """One unit of work on the store.

    Args:
        believes: Whether what `expect` says of a run is taken for so until `check`, so that nothing waits for it.
    """

    def __init__(self, database: Database, *, believes: bool = False) -> None:
        self.execute = database.execute
        self.execute_each = database.execute_each
        self.execute_many = database.execute_many
        self.changed_each = database.changed_each
        self.stream = database.stream
        self.with_queries = database.with_queries
        self._changed = database.changed
        self._read: dict[int, Run] = {}
        self._asked: dict[int, Rows] = {}
        self._is_far = database.is_far
        self._believes = believes
        self._as_left: set[int] = set()
        self._shared: dict[int, int] = {}
        self._starting: set[int] = set()
        self._met: list[int] = []
        self._assumed: list[tuple[Rows, Row]] = []
        self._deltas: dict[int, dict[str, int]] = {}
        self._set: set[int] = set()
        self._moved_at: dict[int, int] = {}
        self._settled: dict[int, Run] = {}
        self.adopted: Collection[int] = ()
        """Row ids of documents that are locked, and whose runs are up to date with them."""
        self.last_event: Params | None = None
        """By which it is known again that this transaction was committed."""
        self._sightings = Sightings()
        self.see_error = self._sightings.see

    # reading

    def row(self, name: str, /, **params: object) -> Row | None:
        """Return the first row of a query, None when there is none."""
        return self.execute(name, params).fetchone()

    def rows(self, name: str, /, **params: object) -> list[Row]:
        """Return all rows of a query."""
        return self.execute(name, params).fetchall()

    def task(self, name: str, /, **params: object) -> Task | None:
        """Return the first task of a query, None when there is none."""
        row = self.execute(name, params).fetchone()
        return Task._make(row) if row else None

    def tasks(self, name: str, /, **params: object) -> list[Task]:
        """Return the tasks of a query."""
        return [Task._make(row) for row in self.execute(name, params)]

    def attempts(self, name: str, /, **params: object) -> list[Attempt]:
        """Return the attempts of a query."""
        return [Attempt._make(row) for row in self.execute(name, params)]

    def runs(self, name: str, /, **params: object) -> list[Run]:
        """Return the runs of a query, as they were before this transaction."""
        return [Run._make(row) for row in self.execute(name, params)]

    def run(self, run_id: int) -> Run:
        """Return a run; once read or written in this transaction, as it stands now.

        Raises:
            NotFound: It does not exist any more.
        """
        known = self._known(run_id)
        deltas = self._deltas.get(run_id)
        return _with_counts(known, deltas) if deltas else known

    def held(self, name: str, /, **params: object) -> Run | None:
        """Return the run of a query that holds it, as `run` does; None when there is none."""
        row = self.row(name, **params)
        if row is None:
            return None
        run = Run._make(row)
        self._read.setdefault(run.id, run)
        return self.run(run.id)

    def _known(self, run_id: int) -> Run:
        """The run as it was read, without the counters' moves."""
        known = self._read.get(run_id)
        if known is None:
            self._hold((run_id,))
            row = next(iter(self._asked.pop(run_id).fetchall()), None)
            if row is None:
                raise NotFound("the run does not exist any more", hint="tasktrail list-runs")
            known = self._read[run_id] = Run._make(row)
        return known

    def _hold(self, run_ids: Iterable[int]) -> None:
        """Ask for runs that are not known yet, in one order for all; their rows are looked at when they are needed."""
        unknown = {run_id for run_id in run_ids if run_id not in self._read and run_id not in self._asked}
        for run_id in sorted(unknown):
            self._asked[run_id] = self.execute("lock_run", {"id": run_id})

    def expect(self, run: Run) -> None:
        """Say how the caller's last commit left a run, before anything else is done to it here."""
        if self._believes:
            self._assumed.append((self.execute("hold_run", {"id": run.id}), (run.version,)))
            self._read[run.id] = run
        if self._known(run.id) == run:
            self._as_left.add(run.id)

    def share(self, run: Run, most: int) -> bool:
        """Change a run beside others, who finish and start other tasks of it; return whether that is so here.

        Its row is then held only from `settle` on, where it is found out whether anything else about it was changed.
        What a change moves besides counters and those who wait for a task that is done needs the run alone.

        Args:
            run: As the caller last knew it.
            most: How many of its tasks may be in progress.
        """
        if self._believes:
            self._read[run.id] = run
            self._shared[run.id] = most
        return self._believes

    def hold(self, run_id: int) -> None:
        """Have a run alone, for what others must not do at the same time."""
        if run_id in self._shared:
            raise Mistaken

    def is_as_left(self, run_id: int) -> bool:
        """Whether nobody has changed a run or its tasks since the commit of which `expect` was told."""
        return run_id in self._as_left

    def forget(self, run_id: int) -> None:
        """Let nothing be taken for as it was left."""
        self._as_left.discard(run_id)

    @property
    def is_believing(self) -> bool:
        """Whether something was assumed that `check` has to look at."""
        return bool(self._assumed or self._shared)

    def check(self) -> bool:
        """Return whether all that was assumed is so; to be asked before COMMIT."""
        return all(rows.fetchall() == [row] for rows, row in self._assumed)

    def accepts_starts(self, run_id: int) -> bool:
        """Whether an attempt of the run may begin, as things stand in this transaction."""
        known, deltas = self._known(run_id), self._deltas.get(run_id)
        stopping = known.n_stopping + (deltas.get("n_stopping", 0) if deltas else 0)
        return known.accepts_starts if stopping == known.n_stopping else self.run(run_id).accepts_starts

    def owner(self, run_id: int) -> str | None:
        """Return the token of the execution that owns the run now."""
        return self._known(run_id).owner_token

    def settled(self, run_id: int) -> Run:
        """Return the run as the commit leaves it; only after `settle`."""
        return self._settled.get(run_id) or self.run(run_id)

    def documents(self) -> set[int]:
        """Return the row ids of the documents whose runs this transaction changed; only after `settle`."""
        return {run.document_id for run in self._settled.values() if run.document_id is not None}

    def documented_runs(self) -> list[Run]:
        """Return the changed runs that have a document; only after `settle`."""
        return [run for run in self._settled.values() if run.document_id is not None]

    # changing

    def set_run(self, run_id: int, **values: object) -> None:
        """Let a run have these values (not its counters) when the transaction ends."""
        self._read[run_id] = self._known(run_id).having(values)
        self._deltas.setdefault(run_id, defaultdict(int))
        self._set.add(run_id)

    def _is_shared_so(self, run: Run) -> bool:
        """Whether others did to a run what may be done beside each other, and nothing else.

        Tasks or needs that were added change their number, needs that were exchanged the definition.
        """
        believed = self._read[run.id]
        is_same = all(getattr(run, name) == getattr(believed, name) for name in _UNSHARED)
        may_start = run.accepts_starts and run.n_in_progress <= self._shared[run.id]
        return is_same and run.n_tasks == believed.n_tasks and (may_start or run.id not in self._starting)

    def record_run(self, run_id: int, verb: str, at: int, actor: str, **details: object) -> None:
        """Append an event about the run itself; details are other columns of it, such as `note`.

        Whoever appends knows the run: it is held, or shared.
        """
        self._known(run_id)
        self._append({**_NOTHING_MORE, "at": at, "actor": actor, "run_id": run_id, "verb": verb, **details})

    def record_alone(self, verb: str, at: int, actor: str, **details: object) -> None:
        """Append an event that belongs to no run."""
        self._append({**_NOTHING_MORE, "at": at, "actor": actor, "verb": verb, **details})

    def _append(self, event: Params) -> None:
        self.last_event = event
        self.execute("add_event", event)

    def apply(self, changes: Sequence[tuple[Change, Mark]]) -> list[Change]:
        """Write changes: task, attempt, event, needs of others, counters of the run. Returns those whose guard held."""
        if self._is_far:
            self._hold(change.task.run_id for change, _ in changes)
        moves = self.execute_each("move_task", (moving(change, mark) for change, mark in changes))
        done = []
        records: dict[str, list[Params]] = {"close_attempt": [], "open_attempt": [], "add_event": []}
        for (change, mark), rows in zip(changes, moves, strict=True):
            for found in self._outcome(change, rows):
                dead_needs, critical = cast(tuple[int, int], found)
                done.append((change, dead_needs))
                self._record(change, mark, records)
                self._count(change, dead_needs, critical)
        for name, many in records.items():
            if many:
                self.execute_many(name, many)
        if done:
            self.last_event = records["add_event"][-1]
        self._propagate(done)
        return [change for change, _ in done]

    def _record(self, change: Change, mark: Mark, records: Mapping[str, list[Params]]) -> None:
        """Add what a change does to attempts, and its event, to what is written of all changes together."""
        fingerprint = None
        if change.is_failure:
            fingerprint = self._sightings.see_change(change, self._known(change.task.run_id).workflow)
        if change.closes:
            records["close_attempt"].append(closing(change, mark, fingerprint))
        if change.opens:
            self._starting.add(change.task.run_id)
            records["open_attempt"].append(opening(change, mark, self._known(change.task.run_id).trace_id))
        records["add_event"].append(event(change, mark, fingerprint))

    def _outcome(self, change: Change, rows: Rows) -> list[Row]:
        """How many needs are dead and whether it is critical; no row: the guard did not hold.

        Of a run that is as it was left it is known before; what is shared was locked when it was picked.
        """
        task = change.task
        if self._believes and (task.run_id in self._as_left or task.run_id in self._shared):
            row = (task.dead_needs, task.critical)
            self._assumed.append((rows, row))
            return [row]
        # All of it: an error that is raised later would keep a half read answer, and with it a lock, alive.
        return rows.fetchall()

    def _count(self, change: Change, dead_needs: int, critical: int) -> None:
        task, status = change.task, change.status
        if change.ask is not None:
            self._moved_at[task.run_id] = change.at
        self._known(task.run_id)
        deltas = self._deltas.setdefault(task.run_id, defaultdict(int))
        if status == task.status:
            return
        deltas[_COUNTER[task.status]] -= 1
        deltas[_COUNTER[status]] += 1
        if critical:
            deltas["n_stopping"] += (status == "failed") - (task.status == "failed")
        if dead_needs:
            deltas["n_unreachable"] += (status == "pending") - (task.status == "pending")

    def count(self, run_id: int, **deltas: int) -> None:
        """Move counters of a run by hand: tasks were added, or a failed one became critical."""
        self._known(run_id)
        counters = self._deltas.setdefault(run_id, defaultdict(int))
        for name, delta in deltas.items():
            counters[name] += delta
        self._set.add(run_id)

    # needs: every change of a need's met-ness moves the counters of those who need it, both ways

    def _propagate(self, changes: Iterable[tuple[Change, int]]) -> None:
        """Collect what the changes do to those who need their tasks, then write it: on the way sums may be negative."""
        met_now: list[int] = []
        shifts: dict[int, list[int]] = {}
        for change, dead_needs in changes:
            task = change.task
            run = self._read[task.run_id]
            if task.status == change.status or not (run.n_needs or self._deltas[task.run_id].get("n_needs")):
                continue
            met = run.met_by
            was, now = _standing(task.status, dead_needs, met), _standing(change.status, dead_needs, met)
            if was == (False, False) and now == (True, False):
                met_now.append(task.id)
            elif was != now:
                self.hold(task.run_id)
                self._shift(task.id, was, now, met, shifts)
        self._write_shifts(shifts)
        self._met += met_now
        if not self._shared:
            self.meet()

    def meet(self) -> bool:
        """Let those who wait for tasks that are done wait for them no longer; return whether there were any.

        Of a run that is shared it is done as late as possible, since often all wait for one and the same, and after
        the run is held: who has it alone holds it first, too.
        """
        met, self._met = self._met, []
        for run_id in self._shared if met else ():
            self.execute("hold_run", {"id": run_id})
        if len(met) == 1:
            self.execute("meet_one", {"id": met[0]})
        elif met:
            self.execute("meet_many", {"ids": json.dumps(met)})
        return bool(met)

    def shift(self, task: Task, unmet: int, dead_needs: int) -> None:
        """Move the counters of a task whose needs were exchanged, and of those who need it."""
        met = self._known(task.run_id).met_by
        after = task.dead_needs + dead_needs
        if task.status == "pending":
            self.count(task.run_id, n_unreachable=(after > 0) - (task.dead_needs > 0))
        shifts = {task.id: [unmet, dead_needs]}
        was, now = _standing(task.status, task.dead_needs, met), _standing(task.status, after, met)
        if was != now:
            self._shift(task.id, was, now, met, shifts)
        self._write_shifts(shifts)

    def _write_shifts(self, shifts: Mapping[int, Sequence[int]]) -> None:
        for task_id, (unmet, dead) in shifts.items():
            if unmet or dead:
                self.execute("shift_needs", {"id": task_id, "unmet": unmet, "dead_needs": dead})

    def _shift(
        self, task_id: int, was: _Standing, now: _Standing, met: frozenset[Status], shifts: dict[int, list[int]]
    ) -> None:
        """Move the dependants' counters, and those of their dependants where one becomes (un)reachable thereby."""
        todo = [(task_id, was, now)]
        while todo:
            needed_id, (was_met, was_dead), (is_met, is_dead) = todo.pop()
            for row in self.execute("dependants", {"id": needed_id}).fetchall():
                dependant: tuple[int, int, int, Status, int] = row  # type: ignore[assignment]  # the query's columns
                task, optional, run_id, status, dead_needs = dependant
                shift = shifts.setdefault(task, [0, 0])
                if optional:
                    shift[0] += (was_met or was_dead) - (is_met or is_dead)
                    continue
                dead_needs += shift[1]
                shift[0] += was_met - is_met
                shift[1] += is_dead - was_dead
                dead_after = dead_needs + is_dead - was_dead
                before, after = _standing(status, dead_needs, met), _standing(status, dead_after, met)
                if status == "pending":
                    self._deltas[run_id]["n_unreachable"] += (dead_after > 0) - (dead_needs > 0)
                if before != after:
                    todo.append((task, before, after))

    # ending

    def finish(self) -> None:
        """Write what is left to write; nothing of this transaction comes after it but the commit.

        Rows of errors are shared by all runs. So they come last, when this transaction has all it waits for, and in one
        order: who waits for one of them holds none that comes later.
        """
        self.settle()
        for seen in self._sightings.take():
            self.execute("see_error", seen)

    def settle(self) -> None:
        """Write every run that was touched: counters, and the status rolled up from them."""
        self.meet()
        for run_id, deltas in self._deltas.items():
            if run_id in self._shared:
                self._settle_shared(run_id, deltas)
                continue
            run = self._settled[run_id] = self._settle_one(self._read[run_id], deltas, self._moved_at.get(run_id))
            if run_id in self._set or run.finished_at != self._read[run_id].finished_at:
                self.execute("put_run", run._asdict())
            else:
                self.execute("count_run", run._asdict())
        self._deltas.clear()
        self._moved_at.clear()
        self._read.clear()
        self._set.clear()

    def _settle_shared(self, run_id: int, deltas: Mapping[str, int]) -> None:
        """Add to what the counters are now, and hold the run from here to the commit."""
        moved_at = self._moved_at.get(run_id, self._read[run_id].updated_at)
        added = {name: deltas.get(name, 0) for name in _COUNTERS}
        row = self.row("shift_run", id=run_id, updated_at=moved_at, **added)
        run = Run._make(row) if row else None
        if run_id in self._set or run is None or not self._is_shared_so(run):
            raise Mistaken
        before = run.having({name: getattr(run, name) - added[name] for name in added} | {"version": run.version - 1})
        settled = self._settled[run_id] = self._settle_one(before, deltas, self._moved_at.get(run_id))
        if settled != run:
            self.execute("put_run", settled._asdict())

    def _settle_one(self, run: Run, deltas: Mapping[str, int], moved_at: int | None) -> Run:
        values: dict[str, Value] = {name: getattr(run, name) + delta for name, delta in deltas.items() if delta}
        values["version"] = run.version + 1
        if moved_at is not None:
            values["updated_at"] = moved_at
            if run.started_at is None:
                values["started_at"] = moved_at
                self._set.add(run.id)
            if run.declared_status is not None:
                values.update(declared_status=None, declared_at=None, declared_error=None)
                self._set.add(run.id)
        run = run.having(values)
        status = run.declared_status or roll_up(
            run.counts,
            moved=run.started_at is not None,
            stopped=run.stopped,
            cancelled=run.cancelled_at is not None,
            unreachable=run.n_unreachable,
        )
        if status == run.status:
            return run
        at = run.updated_at
        self.record_run(run.id, "roll_up", at, "tasktrail", from_status=run.status, to_status=status)
        return run.having({"status": status, "finished_at": at if status in OVER else None})


_Standing = tuple[bool, bool]
"""As a need of others: whether it is met, and whether it can no longer be."""


def _standing(status: Status, dead_needs: int, met: frozenset[Status]) -> _Standing:
    if status in met:
        return True, False
    if status in ("pending", "blocked"):
        return False, dead_needs > 0
    return False, status != "in_progress"


def _with_counts(run: Run, deltas: Mapping[str, int]) -> Run:
    return run.having({name: getattr(run, name) + delta for name, delta in deltas.items() if delta})
