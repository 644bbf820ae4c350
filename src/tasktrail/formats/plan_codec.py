"""The codec of `task-breakdown.json`: a plan as a document that people and agents edit; its words: `plan_json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from tasktrail.formats import PLAN_CODEC, plan_json
from tasktrail.formats.json_object import encode
from tasktrail.formats.picture import Listed, Picture, TaskPicture, Writing
from tasktrail.formats.plan_json import Breakdown
from tasktrail.model.plan import PlanTask
from tasktrail.model.task import FINAL, Value

__all__ = ["PLAN_JSON", "PlanJson", "task_picture"]

_SAID: Final[Mapping[str, str]] = {
    "priority": "priority", "attempts": "attempts", "summary": "result", "error": "error", "reason": "reason",
    "started_at": "started_at", "completed_at": "completed_at",
}  # fmt: skip
"""The columns that a breakdown has words for, and what `PlanTask` calls them."""


class PlanJson:
    """The codec `plan-json@1`. The file has no name and no status of its own: those are its run's."""

    name = PLAN_CODEC

    def load(self, text: str, where: str) -> Picture:
        """Return what the text says. See `Codec.load`."""
        return _picture(plan_json.load(text, where))

    def standing(self, picture: Picture) -> Picture:
        """Return where the run stands: every word of the file is meant."""
        return picture

    def write(
        self, text: str | None, picture: Picture, where: str = "the task breakdown", said: Picture | None = None
    ) -> Writing:
        """Bring a text to what the picture says. See `Codec.write`, and `plan_json.write` for what is left as it is."""
        if text is None or said is None or [task.key for task in said.tasks] != [task.key for task in picture.tasks]:
            whole = _breakdown(picture)
            brought = plan_json.write(text, whole if text is None else replace(whole, generated_at=None), where)
            return Writing(brought, said if brought is text and said is not None else self.load(brought, where))
        changed = {
            at: (_plan_task(was), _plan_task(task))
            for at, (was, task) in enumerate(zip(said.tasks, picture.tasks, strict=True))
            if task is not was
        }
        tasks = list(said.tasks)
        for at, (old, new) in changed.items():
            tasks[at] = task_picture(plan_json.written(old, new))
        return Writing(plan_json.edit_tasks(text, changed, where), replace(said, tasks=tuple(tasks)))


PLAN_JSON: Final = PlanJson()


def task_picture(task: PlanTask) -> TaskPicture:
    """Return what a breakdown says of a task, in the words of documents.

    One that somebody opened again by hand and left its completion time in place has none.
    """
    said = {column: name for column, name in _SAID.items() if task.status in FINAL or name != "completed_at"}
    values: dict[str, Value] = {
        column: value for column, name in said.items() if (value := getattr(task, name)) is not None
    }
    listed = Listed(task.title, task.needs, task.notes, task.history, task.updated_at)
    return TaskPicture(task.key, task.status, values, encode(dict(task.extra)) if task.extra else None, listed)


def _plan_task(picture: TaskPicture) -> PlanTask:
    """Return the same the other way round; columns that a breakdown has no words for are left out."""
    listed = picture.listed or Listed("")
    values = {name: picture.values[column] for column, name in _SAID.items() if column in picture.values}
    task = PlanTask(
        picture.key, listed.title, picture.status, needs=listed.needs, updated_at=listed.updated_at,
        status_updated_at=listed.history[-1].at if listed.history else None, notes=listed.notes,
        history=listed.history, extra=json.loads(picture.metadata) if picture.metadata else {},
    )  # fmt: skip
    return replace(task, **cast("dict[str, Any]", values))  # the columns have the types of the fields


def _picture(breakdown: Breakdown) -> Picture:
    metadata = encode(dict(breakdown.extra)) if breakdown.extra else None
    tasks = tuple(map(task_picture, breakdown.tasks))
    return Picture("", "", metadata=metadata, created_at=breakdown.generated_at, tasks=tasks)


def _breakdown(picture: Picture) -> Breakdown:
    extra = json.loads(picture.metadata) if picture.metadata else {}
    return Breakdown(tuple(map(_plan_task, picture.tasks)), picture.created_at, extra)
