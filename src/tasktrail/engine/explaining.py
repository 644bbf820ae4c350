"""Why nothing is running, or why this did not start: one sentence each, the most important first, and what to type."""

from __future__ import annotations

import json
import shlex
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal

from tasktrail.engine.leases import Holding
from tasktrail.engine.limits import FullLimit
from tasktrail.engine.reopening import again_words
from tasktrail.engine.situation import Situation
from tasktrail.engine.workers import WorkerView
from tasktrail.model.graph import Need, cycle_text, find_cycle, in_cycles
from tasktrail.model.run import OVER
from tasktrail.model.task import Task
from tasktrail.model.unblocking import Unblocking, unblocking

Cause = Literal[
    "completed", "stale", "cancelled", "stopped", "declared", "failed", "skipped", "paused", "not_begun", "unowned",
    "blocked", "in_progress", "retrying", "limited", "ready", "waiting", "missing", "unreachable", "cycle",
    "unblocking",
]  # fmt: skip
_NAMED: Final = 5
"""More tasks that stand alike are counted, not spelt out."""
_EXECUTED: Final = ("dag", "job")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something stands as it does.

    Args:
        text: One sentence without its full stop, and without the times.
        command: What to type next; None when there is nothing to do.
        tasks: References of the tasks that it is about.
        since: When it began, microseconds UTC.
        until: When it ends by itself.
        limit: What they wait for, of which no place is free.
        chain: From the task that waits to the one it waits for, each needing the next, where there are others between.
        unblocking: Which few tasks of a plan to see to first.
    """

    cause: Cause
    text: str
    command: str | None = None
    tasks: Sequence[str] = ()
    since: int | None = None
    until: int | None = None
    limit: FullLimit | None = None
    chain: Sequence[str] = ()
    unblocking: Unblocking | None = None


def explain_run(seen: Situation) -> list[Reason]:
    """Return why a run stands where it stands."""
    rules = (
        _of_the_end, _of_the_run, _of_owner, _of_blocked, _of_running, _of_retries, _of_limits, _of_ready, _of_waiting,
        _of_missing, _of_cycles, _of_unblocking, _of_stale,
    )  # fmt: skip
    return list(chain.from_iterable(rule(seen) for rule in rules))


def explain_task(seen: Situation, task: Task) -> list[Reason]:
    """Return why a task stands where it stands; of one that waits the root causes, and the chain to each."""
    if task.status != "pending":
        return [_standing(seen, task)]
    if task.unreachable:
        return list(_of_roots(seen, task, dead=True))
    held = list(_of_the_run(seen))
    if task.unmet:
        return [*held, *_of_roots(seen, task, dead=False)]
    if seen.waits_for_time(task):
        return [*held, _retry(seen, task), *_of_owner(seen)]
    return [*held, *_unexecuted(seen, [task]), *_limited(seen, [task])] or [_free(seen, [task])]


# the run


def _of_the_end(seen: Situation) -> Iterator[Reason]:
    run = seen.run
    if run.status not in OVER or run.cancelled_at is not None or run.stopped:
        return
    if run.status == "completed":
        yield Reason("completed", f"run {seen.reference} is completed, nothing is left to do", since=run.finished_at)
    elif run.declared_status is not None:
        words = f": {_line(run.declared_error)}" if run.declared_error else ""
        yield Reason("declared", f"run {seen.reference} as a whole is {run.status}{words}", _resume(seen))
    yield from _some(seen, _with_status(seen, "failed"), _standing)


def _of_stale(seen: Situation) -> Iterator[Reason]:
    yield from _some(seen, [task for task in seen.tasks if task.id in seen.stale], _standing)


def _of_the_run(seen: Situation) -> Iterator[Reason]:
    """What keeps every task of a run from starting."""
    run = seen.run
    if run.cancelled_at is not None:
        yield Reason("cancelled", f"run {seen.reference} was cancelled", _resume(seen), since=run.cancelled_at)
    if run.stopped:
        stopping = [task for task in _with_status(seen, "failed") if task.critical]
        yield from _some(seen, stopping, _stop)
    if run.paused and run.status not in OVER:
        yield Reason(
            "paused", f"run {seen.reference} is paused, nothing new starts", f"tasktrail resume {seen.reference}"
        )


def _of_owner(seen: Situation) -> Iterator[Reason]:
    yield from _unexecuted(seen, seen.tasks)


def _unexecuted(seen: Situation, tasks: Sequence[Task]) -> Iterator[Reason]:
    """Whether somebody is missing who executes what could be executed."""
    run = seen.run
    if seen.workers is not None:
        yield from _unserved(seen, tasks)
        return
    if seen.owner or run.kind not in _EXECUTED or not _may_start(seen):
        return
    if run.started_at is None:
        yield Reason("not_begun", f"run {seen.reference} has not begun", _resume(seen))
        return
    if not any(task.status == "in_progress" or (task.status == "pending" and not task.unmet) for task in seen.tasks):
        return
    yield Reason("unowned", f"nobody executes run {seen.reference}", _resume(seen), since=run.updated_at)


def _unserved(seen: Situation, tasks: Sequence[Task]) -> Iterator[Reason]:
    """A reason for each kind of worker that ready tasks of a pooled run wait for, where none of the kind lives."""
    asked: dict[tuple[str, Sequence[str]], list[Task]] = {}
    for task in tasks if _may_start(seen) else ():
        if task.queue is not None and seen.is_due(task) and not seen.is_served(task):
            asked.setdefault((task.queue, tuple(json.loads(task.labels or "[]"))), []).append(task)
    for (queue, labels), waiting in asked.items():
        offers = f" and offers {', '.join(labels)}" if labels else ""
        worker = f"a worker that serves queue {queue}{offers}; none is alive"
        options = ["--queue", queue, *chain.from_iterable(("--label", label) for label in labels)]
        many = _many(seen, "unowned", waiting, f"waits for {worker}", f"wait for {worker}")
        yield replace(many, command=shlex.join(["tasktrail", "worker", *options]))


def _of_blocked(seen: Situation) -> Iterator[Reason]:
    if _may_start(seen):
        blocked = [task for task in _with_status(seen, "blocked") if not task.unreachable]
        yield from _some(seen, blocked, _standing)


def _of_running(seen: Situation) -> Iterator[Reason]:
    yield from _some(seen, _with_status(seen, "in_progress"), _standing)


def _of_retries(seen: Situation) -> Iterator[Reason]:
    if _may_start(seen):
        waiting = [task for task in seen.tasks if seen.waits_for_time(task)]
        yield from _some(seen, sorted(waiting, key=lambda task: task.not_before or 0), _retry)


def _of_limits(seen: Situation) -> Iterator[Reason]:
    if _may_start(seen):
        yield from _limited(seen, seen.tasks)


def _of_ready(seen: Situation) -> Iterator[Reason]:
    due = (task for task in seen.tasks if seen.is_due(task) and seen.is_served(task))
    ready = [task for task in due if not seen.limits.full_for(task)]
    if ready and _may_start(seen) and (seen.owner or seen.run.kind not in _EXECUTED):
        yield _free(seen, ready)


def _of_waiting(seen: Situation) -> Iterator[Reason]:
    """In numbers: what they wait for was said before."""
    pending = _with_status(seen, "pending")
    waiting = [task for task in pending if task.unmet and not task.unreachable]
    if waiting and _may_start(seen):
        yield _many(seen, "waiting", waiting, "waits for what it needs", "wait for what they need")
    dead = [task for task in (*pending, *_with_status(seen, "blocked")) if task.unreachable]
    if dead and not seen.run.stopped and seen.run.cancelled_at is None:
        yield _many(seen, "unreachable", dead, "can no longer start", "can no longer start")


def _of_missing(seen: Situation) -> Iterator[Reason]:
    pending = _with_status(seen, "pending") if seen.run.accepts_starts else []
    absent = {task.id: keys[0] for task in pending if task.unmet and (keys := seen.absent(task))}
    lacking = [task for task in pending if task.id in absent]
    yield from _some(seen, lacking, lambda _, task: _missing(seen, task, absent[task.id]))


def _of_cycles(seen: Situation) -> Iterator[Reason]:
    """Each task is named in one cycle at most."""
    if seen.run.kind != "plan" or not seen.run.accepts_starts:
        return
    graph = seen.waiting_needs
    left = dict.fromkeys(in_cycles({key: [need.key for need in listed] for key, listed in graph.items()}))
    for _ in range(_NAMED):
        cycle = find_cycle(graph, next(iter(left))) if left else None
        if not cycle:
            return
        yield _cycle(seen, cycle)
        left = dict.fromkeys(key for key in left if key not in cycle)


def _of_unblocking(seen: Situation) -> Iterator[Reason]:
    """Which few tasks to see to first; where all that waits does so for ready tasks, there is no such advice."""
    if seen.run.kind != "plan" or not seen.run.accepts_starts:
        return
    needs = {task.name: [Need(edge.key, edge.optional) for edge in seen.needs.get(task.id, ())] for task in seen.tasks}
    found = unblocking({task.name: task.status for task in seen.tasks}, needs, met_by=seen.run.met_by)
    if found and found.alone:
        yield Reason("unblocking", _advice(found), tasks=_known(seen, found.alone), unblocking=found)


def _known(seen: Situation, names: Iterable[str]) -> list[str]:
    by_name = {task.name: seen.refer(task) for task in seen.tasks}
    return [by_name[name] for name in names if name in by_name]


def _advice(found: Unblocking) -> str:
    names = ", ".join(f"{key} ({number:,} alone)" for key, number in found.alone.items())
    most = "most" if found.exact else "many"
    return (
        f"{found.together:,} of {found.held:,} waiting tasks go on once these are done, the {most} for so few: {names}"
    )


def _may_start(seen: Situation) -> bool:
    return seen.run.accepts_starts and seen.run.status not in OVER


# one task


def _standing(seen: Situation, task: Task) -> Reason:
    """Why a task that does not wait stands where it stands."""
    name, about = seen.name(task), (seen.refer(task),)
    words = f": {_line(task.reason)}" if task.reason else ""
    if task.status == "failed":
        retry = _command("retry", seen, task)
        return Reason("failed", f"{name} failed: {error_line(task)}", retry, about, task.completed_at)
    if task.status == "blocked":
        complete = _command("complete", seen, task)
        return Reason("blocked", f"{name} waits for a person{words}", complete, about)
    if task.status == "in_progress":
        return _running(seen, task)
    if task.id in seen.stale:
        command = again_words(seen.run, seen.reference, task)
        stale = f"{name} is completed, but stale: {_why_stale(seen, task)}"
        return Reason("stale", stale, command, about, task.completed_at)
    if task.status == "completed":
        return Reason("completed", f"{name} is completed{words}", None, about, task.completed_at)
    again = _command("reopen", seen, task) if seen.run.cancelled_at is None else _resume(seen)
    cause: Cause = "skipped" if task.status == "skipped" else "cancelled"
    return Reason(cause, f"{name} is {cause}{words}", again, about, task.completed_at)


def _why_stale(seen: Situation, task: Task) -> str:
    edges = seen.needs.get(task.id, ())
    if undone := [edge.key for edge in edges if seen.is_unmet(edge)]:
        return f"{undone[0]} is not done"
    needed = [seen.by_id[edge.needed_id] for edge in edges if edge.needed_id is not None]
    if later := [seen.name(one) for one in needed if (one.completed_at or 0) > (task.completed_at or 0)]:
        return f"{later[0]} was done after it"
    if stale := [seen.name(one) for one in needed if one.id in seen.stale]:
        return f"{stale[0]} is stale"
    return f"item {task.item} became another one"


def _running(seen: Situation, task: Task) -> Reason:
    since, actor = seen.began.get(task.id, (task.started_at, "somebody"))
    name, about = seen.name(task), (seen.refer(task),)
    if seen.workers is not None and task.worker_id is not None:
        return _at_a_worker(seen, task, since, seen.workers)
    if task.worker_id is not None and seen.owner is None:
        words = f"{name} was in progress when its process ended; it starts again with the run"
        command = _resume(seen) if seen.run.kind in _EXECUTED else None
        return Reason("unowned", words, command, about, since)
    if claim := seen.claims.get(task.name):
        return _claimed(seen, task, claim, since)
    by = seen.owner if task.worker_id is not None and task.worker_id == seen.run.worker_id else actor
    return Reason("in_progress", f"{name} is in progress, by {by}", None, about, since)


def _claimed(seen: Situation, task: Task, claim: Holding, since: int | None) -> Reason:
    held, about = f"{seen.name(task)} is in progress, claimed by {claim.owner}", (seen.refer(task),)
    if not claim.ran_out:
        return Reason("in_progress", held, None, about, since)
    claim_it = shlex.join(["tasktrail", "next", "--claim", "--plan", seen.run.name])
    return Reason("in_progress", f"{held}, whose lease ran out; the next claim takes it over", claim_it, about, since)


def _at_a_worker(seen: Situation, task: Task, since: int | None, workers: Sequence[WorkerView]) -> Reason:
    name, about = seen.name(task), (seen.refer(task),)
    words = next((worker.words for worker in workers if worker.id == task.worker_id), None)
    if words is not None:
        return Reason("in_progress", f"{name} is in progress, by {words}", None, about, since)
    taken_over = f"{name} was in progress when its worker died; the next worker takes it over"
    return Reason("unowned", taken_over, None if workers else "tasktrail worker", about, since)


def _stop(seen: Situation, task: Task) -> Reason:
    words = f"{seen.name(task)} failed, and stops the run: {error_line(task)}"
    return Reason("stopped", words, _command("retry", seen, task), (seen.refer(task),), task.completed_at)


def _retry(seen: Situation, task: Task) -> Reason:
    words = f"is tried again after {error_line(task)}" if task.retrying else "waits for its time"
    return Reason("retrying", f"{seen.name(task)} {words}", None, (seen.refer(task),), until=task.not_before)


def _limited(seen: Situation, tasks: Iterable[Task]) -> Iterator[Reason]:
    """A reason for each limit that keeps ready tasks from starting."""
    by_limit: dict[tuple[str, int], tuple[FullLimit, list[Task]]] = {}
    for task in tasks:
        if seen.is_due(task) and (full := seen.limits.full_for(task)):
            by_limit.setdefault((full.name, full.size), (full, []))[1].append(task)
    for full, waiting in by_limit.values():
        many = _many(seen, "limited", waiting, f"waits for {full.words}", f"wait for {full.words}")
        yield replace(many, command=full.command, limit=full)


def _free(seen: Situation, ready: Sequence[Task]) -> Reason:
    if seen.owner:
        return _many(seen, "ready", ready, "starts when a place is free", "start when a place is free")
    return _many(seen, "ready", ready, "can be started", "can be started")


# what a task waits for


def _of_roots(seen: Situation, task: Task, *, dead: bool) -> Iterator[Reason]:
    before, roots = _walk(seen, task, dead=dead)
    for one in (seen.by_id[task_id] for task_id in before):
        for key in seen.absent(one):
            missing = _missing(seen, one, key)
            text = missing.text if one is task else f"{seen.name(task)} waits: {missing.text}"
            yield replace(missing, text=text, chain=_chain(seen, before, one))

    def told(_: Situation, root: Task) -> Reason:
        reason = _unreachable(seen, task, root) if dead else _waits_for(seen, task, root)
        return replace(reason, chain=_chain(seen, before, root))

    if dead:
        yield from _some(seen, [root for root in roots if root.status in ("failed", "cancelled", "skipped")], told)
        return
    if cycle := find_cycle(seen.waiting_needs, task.name) if seen.run.kind == "plan" else None:
        yield _cycle(seen, cycle)
    yield from _some(seen, [root for root in roots if not seen.is_due(root)], told)
    for limited in _limited(seen, roots):
        yield replace(limited, text=f"{seen.name(task)} waits: {limited.text}")
    ready = [root for root in roots if seen.is_due(root) and not seen.limits.full_for(root)]
    if ready:
        them = _many(seen, "waiting", ready, "is ready to start", "are ready to start")
        yield Reason("waiting", f"{seen.name(task)} waits for others: {them.text}", None, them.tasks)
        yield from _of_owner(seen)


def _walk(seen: Situation, task: Task, *, dead: bool) -> tuple[dict[int, int | None], list[Task]]:
    """Walk up the needs that are not met, the shortest way to each.

    Args:
        dead: Whether the way also leads through blocked tasks that can no longer start.

    Returns:
        By row id of what the walk came by, from which it came; and where it ends: tasks that wait for no other.
    """
    before: dict[int, int | None] = {task.id: None}
    roots: list[Task] = []
    front = deque([task])
    while front:
        at = front.popleft()
        if at is not task and not (at.status == "pending" and at.unmet) and not (dead and at.unreachable):
            roots.append(at)
            continue
        for edge in seen.needs.get(at.id, ()):
            needed = seen.by_id.get(edge.needed_id) if edge.needed_id is not None else None
            if needed is not None and needed.id not in before and seen.is_unmet(edge):
                before[needed.id] = at.id
                front.append(needed)
    return before, sorted(roots, key=lambda one: (one.position, one.map_index))


def _chain(seen: Situation, before: Mapping[int, int | None], end: Task) -> list[str]:
    path: list[str] = []
    at: int | None = end.id
    while at is not None:
        path.append(seen.refer(seen.by_id[at]))
        at = before[at]
    return path[::-1] if len(path) > 2 else []


def _missing(seen: Situation, task: Task, key: str) -> Reason:
    words = f"{seen.name(task)} needs {key}, which does not exist"
    return Reason("missing", words, _no_longer(seen, task, key), (seen.refer(task),))


def _cycle(seen: Situation, cycle: Sequence[str]) -> Reason:
    first = next(task for task in seen.tasks if task.name == cycle[0])
    return Reason("cycle", cycle_text(cycle), _no_longer(seen, first, cycle[1]), _known(seen, dict.fromkeys(cycle)))


def _no_longer(seen: Situation, task: Task, key: str) -> str | None:
    """Who needs what cannot be had is to need it no more; what code executes says its needs itself."""
    command = ["tasktrail", "edit", seen.refer(task), "--not-after", key]
    return shlex.join(command) if seen.run.kind == "plan" else None


def _waits_for(seen: Situation, task: Task, root: Task) -> Reason:
    own = _retry(seen, root) if root.status == "pending" else _standing(seen, root)
    text = f"{seen.name(task)} waits: {own.text}"
    return Reason(own.cause, text, own.command, own.tasks, own.since, own.until)


def _unreachable(seen: Situation, task: Task, root: Task) -> Reason:
    own = _standing(seen, root)
    return Reason("unreachable", f"{seen.name(task)} cannot start: {own.text}", own.command, own.tasks, own.since)


# words


def _some(seen: Situation, tasks: Sequence[Task], reason: Callable[[Situation, Task], Reason]) -> Iterator[Reason]:
    """A reason for each of the first tasks; the others are counted by how they stand."""
    yield from (reason(seen, task) for task in tasks[:_NAMED])
    rest = tasks[_NAMED:]
    for status, number in Counter(task.status for task in rest).items():
        first = reason(seen, next(task for task in rest if task.status == status))
        refs = [seen.refer(task) for task in rest if task.status == status]
        yield Reason(first.cause, f"… and {number:,} more", None, refs)


def _many(seen: Situation, cause: Cause, tasks: Sequence[Task], one: str, several: str) -> Reason:
    refs = [seen.refer(task) for task in tasks]
    if len(tasks) == 1:
        return Reason(cause, f"{seen.name(tasks[0])} {one}", None, refs)
    names = ", ".join(seen.name(task) for task in tasks[:_NAMED])
    more = ", …" if len(tasks) > _NAMED else ""
    return Reason(cause, f"{len(tasks):,} steps {several}: {names}{more}", None, refs)


def _with_status(seen: Situation, status: str) -> list[Task]:
    return [task for task in seen.tasks if task.status == status]


def error_line(task: Task) -> str:
    """Return in one line why a task failed."""
    parts: Iterable[str] = (task.error_type or "", _line(task.error) or _line(task.summary))
    return ": ".join(part for part in parts if part) or "no reason given"


def _line(text: str | None) -> str:
    return next((line.strip() for line in (text or "").splitlines() if line.strip()), "")


def _command(verb: str, seen: Situation, task: Task) -> str:
    return f"tasktrail {verb} {shlex.quote(seen.refer(task))}"


def _resume(seen: Situation) -> str | None:
    """Code that only a script has cannot be found again; people and agents resume their runs by working on them."""
    run = seen.run
    return f"tasktrail resume {seen.reference}" if run.target or run.kind not in _EXECUTED else None
