"""Updates of many tasks at once, as they are given; and what became of them, or was undone, as dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasktrail.engine.batches import BatchMarked, TaskMark
from tasktrail.engine.undo import Select, TaskUndone, Undone, of_actor, of_batch, of_event
from tasktrail.formats.moment import moment_before, parse_moment
from tasktrail.model.errors import BadInput, TasktrailError
from tasktrail.model.run import Run
from tasktrail.plan.words import MARKS
from tasktrail.tools import Words

_TEXTS: Final = ("notes", "result", "error")
_KEYS: Final = ("task_id", "status", *_TEXTS)


def marks_of(updates: object) -> list[TaskMark]:
    """Return what updates say.

    Raises:
        BadInput: Something cannot be; the details name all of it.
    """
    if not isinstance(updates, Sequence) or isinstance(updates, str | bytes):
        raise BadInput(f"expected updates to be a list, got: {updates!r:.60}")
    faults = [fault for place, one in enumerate(updates) for fault in _faults(f"updates[{place}]", one)]
    if faults:
        raise BadInput("these updates cannot be made", details=faults)
    texts = ([one.get(name) or "" for name in _TEXTS] for one in updates)
    return [TaskMark(one["task_id"], one["status"], *said) for one, said in zip(updates, texts, strict=True)]


def _faults(place: str, one: object) -> list[str]:
    if not isinstance(one, Mapping):
        return [f"{place}: expected an update to be an object, got: {one!r:.60}"]
    faults = [f"{place}: unknown key {key!r:.60}; known are {', '.join(_KEYS)}" for key in one if key not in _KEYS]
    if not isinstance(one.get("task_id"), str):
        faults.append(f"{place}: expected task_id to be an id, got: {one.get('task_id')!r:.60}")
    if one.get("status") not in MARKS:
        faults.append(f"{place}: Invalid status: {one.get('status')!r:.60}. Must be: {', '.join(MARKS)}")
    if one.get("error") and one.get("status") != "failed":
        faults.append(f"{place}: expected error with status failed alone")
    texts = [name for name in _TEXTS if not isinstance(one.get(name) or "", str)]
    return faults + [f"{place}: expected {name} to be a text, got: {one[name]!r:.60}" for name in texts]


def marked_words(marks: Sequence[TaskMark], marked: BatchMarked) -> Words:
    """Return the answer, with one for each task."""
    answers = [_answer(mark, item) for mark, item in zip(marks, marked.items, strict=True)]
    done = sum(answer["status"] == "success" for answer in answers)
    words: Words = {"status": "success", "message": f"{done} of {len(marks)} tasks marked", "results": answers}
    return words if marked.batch is None else {**words, "batch": marked.batch}


def _answer(mark: TaskMark, item: object) -> Words:
    if isinstance(item, TasktrailError):
        return {"status": "error", "task_id": mark.key, "message": item.message, "code": item.code}
    return {"status": "success", "task_id": mark.key, "new_status": mark.status}


def selected(run: Run, event: int | None, actor: str, since: str, batch: int | None, now: int) -> Select:
    """Return what is to be undone.

    Args:
        now: From which a span of time is counted back.

    Raises:
        BadInput: Not one of event, batch, and actor with since is given.
    """
    if (event is not None) + (batch is not None) + bool(actor) != 1 or bool(actor) != bool(since):
        raise BadInput("expected one of event, batch, or actor with since", hint="task_history shows the numbers")
    if batch is not None:
        return of_batch(batch)
    if event is not None:
        return of_event(event)
    span = moment_before(since, now)
    at = parse_moment(since) if span is None else span
    if at is None:
        raise BadInput(f"expected since to be a time as in 2026-01-31T12:00:00+00:00, or 2h, 3d, got: {since!r:.60}")
    return of_actor(actor, at, run)


def undone_words(undone: Undone, *, dry_run: bool) -> Words:
    """Return the answer: what was undone of each task, and what cannot be."""
    count = f"{len(undone.tasks)} task{'s' * (len(undone.tasks) != 1)}"
    message = f"Would undo changes of {count}" if dry_run else f"Changes of {count} undone"
    words: Words = {"status": "success", "message": message, "undone": [_undone(one) for one in undone.tasks]}
    if undone.effects:
        words["effects"] = list(undone.effects)
    return {**words, "batch": undone.batches[0]} if undone.batches and not dry_run else words


def _undone(one: TaskUndone) -> dict[str, Any]:
    words: dict[str, Any] = {"task_id": one.task, "events": list(one.events)}
    words.update({"from": one.from_status, "to": one.to_status} if one.from_status != one.to_status else {})
    words.update({"fields": list(one.fields)} if one.fields else {})
    return {**words, "remark": one.remark} if one.remark else words
