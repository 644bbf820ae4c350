"""The format of `task-breakdown.json`: the tasks of a plan, in the words of document 000."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from tasktrail.formats import json_edit
from tasktrail.formats.json_object import Fault, JsonObject, encode, member_changes, refusal
from tasktrail.formats.moment import format_moment
from tasktrail.formats.picture import MAX_TASKS
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.reference import check_key
from tasktrail.model.task import PRIORITIES, STATUSES, Status

__all__ = [
    "DERIVED",
    "Breakdown",
    "dump",
    "edit_tasks",
    "load",
    "places",
    "read_task",
    "task_words",
    "write",
    "written",
]

_TOP: Final = frozenset({"generated_at", "total_tasks", "tasks"})
_ALWAYS: Final = ("status", "started_at", "completed_at", "result", "attempts")
"""What a new task says of its status, even where there is nothing to say; `notes` likewise."""
_SELDOM: Final = ("status_updated_at", "created_at", "updated_at", "error", "reason")
_OURS: Final = frozenset({"id", "description", "priority", "dependencies", "notes", "history", *_ALWAYS, *_SELDOM})
DERIVED: Final = frozenset({"claimed_by", "lease_expired", "elapsed_seconds"})
"""What is said of a task where it is read, and follows from the rest: nobody's own key, and not written."""
_NOT_EXTRA: Final = _OURS | DERIVED
_STANDING: Final = _OURS - {"id", "description", "priority", "dependencies"}
_STATUS_TIMES: Final = ("started_at", "completed_at", "status_updated_at")
_PRIORITY: Final = 3
_STATUS: Final[Mapping[str, Status]] = {status: status for status in STATUSES}

_T = TypeVar("_T", Note, Move)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What a breakdown file says.

    Args:
        tasks: In the order of the file.
        generated_at: Microseconds UTC.
        extra: Its members that we have no word for.
        total_tasks: The file's own count, which may be wrong; None where it has none.
    """

    tasks: tuple[PlanTask, ...] = ()
    generated_at: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    total_tasks: int | None = field(default=None, compare=False)


def load(text: str, where: str) -> Breakdown:
    """Return what a breakdown file says.

    `tasks` is enough, and of a task its `id`: what is missing or null is as in a new task, so a missing status is
    pending. Times without an offset are UTC. Members that we have no word for are kept in `extra`. What a task needs
    is kept as it is written, also where no such task exists or tasks need each other in a cycle.

    Args:
        where: How messages name the text: the path of its file.

    Raises:
        BadInput: It is no JSON, or has another shape, an unknown status, a value of the wrong kind, an id twice.
            Everything that is wrong is said at once, each as `where:line:column: what`.
    """
    faults: list[Fault] = []
    document = json_edit.load(text, where)
    top = JsonObject.of(document, (), faults)
    breakdown = _breakdown(top) if isinstance(document, dict) else Breakdown()
    if faults:
        raise refusal(text, where, faults, "a task breakdown")
    return breakdown


def dump(breakdown: Breakdown, where: str = "the task breakdown") -> str:
    """Return the text of a new breakdown file.

    Raises:
        BadInput: See `write`.
    """
    _check(breakdown, where)
    words = {
        "generated_at": _moment_word(breakdown.generated_at),
        "total_tasks": len(breakdown.tasks),
        **breakdown.extra,
        "tasks": [task_words(task) for task in breakdown.tasks],
    }
    return json_edit.dump(words) + "\n"


def write(
    text: str | None, breakdown: Breakdown, where: str = "the task breakdown", said: Breakdown | None = None
) -> str:
    """Bring a text to what the breakdown says, with the smallest edit.

    New tasks follow the others, and those that the breakdown does not have go; only where it has them in another order
    is the list written anew. Notes come and go, as do a task's members that it has no word for. Nothing else is
    taken away, and the history only grows by what it does not have yet. What the text leaves out stays out where it is
    at its default, and so do a status's times until it moves.

    Args:
        text: None makes a new file.
        said: What the text says, where that is known: then it is not read. Tasks that the breakdown has from there,
            the very same objects, are not even compared.

    Returns:
        The very same object when nothing changes.

    Raises:
        BadInput: The text cannot be read, or what `load` would refuse was to be written.
    """
    if text is None:
        return dump(breakdown, where)
    _check(breakdown, where)
    old = load(text, where) if said is None else said
    edited, wanted = json_edit.edit(text, _changes(old, breakdown), where), [task.key for task in breakdown.tasks]
    return edited if _keys_after(old, wanted) == wanted else _in_order(edited, wanted, where)


def edit_tasks(text: str, changed: Mapping[int, tuple[PlanTask, PlanTask]], where: str) -> str:
    """Bring some tasks of a text that was loaded to what they are now. See `write`.

    Args:
        changed: By place in the list, what the text says of the task, and what it is.

    Raises:
        BadInput: What `load` would refuse was to be written.
    """
    _refuse([fault for _, new in changed.values() for fault in _unwritable(new)], where)
    changes = [
        change
        for at, (old, new) in changed.items()
        for change in _task_changes(old, _silent_as(old, new), ("tasks", at))
    ]
    return json_edit.edit(text, changes, where)


def written(old: PlanTask, new: PlanTask) -> PlanTask:
    """Return what a text that said `old` says of a task once it was brought to `new`: see `write` for what stays."""
    task = _silent_as(old, new)
    return replace(
        task,
        notes=(*_common(old.notes, new.notes), *_added(old.notes, new.notes)),
        history=(*old.history, *_added(old.history, new.history)),
    )


def places(text: str, breakdown: Breakdown, keys: Iterable[str], where: str) -> dict[str, str]:
    """Return `where:line:column` of some tasks of a text that was loaded, for messages about them."""
    paths: dict[str, json_edit.Path] = {task.key: ("tasks", at) for at, task in enumerate(breakdown.tasks)}
    wanted = {key: paths[key] for key in keys}
    offsets = json_edit.places(text, wanted.values())
    return {key: f"{where}:{json_edit.position(text, offsets[path])}" for key, path in wanted.items()}


# -------------------------------------------------------------------------------------------------------------- reading


def _breakdown(top: JsonObject) -> Breakdown:
    top.require("tasks")
    tasks = top.objects("tasks")
    if len(tasks) > MAX_TASKS:
        top.fault(f"expected tasks to be at most {MAX_TASKS:,}, got: {len(tasks):,}", "tasks")
        tasks = []
    _refuse_repeated(tasks)
    return Breakdown(
        tasks=tuple(map(read_task, tasks)),
        generated_at=top.moment("generated_at"),
        extra={name: value for name, value in top.members.items() if name not in _TOP},
        total_tasks=top.count("total_tasks"),
    )


def _refuse_repeated(tasks: Iterable[JsonObject]) -> None:
    seen = set()
    for task in tasks:
        key = task.members.get("id")
        if isinstance(key, str) and key in seen:
            task.fault(f"expected each id once, got: {encode(key)[:60]} again", "id")
        elif isinstance(key, str):
            seen.add(key)


def read_task(task: JsonObject) -> PlanTask:
    """Return the task that an object of the list says."""
    # Most lists say of most tasks what they are, and no more.
    standing = {} if task.members.keys().isdisjoint(_STANDING) else _standing(task)
    return PlanTask(
        key=_key(task),
        title=task.text("description") or "",
        priority=_priority(task),
        needs=tuple(task.texts("dependencies")),
        extra={name: value for name, value in task.members.items() if name not in _NOT_EXTRA},
        **standing,
    )


def _standing(task: JsonObject) -> dict[str, Any]:
    """What is said of where a task stands, by the fields of `PlanTask`."""
    return {
        "status": task.word("status", _STATUS) or "pending",
        "result": task.text("result"),
        "error": task.text("error"),
        "reason": task.text("reason"),
        "attempts": task.count("attempts") or 0,
        "created_at": task.moment("created_at"),
        "updated_at": task.moment("updated_at"),
        "started_at": task.moment("started_at"),
        "completed_at": task.moment("completed_at"),
        "status_updated_at": task.moment("status_updated_at"),
        "notes": tuple(map(_note, task.objects("notes"))),
        "history": tuple(map(_move, task.objects("history"))),
    }


def _key(task: JsonObject) -> str:
    task.require("id")
    key = task.text("id")
    try:
        return check_key(key, "id") if key is not None else ""
    except BadInput as error:
        task.fault(error.message, "id")
        return ""


def _priority(task: JsonObject) -> int:
    """A whole number, smaller is more urgent, or one of four words."""
    word = task.members.get("priority")
    if not isinstance(word, str):
        number = task.number("priority")
        return _PRIORITY if number is None else number
    if word.upper() not in PRIORITIES:
        task.refuse("priority", f"a whole number or one of {', '.join(PRIORITIES)}")
    return PRIORITIES.get(word.upper(), _PRIORITY)


def _note(entry: JsonObject) -> Note:
    entry.require("note")
    return Note(entry.text("note") or "", entry.moment("timestamp"), entry.text("actor"))


def _move(entry: JsonObject) -> Move:
    entry.require("timestamp", "from", "to")
    from_status = entry.word("from", _STATUS) or "pending"
    to_status = entry.word("to", _STATUS) or "pending"
    return Move(entry.moment("timestamp") or 0, from_status, to_status, entry.text("actor"))


# -------------------------------------------------------------------------------------------------------------- writing


def _check(breakdown: Breakdown, where: str) -> None:
    """Refuse to write what could not be read."""
    if len(breakdown.tasks) > MAX_TASKS:
        raise BadInput(f"{where}: expected at most {MAX_TASKS:,} tasks, got: {len(breakdown.tasks):,}")
    faults = [fault for task in breakdown.tasks for fault in _unwritable(task)]
    faults += _taken("the breakdown", breakdown.extra, _TOP)
    counts = Counter(task.key for task in breakdown.tasks)
    if len(counts) < len(breakdown.tasks):
        faults += [f"task {key} is given {times} times" for key, times in counts.items() if times > 1]
    _refuse(faults, where)


def _refuse(faults: Sequence[str], where: str) -> None:
    if len(faults) == 1:
        raise BadInput(f"{where}: {faults[0]}")
    if faults:
        raise BadInput(f"{where} cannot be written: {len(faults)} faults", details=faults[:20])


def _unwritable(task: PlanTask) -> list[str]:
    try:
        check_key(task.key, "id")
    except BadInput as error:
        return [error.message]
    return _taken(f"task {task.key}", task.extra, _OURS)


def _taken(what: str, extra: Mapping[str, object], ours: frozenset[str]) -> list[str]:
    if ours.isdisjoint(extra):
        return []
    return [f"{what} has a further member {name}, a word of the format" for name in extra if name in ours]


def task_words(task: PlanTask) -> dict[str, object]:
    """Return a new task as it is written: as in document 000, and of its other words those that it needs."""
    words = _words(task)
    extra = dict(task.extra)
    module = {name: extra.pop(name) for name in ["module"] if name in extra}
    seldom = {name: words[name] for name in _SELDOM if words[name] is not None}
    history = {"history": _entries(task.history)} if task.history else {}
    return {
        "id": task.key,
        "description": task.title,
        **module,
        "priority": task.priority,
        "dependencies": list(task.needs),
        **extra,
        **{name: words[name] for name in _ALWAYS},
        "notes": _entries(task.notes),
        **seldom,
        **history,
    }


def _words(task: PlanTask) -> dict[str, object]:
    """All that is replaced when it changes: neither `notes` and `history`, which grow, nor what we have no word for."""
    return {
        "description": task.title,
        "priority": task.priority,
        "dependencies": list(task.needs),
        "status": task.status,
        "started_at": _moment_word(task.started_at),
        "completed_at": _moment_word(task.completed_at),
        "result": task.result,
        "attempts": task.attempts,
        "status_updated_at": _moment_word(task.status_updated_at),
        "created_at": _moment_word(task.created_at),
        "updated_at": _moment_word(task.updated_at),
        "error": task.error,
        "reason": task.reason,
    }


def _moment_word(at: int | None) -> str | None:
    return None if at is None else format_moment(at)


def _entries(said: Iterable[Note | Move]) -> list[object]:
    return [_entry(each) for each in said]


def _entry(said: Note | Move) -> dict[str, object]:
    actor = {} if said.actor is None else {"actor": said.actor}
    if isinstance(said, Note):
        return {"timestamp": _moment_word(said.at), "note": said.text, **actor}
    return {"timestamp": _moment_word(said.at), "from": said.from_status, "to": said.to_status, **actor}


# -------------------------------------------------------------------------------------------------------------- editing


def _changes(old: Breakdown, new: Breakdown) -> list[json_edit.Change]:
    changes = _extra_changes(old.extra, new.extra, ())
    if new.generated_at is not None and new.generated_at != old.generated_at:
        changes.append((("generated_at",), _moment_word(new.generated_at)))
    if old.total_tasks is not None and len(old.tasks) != len(new.tasks):
        changes.append((("total_tasks",), len(new.tasks)))
    return changes + _list_changes(old.tasks, new.tasks)


def _list_changes(old: Sequence[PlanTask], new: Sequence[PlanTask]) -> list[json_edit.Change]:
    at_by_key = {task.key: at for at, task in enumerate(old)}
    kept = {task.key for task in new}
    changes: list[json_edit.Change] = [
        (("tasks", at), json_edit.REMOVE) for key, at in at_by_key.items() if key not in kept
    ]
    added = [task for task in new if task.key not in at_by_key]
    changes += [(("tasks", at), task_words(task)) for at, task in enumerate(added, len(old))]
    for task in new:
        at = at_by_key.get(task.key)
        if at is not None and old[at] is not task and old[at] != task:
            changes += _task_changes(old[at], _silent_as(old[at], task), ("tasks", at))
    return changes


def _keys_after(old: Breakdown, wanted: Sequence[str]) -> list[str]:
    """The order in which `_list_changes` leaves the tasks."""
    kept = set(wanted)
    stay = dict.fromkeys(task.key for task in old.tasks if task.key in kept)
    return [*stay, *(key for key in wanted if key not in stay)]


def _in_order(text: str, keys: Sequence[str], where: str) -> str:
    """The text with its tasks in this order, each with all that it says, whether we have a word for it or not."""
    document = json_edit.load(text, where)
    assert isinstance(document, dict), "it was read as a breakdown"
    tasks = {task["id"]: task for task in document["tasks"]}
    return json_edit.edit(text, [(("tasks",), [tasks[key] for key in keys])], where)


def _silent_as(old: PlanTask, new: PlanTask) -> PlanTask:
    """The new task without the times that its text leaves out and may go on leaving out."""
    moved = old.status != new.status or old.attempts != new.attempts
    times = ["created_at", *(() if moved else _STATUS_TIMES)]
    silent = [name for name in times if getattr(old, name) is None]
    return replace(new, **dict.fromkeys(silent))  # type: ignore[arg-type]  # all of them may be None


def _task_changes(old: PlanTask, new: PlanTask, path: json_edit.Path) -> list[json_edit.Change]:
    changes = member_changes(_words(old), _words(new), path)
    changes += json_edit.difference(dict(old.extra), dict(new.extra), path)
    changes += _going(old.notes, new.notes, (*path, "notes"))
    changes += _growth(old.notes, new.notes, (*path, "notes"))
    return changes + _growth(old.history, new.history, (*path, "history"))


def _extra_changes(
    old: Mapping[str, object], new: Mapping[str, object], path: json_edit.Path
) -> list[json_edit.Change]:
    """Changes of the file's own members that we have no word for: none is removed, since no plan has a word for it."""
    changes: list[json_edit.Change] = []
    for name, value in new.items():
        if name in old:
            changes += json_edit.difference(old[name], value, (*path, name))
        else:
            changes.append(((*path, name), value))
    return changes


def _growth(old: tuple[_T, ...], new: tuple[_T, ...], path: json_edit.Path) -> list[json_edit.Change]:
    """Changes that add to a list what it does not have yet."""
    added = _added(old, new)
    if not old:
        return [(path, _entries(added))] if added else []
    return [((*path, at), _entry(each)) for at, each in enumerate(added, len(old))]


def _going(old: tuple[_T, ...], new: tuple[_T, ...], path: json_edit.Path) -> list[json_edit.Change]:
    """Changes that take out of a list what is no longer said."""
    if new[: len(old)] == old:
        return []
    left = Counter(new)
    left.subtract(old)
    changes: list[json_edit.Change] = []
    for at in reversed(range(len(old))):
        if left[old[at]] < 0:
            left[old[at]] += 1
            changes.append(((*path, at), json_edit.REMOVE))
    return changes


def _common(old: tuple[_T, ...], new: tuple[_T, ...]) -> list[_T]:
    """What `_going` leaves."""
    gone = {path[-1] for path, _ in _going(old, new, ())}
    return [one for at, one in enumerate(old) if at not in gone]


def _added(old: tuple[_T, ...], new: tuple[_T, ...]) -> Sequence[_T]:
    return new[len(old) :] if new[: len(old)] == old else _missing(old, new)


def _missing(old: Sequence[_T], new: Sequence[_T]) -> list[_T]:
    left = Counter(old)
    left.subtract(new)  # below zero: so many more of them are new
    added = []
    for each in reversed(new):
        if left[each] < 0:
            left[each] += 1
            added.append(each)
    return added[::-1]
