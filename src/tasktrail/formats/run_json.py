"""The codec of run files, `run_<id>.json`: one DAG run with its steps, in the words of document 003."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tasktrail.formats import json_edit
from tasktrail.formats.json_object import Fault, JsonObject, encode, member_changes, refusal
from tasktrail.formats.moment import format_moment
from tasktrail.formats.picture import MAX_TASKS, Picture, TaskPicture, Writing
from tasktrail.model.errors import BadInput
from tasktrail.model.reference import check_key, check_run_id
from tasktrail.model.run import OVER, RunStatus
from tasktrail.model.task import FINAL, Status, Value

__all__ = ["RUN_JSON", "RUN_WORDS", "STEP_WORDS", "RunJson", "run_word", "step_word"]

STEP_WORDS: Final[Mapping[str, Status]] = {
    "pending": "pending", "running": "in_progress", "success": "completed", "failed": "failed", "retry": "pending",
    "skipped": "skipped", "cancelled": "cancelled",
}  # fmt: skip
RUN_WORDS: Final[Mapping[str, RunStatus]] = {
    "created": "created", "running": "running", "success": "completed", "failed": "failed", "retry": "running",
    "cancelled": "cancelled", "partial_success": "partial",
}  # fmt: skip
_STEP_WORD: Final = {status: word for word, status in STEP_WORDS.items() if word != "retry"} | {"blocked": "pending"}
_RUN_WORD: Final = {status: word for word, status in RUN_WORDS.items() if word != "retry"}

_COLUMNS: Final = (
    "max_retries", "critical", "tries", "last_outcome", "started_at", "completed_at", "error", "reason", "output",
)  # fmt: skip
_TRACES: Final = ("last_outcome", "started_at", "completed_at", "error", "reason")
"""What tells of a step that somebody or something has dealt with it."""
_DEFAULTS: Final[Mapping[str, Value]] = {"tries": 0, "max_retries": 3}
"""What a step is taken to have when the file does not say it."""
_RUN_TIMES: Final = ("updated_at", "started_at", "finished_at")
_TASK_TIMES: Final = ("started_at", "completed_at")


def step_word(status: Status, *, retrying: bool = False) -> str:
    """Return document 003's word for a task.

    >>> step_word("completed"), step_word("pending", retrying=True), step_word("blocked")
    ('success', 'retry', 'pending')
    """
    return "retry" if retrying and status == "pending" else _STEP_WORD[status]


def run_word(status: RunStatus, *, retrying: bool = False, in_progress: bool = False) -> str:
    """Return document 003's word for a run.

    Args:
        retrying: Whether one of its tasks is in RETRY.
        in_progress: Whether one of its tasks is in progress.

    >>> run_word("partial"), run_word("running", retrying=True)
    ('partial_success', 'retry')
    """
    return "retry" if retrying and not in_progress and status == "running" else _RUN_WORD[status]


class RunJson:
    """The codec `run-json@1`. Its tasks have the values max_retries, critical (0; it is left out of others), tries,
    last_outcome, started_at, completed_at, error, reason (of a skipped one) and output; `last_outcome` is `error` for
    what the file calls retry."""

    name = "run-json@1"

    def load(self, text: str, where: str) -> Picture:
        """Return what the text says. See `Codec.load`."""
        return _read(json_edit.load(text, where), text, where)

    def standing(self, picture: Picture) -> Picture:
        """Return where the run stands by what its file says. See `Codec.standing`.

        A step that never started is shown as skipped once the run is over. Nothing but its word says so, while one that
        was skipped has a time or a reason. A run that completed has no such steps: there, the word is meant.
        """
        if not _shows_skips(picture):
            return picture
        tasks = (replace(task, status="pending") if _is_bare(task, "skipped") else task for task in picture.tasks)
        return replace(picture, tasks=tuple(tasks))

    def write(
        self, text: str | None, picture: Picture, where: str = "the run file", said: Picture | None = None
    ) -> Writing:
        """Bring a text to what the picture says. See `Codec.write`.

        What the file leaves out stays out: a count at its default, and a time unless the status moves with it.
        """
        if len(picture.tasks) > MAX_TASKS:
            raise BadInput(f"{where}: expected at most {MAX_TASKS:,} steps, got: {len(picture.tasks):,}")
        if text is None:
            text = json_edit.dump(_words(_shown(picture, {}))) + "\n"
            return Writing(text, self.load(text, where))
        old = self.load(text, where) if said is None else said
        before = old.by_name()
        new = _silent_as(old, _shown(picture, before))
        changed, changes = _changes(old, new)
        if not changes:
            return Writing(text, old)
        # What the text will say is found without reading it again: of the other steps, as they were said.
        steps: dict[str, object] = dict.fromkeys(before)
        steps.update({key: _step_words(before[key]) for key in changed & before.keys()})
        document = json_edit.apply({**_run_words(old), "steps": steps}, changes)
        text = json_edit.edit(text, changes, where)
        return Writing(text, _read(document, text, where, {key: before[key] for key in before.keys() - changed}))


RUN_JSON: Final = RunJson()

# -------------------------------------------------------------------------------------------------------------- reading


def _read(document: object, text: str, where: str, known: Mapping[str, TaskPicture] | None = None) -> Picture:
    """Return what a loaded document says; steps of `known` keys are taken from there."""
    faults: list[Fault] = []
    if not isinstance(document, dict):
        faults.append(((), "expected a run file to be an object"))
        document = {}
    picture = _picture(JsonObject(document, (), faults), known or {})
    if faults:
        raise refusal(text, where, faults, "a run file")
    return picture


def _picture(run: JsonObject, known: Mapping[str, TaskPicture]) -> Picture:
    name = run.text("run_id")
    if name is None and not run.faults:
        run.fault("expected run_id to be given")
    name = _checked(run, "run_id", name or "", check_run_id)
    steps = run.inner("steps")
    if len(steps) > MAX_TASKS:
        run.fault(f"expected steps to be at most {MAX_TASKS:,}, got: {len(steps):,}", "steps")
        steps = {}
    return Picture(
        name=name,
        workflow=_checked(run, "dag_id", run.text("dag_id") or name, _check_dag_id),
        status=run.word("status", RUN_WORDS),
        error=run.text("error"),
        metadata=_metadata(run),
        created_at=run.moment("created_at"),
        updated_at=run.moment("updated_at"),
        started_at=run.moment("start_time"),
        finished_at=run.moment("end_time"),
        tasks=tuple(known.get(key) or _step(key, step, run.faults) for key, step in steps.items()),
    )


def _metadata(of: JsonObject, *without: str) -> str | None:
    """The JSON text of `metadata`, null like missing, less the members that have a place of their own."""
    if of.members.get("metadata") is None:
        return None
    found = {name: value for name, value in of.inner("metadata").items() if name not in without}
    return encode(found) if found else None


def _check_dag_id(text: str) -> str:
    return check_key(text, "dag_id")


def _checked(run: JsonObject, name: str, text: str, check: Callable[[str], str]) -> str:
    if not run.faults:
        try:
            check(text)
        except BadInput as error:
            run.fault(error.message, name)
    return text


def _step(key: str, value: object, faults: list[Fault]) -> TaskPicture:
    path = ("steps", key)
    step = JsonObject.of(value, path, faults)
    has = step.members.get
    try:
        check_key(key, "step_id")
    except BadInput as error:
        step.fault(error.message)
    if has("step_id", key) != key:
        step.refuse("step_id", f"{encode(key)} as its key")
    status = step.word("status", STEP_WORDS) or "pending"
    skip_reason = step.inner("metadata").get("skip_reason") if status == "skipped" and has("metadata") else None
    reason = skip_reason if isinstance(skip_reason, str) else None
    values: dict[str, Value] = {
        "max_retries": step.count("max_retries"),
        "critical": 0 if step.flag("critical") is False else None,
        "tries": step.count("retry_count"),
        "last_outcome": "error" if has("status") == "retry" else None,
        "started_at": step.moment("start_time"),
        "completed_at": step.moment("end_time"),
        "error": step.text("error"),
        "reason": reason,
        "output": None if (result := has("result")) is None else encode(result),
    }
    metadata = _metadata(step, *(() if reason is None else ("skip_reason",)))
    return _said(TaskPicture(key, status, values, metadata))


# -------------------------------------------------------------------------------------------------------------- showing


def _shown(picture: Picture, before: Mapping[str, TaskPicture]) -> Picture:
    """The picture as a run file shows it. Tasks that were taken from what it said are shown already."""
    tasks = tuple(
        task if before.get(task.key) is task else _as_shown(_said(task), picture.status) for task in picture.tasks
    )
    failed = sum(task.status == "failed" for task in tasks)
    error = picture.error
    if error is None and failed and picture.status in ("failed", "partial"):
        error = f"{failed} step(s) failed"
    return replace(picture, tasks=tasks, error=error)


def _as_shown(task: TaskPicture, run_status: RunStatus | None) -> TaskPicture:
    """A run that is over shows never-started tasks as skipped; in the store they are pending: a retry reaches them."""
    return replace(task, status="skipped") if run_status in OVER and _is_bare(task, "pending") else task


def _shows_skips(picture: Picture) -> bool:
    """Whether a bare `skipped` stands for a step that never started."""
    return picture.status in OVER and picture.status != "completed"


def _is_bare(task: TaskPicture, status: Status) -> bool:
    """Whether nothing but this status is known of what was done with the task."""
    return task.status == status and not any(name in task.values for name in _TRACES)


def _said(task: TaskPicture) -> TaskPicture:
    """The task as far as a run file has words for it. Saying it twice is saying it once."""
    status: Status = "pending" if task.status == "blocked" else task.status
    has = task.values.get
    values = {name: value for name in _COLUMNS if (value := has(name)) is not None}
    if status not in FINAL:
        values.pop("completed_at", None)
    if status != "skipped":
        values.pop("reason", None)
    if values.get("critical"):
        del values["critical"]
    if "last_outcome" in values:
        del values["last_outcome"]
        if status == "pending" and has("last_outcome") in ("error", "timeout"):
            values["last_outcome"] = "error"
    tries, max_retries = values.get("tries"), values.get("max_retries")
    if isinstance(tries, int) and isinstance(max_retries, int) and tries > max_retries:
        values["tries"] = max_retries
    return TaskPicture(task.key, status, values, task.metadata)


def _words(picture: Picture) -> dict[str, object]:
    return {**_run_words(picture), "steps": {task.key: _new_step_words(task) for task in picture.tasks}}


def _run_words(picture: Picture) -> dict[str, object]:
    statuses = {(task.status, "last_outcome" in task.values) for task in picture.tasks}
    retrying = ("pending", True) in statuses
    in_progress = ("in_progress", False) in statuses
    status = picture.status
    return {
        "run_id": picture.name,
        "dag_id": picture.workflow,
        "status": status and run_word(status, retrying=retrying, in_progress=in_progress),
        "created_at": _moment_word(picture.created_at),
        "updated_at": _moment_word(picture.updated_at),
        "start_time": _moment_word(picture.started_at),
        "end_time": _moment_word(picture.finished_at),
        "duration_seconds": _duration(picture.started_at, picture.finished_at),
        "error": picture.error,
        "metadata": json.loads(picture.metadata) if picture.metadata else {},
    }


def _step_words(task: TaskPicture) -> dict[str, object]:
    has = task.values.get
    output, reason = has("output"), has("reason")
    metadata = json.loads(task.metadata) if task.metadata else {}
    return {
        "step_id": task.key,
        "status": step_word(task.status, retrying=has("last_outcome") is not None),
        "start_time": _moment_word(has("started_at")),
        "end_time": _moment_word(has("completed_at")),
        "duration_seconds": _duration(has("started_at"), has("completed_at")),
        "retry_count": has("tries"),
        "max_retries": has("max_retries"),
        "critical": has("critical") != 0,
        "error": has("error"),
        "result": None if output is None else json.loads(str(output)),
        "metadata": metadata if reason is None else {**metadata, "skip_reason": reason},
    }


def _new_step_words(task: TaskPicture) -> dict[str, object]:
    """A new step has the members of document 003, and says only of one that is not critical that it is not."""
    words = _step_words(task)
    return {name: value for name, value in words.items() if name != "critical" or not value}


def _moment_word(at: Value) -> str | None:
    return format_moment(at) if isinstance(at, int) else None


def _duration(start: Value, end: Value) -> float | None:
    return round((end - start) / 1_000_000, 6) if isinstance(start, int) and isinstance(end, int) else None


# -------------------------------------------------------------------------------------------------------------- editing


def _changes(old: Picture, new: Picture) -> tuple[set[str], list[tuple[json_edit.Path, object]]]:
    """The keys of the steps that differ, and the smallest changes that make the text say the new picture."""
    before, steps = old.by_name(), new.by_name()
    changes = member_changes(_run_words(old), _run_words(new), ())
    changes += [(("steps", key), json_edit.REMOVE) for key in before if key not in steps]
    changed: set[str] = set()
    for key, task in steps.items():
        was, path = before.get(key), ("steps", key)
        if was is None:
            changes.append((path, _new_step_words(task)))
        elif was is task or (shown := _as_shown(was, old.status)) == task:
            continue
        else:
            changes += member_changes(_step_words(shown), _step_words(task), path)
        changed.add(key)
    return changed, changes


def _silent_as(old: Picture, new: Picture) -> Picture:
    """The new picture without what its text leaves out and may go on leaving out."""
    silent = [name for name in _RUN_TIMES if old.status == new.status and getattr(old, name) is None]
    if old.created_at is None:
        silent.append("created_at")
    before, tells = old.by_name(), _shows_skips(new)
    tasks = tuple(
        task if (was := before.get(task.key)) is None or was is task else _silent_task(was, task, tells)
        for task in new.tasks
    )
    return replace(new, tasks=tasks, **dict.fromkeys(silent))  # type: ignore[arg-type]  # all of them may be None


def _silent_task(old: TaskPicture, new: TaskPicture, tells: bool) -> TaskPicture:
    """The task without what its text may leave out.

    Args:
        tells: Whether a time of a skipped step may be all that tells it from one that never started.
    """
    silent = {name for name, value in _DEFAULTS.items() if name not in old.values and new.values.get(name) == value}
    if old.status == new.status and not (tells and new.status == "skipped"):
        silent |= {name for name in _TASK_TIMES if name not in old.values}
    if not silent:
        return new
    return replace(new, values={name: value for name, value in new.values.items() if name not in silent})
