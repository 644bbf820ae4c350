"""Proves a store: the history folds to the rows, and every counter is what the tasks say it must be."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from operator import attrgetter
from typing import Final

from tasktrail.engine.removals import check_removals
from tasktrail.model.attempt import Attempt
from tasktrail.model.errors import NotFound
from tasktrail.model.graph import Need, dead_needs, unmet
from tasktrail.model.reference import format_task
from tasktrail.model.run import OVER, Run, roll_up
from tasktrail.model.task import DEFINITION, OUTCOMES, STATUSES, Outcome, Status, Task, Value
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Row, Transaction

Finding = tuple[int | None, str]
"""Row id of the task that it is about (None: the run), and what is wrong with it."""

_TRIED: Final[frozenset[Outcome]] = frozenset({"error", "timeout", "lost"})
_ENDINGS: Final[Mapping[str, frozenset[Outcome]]] = {
    "complete": frozenset({"ok"}), "fail": _TRIED, "retry": _TRIED, "lapse": frozenset({"lost"}),
    "release": frozenset({"released"}), "block": frozenset({"released", "lost"}), "restart": frozenset({"superseded"}),
    "skip": frozenset({"cancelled"}), "cancel": frozenset({"cancelled"}), "adopt": frozenset({"cancelled"}),
    "undo": frozenset({"cancelled"}),
}  # fmt: skip


@dataclass(slots=True, eq=False)
class Folded:
    """A task as its history says it stands; without history, as it was born."""

    status: str = "pending"
    version: int = 1
    not_before: Value = None
    attempts: Value = 0
    tries: Value = 0
    losses: Value = 0
    fence: Value = 0
    open_attempt: Value = None
    last_outcome: Value = None
    output: Value = None
    summary: Value = None
    error_type: Value = None
    error: Value = None
    reason: Value = None
    started_at: Value = None
    completed_at: Value = None
    definition: dict[str, Value] | None = None
    """What edits said of it. A task is born with any value, so that its first edit says what it was."""
    begun: dict[int, str | None] | None = None
    """By number the attempts that it began, each with the verb that ended it. A list may say of earlier ones."""


FOLDED: Final = tuple(column.name for column in fields(Folded) if column.name not in ("definition", "begun"))
_CHANGED: Final = frozenset(FOLDED) - {"status", "version", "open_attempt"}
_told: Final = attrgetter(*FOLDED)
_BORN: Final = Folded()


@dataclass(slots=True)
class History:
    """What the events of a run come to: tasks by row id, the run's status, and where an event contradicts its past."""

    tasks: dict[int, Folded] = field(default_factory=dict)
    status: str = "created"
    moved: bool = False
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Rows:
    """What the tasks of a run say, and what the store has counted for each; by row id as text."""

    statuses: dict[str, Status] = field(default_factory=dict)
    unmet: dict[str, int] = field(default_factory=dict)
    dead_needs: dict[str, int] = field(default_factory=dict)
    n_unreachable: int = 0
    n_stopping: int = 0
    payloads: set[str] = field(default_factory=set)


def verify(store: Store, run_id: int | None = None) -> list[str]:
    """Return what contradicts itself in a store, one sentence each; empty when it is proven sound.

    Each run is read on one snapshot; a run that is removed meanwhile is left out.

    Args:
        run_id: Row id of the only run to look at; None looks at all.

    Source: DESIGN §6 P10.
    """
    ids = [run_id] if run_id is not None else [int(str(row[0])) for row in store.read(lambda tx: tx.rows("run_ids"))]
    findings = store.integrity()
    if run_id is None:
        findings += store.read(lambda tx: [*check_removals(tx)])
    for one in ids:
        try:
            findings += store.read(partial(_verify_one, one))
        except NotFound:
            if run_id is not None:
                raise
    return findings if run_id is not None else findings + store.read(_check_errors)


def _check_errors(tx: Transaction) -> list[str]:
    """Failures may outnumber their attempts: a task fails without one, and runs are removed with theirs."""
    rows = tx.stream("uncounted_failures", {})
    return [f"error {name} was counted {counted} times, but {true} attempts have it" for name, true, counted in rows]


def _verify_one(run_id: int, tx: Transaction) -> list[str]:
    return verify_run(tx, tx.run(run_id))


def verify_run(tx: Transaction, run: Run) -> list[str]:
    """Return what contradicts itself in one run, one sentence each."""
    history = fold(tx.stream("fold_events", {"run_id": run.id}))
    found = history.findings
    rows = Rows()
    found += _check_tasks((_task(row) for row in tx.stream("tasks_of_run", {"run_id": run.id})), history, rows)
    needs, dangling = _needs(tx.stream("needs_of_run", {"run_id": run.id}), rows.statuses)
    found += dangling
    found += check_needs(rows, needs, run.met_by)
    found += check_run(run, rows, history, sum(map(len, needs.values())))
    attempts = (_attempt(row) for row in tx.stream("attempts_of_run", {"run_id": run.id}))
    found += check_attempts(attempts, history.tasks, rows)
    found += _check_payloads(tx, rows.payloads)
    return [_sentence(tx, run, finding) for finding in found]


# the history


def fold(events: Iterable[Row]) -> History:
    """Return what a run's events come to, in order: (seq, run, task, verb, from, to, attempt, changes)."""
    history = History()
    for seq, _, task_id, verb, was, now, attempt, changes in events:
        if task_id is None:
            if verb == "roll_up":
                _fold_run(history, seq, was, now)
        elif was is not None or verb == "edit":
            assert isinstance(task_id, int)
            task = history.tasks.get(task_id)
            if task is None:
                task = history.tasks[task_id] = Folded()
            for fault in _fold_task(task, str(verb), was, now, attempt, changes):
                history.findings.append((task_id, f"event {seq} ({verb}) {fault}"))
            history.moved |= verb != "edit"
    return history


def _fold_run(history: History, seq: object, was: object, now: object) -> None:
    if was != history.status:
        history.findings.append((None, f"event {seq} (roll_up) starts from {was}, but the run was {history.status}"))
    history.status = str(now)


def _fold_task(task: Folded, verb: str, was: object, now: object, attempt: object, changes: object) -> Iterator[str]:
    task.version += 1
    if now is not None:
        if was != task.status:
            yield f"starts from {was}, but the task was {task.status}"
        task.status = STATUSES[STATUSES.index(now)] if now in STATUSES else str(now)
        yield from _fold_attempt(task, verb, attempt)
    if changes is not None:
        yield from _fold_changes(task, str(changes))


def _fold_attempt(task: Folded, verb: str, attempt: object) -> Iterator[str]:
    if task.open_attempt is not None and verb not in ("start", "edit"):
        if verb != "restart" and attempt != task.open_attempt:
            yield f"ends attempt {attempt}, but attempt {task.open_attempt} was open"
        assert task.begun, "the open attempt is the last of them"
        task.begun[next(reversed(task.begun))] = verb
        task.open_attempt = None
    if verb in ("start", "restart") and isinstance(attempt, int):
        task.open_attempt = attempt
        task.begun = task.begun or {}
        task.begun[attempt] = None


def _fold_changes(task: Folded, text: str) -> Iterator[str]:
    try:
        changes = {str(name): (old, new) for name, (old, new) in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        yield "has changes that cannot be read"
        return
    for name, (old, new) in changes.items():
        if name in _CHANGED:
            known = getattr(task, name)
            setattr(task, name, new)
        elif name in DEFINITION:
            task.definition = task.definition or {}
            known = task.definition.get(name, old)
            task.definition[name] = new
        else:
            continue
        if known != old:
            yield f"changes {name} from {_shown(old)}, but it was {_shown(known)}"


# the rows


def _check_tasks(tasks: Iterable[Task], history: History, rows: Rows) -> Iterator[Finding]:
    for task in tasks:
        folded = history.tasks.get(task.id, _BORN)
        if _told(task) != _told(folded) or folded.definition:
            yield from ((task.id, fault) for fault in _differences(task, folded))
        _take_in(task, rows)
    if len(history.tasks) > len(rows.statuses) or not all(str(one) in rows.statuses for one in history.tasks):
        for one in history.tasks:
            if str(one) not in rows.statuses:
                yield None, f"the history knows a task with row id {one}, which is not there"


def _differences(task: Task, folded: Folded) -> Iterator[str]:
    """A task's columns against its history. A version that is off alone means events that are missing."""
    for name in FOLDED:
        stored, told = getattr(task, name), getattr(folded, name)
        if stored != told:
            yield f"has {name} {_shown(stored)}, but its history says {_shown(told)}"
    for name, told in (folded.definition or {}).items():
        if getattr(task, name) != told:
            yield f"has {name} {_shown(getattr(task, name))}, but its history says {_shown(told)}"


def _take_in(task: Task, rows: Rows) -> None:
    name = str(task.id)
    rows.statuses[name] = task.status
    if task.unmet:
        rows.unmet[name] = task.unmet
    if task.dead_needs:
        rows.dead_needs[name] = task.dead_needs
        rows.n_unreachable += task.status == "pending"
    rows.n_stopping += bool(task.critical) and task.status == "failed"
    if task.output is not None and task.output.startswith("@"):
        rows.payloads.add(task.output[1:])


def check_needs(rows: Rows, needs: Mapping[str, list[Need]], met_by: frozenset[Status]) -> Iterator[Finding]:
    """Yield where the stored counters of needs are not what the tasks' statuses say. Keys are row ids as text."""
    if not needs and not rows.unmet and not rows.dead_needs:
        return
    for name, stored, told in (
        ("unmet", rows.unmet, unmet(rows.statuses, needs, met_by=met_by)),
        ("dead_needs", rows.dead_needs, dead_needs(rows.statuses, needs, met_by=met_by)),
    ):
        for key in stored.keys() | told.keys():
            counted, true = stored.get(key, 0), len(told.get(key, ()))
            if counted != true:
                yield int(key), f"has {name} {counted}, but its needs say {true}"


def check_run(run: Run, rows: Rows, history: History, n_needs: int) -> Iterator[Finding]:
    """Yield where a run's counters, status or times are not what its tasks and its history say."""
    counts = Counter(rows.statuses.values())
    told: dict[str, object] = {f"n_{status}": counts[status] for status in STATUSES}
    told.update(n_unreachable=rows.n_unreachable, n_stopping=rows.n_stopping, n_needs=n_needs)
    for name, true in told.items():
        if getattr(run, name) != true:
            yield None, f"has {name} {getattr(run, name)}, but its tasks say {true}"
    status = run.declared_status or _rolled_up(run, counts, rows)
    if run.status != status:
        yield None, f"is {run.status}, but its tasks say {status}"
    if run.status != history.status:
        yield None, f"is {run.status}, but its history says {history.status}"
    if (run.finished_at is not None) != (run.status in OVER):
        yield None, f"is {run.status}, but finished_at is {_shown(run.finished_at)}"
    if (run.started_at is not None) != history.moved:
        moved = "moved" if history.moved else "never moved"
        yield None, f"has started_at {_shown(run.started_at)}, but its history says that its tasks {moved}"


def _rolled_up(run: Run, counts: Mapping[Status, int], rows: Rows) -> str:
    return roll_up(
        counts,
        moved=run.started_at is not None,
        stopped=run.kind in ("dag", "job") and rows.n_stopping > 0,
        cancelled=run.cancelled_at is not None,
        unreachable=rows.n_unreachable,
    )


def check_attempts(attempts: Iterable[Attempt], folded: Mapping[int, Folded], rows: Rows) -> Iterator[Finding]:
    """Yield where attempts (by task, then number) are not the ones that the history began and ended."""
    counts: Counter[int] = Counter()
    for attempt in attempts:
        counts[attempt.task_id] += 1
        begun = folded.get(attempt.task_id, _BORN).begun or {}
        if attempt.n not in begun:
            yield attempt.task_id, f"has attempt {attempt.n}, but its history did not begin it"
        yield from ((attempt.task_id, fault) for fault in _ending_faults(attempt, begun))
        if attempt.output is not None and attempt.output.startswith("@"):
            rows.payloads.add(attempt.output[1:])
    for task_id, task in folded.items():
        if (n_begun := len(task.begun or ())) != counts[task_id]:
            yield task_id, f"has {counts[task_id]} attempts, but its history began {n_begun}"


def _ending_faults(attempt: Attempt, begun: Mapping[int, str | None]) -> Iterator[str]:
    ended_by = begun.get(attempt.n)
    if ended_by is None and attempt.outcome is not None:
        yield f"has attempt {attempt.n} ended as {attempt.outcome}, but its history did not end it"
    elif ended_by is not None and attempt.outcome not in _ENDINGS.get(ended_by, OUTCOMES):
        ended = f"ended as {attempt.outcome}" if attempt.outcome else "open"
        yield f"has attempt {attempt.n} {ended}, but its history says {ended_by}"


# reading


def _task(row: Row) -> Task:
    return Task._make(row)


def _attempt(row: Row) -> Attempt:
    return Attempt._make(row)


def _needs(edges: Iterable[Row], statuses: Mapping[str, Status]) -> tuple[dict[str, list[Need]], list[Finding]]:
    """Return the needs by row id as text; one on no task keeps its written name, which no row id is."""
    needs: dict[str, list[Need]] = {}
    dangling: list[Finding] = []
    kept: dict[tuple[object, object], Need] = {}
    for task_id, written, needed_id, optional in edges:
        known = kept.get((needed_id, optional)) if needed_id is not None else None
        if known is None:
            key = f"no task: {written}" if needed_id is None else str(needed_id)
            known = kept[needed_id, optional] = Need(key, bool(optional))
            if needed_id is not None and key not in statuses:
                dangling.append((int(str(task_id)), f"needs {written}, which is a task of another run"))
        needs.setdefault(str(task_id), []).append(known)
    return needs, dangling


def _check_payloads(tx: Transaction, hashes: Iterable[str]) -> Iterator[Finding]:
    for name in sorted(hashes):
        row = tx.row("payload_by_hash", hash=name)
        if row is None:
            yield None, f"refers to the payload {name[:12]}…, which is not there"
        elif hashlib.sha256(str(row[0]).encode()).hexdigest() != name:
            yield None, f"refers to the payload {name[:12]}…, whose content is another"


def _sentence(tx: Transaction, run: Run, finding: Finding) -> str:
    task_id, fault = finding
    task = tx.task("task_by_id", id=task_id) if task_id is not None else None
    if task is None:
        about = (
            f"run {run.kind}/{run.name}"
            if task_id is None
            else f"run {run.kind}/{run.name}, task with row id {task_id},"
        )
        return f"{about} {fault}"
    return f"task {run.kind}/{format_task(run.name, task.key, task.item, task.map_index)} {fault}"


def _shown(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
