"""Between the documented objects and what documents and stores say of a matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import picture_of as stored_picture
from tasktrail.engine.matrices import save_matrix
from tasktrail.formats.picture import ItemPicture, Picture, TaskPicture, details_of
from tasktrail.formats.tracker_codec import DETAILS, WORDS, retries_of, task_said
from tasktrail.model.errors import BadInput
from tasktrail.model.matrix import TYPE_NAME, is_type_name
from tasktrail.model.reference import check_key
from tasktrail.model.run import Run
from tasktrail.model.task import Status, Value
from tasktrail.tracker.exceptions import UnknownFieldError
from tasktrail.tracker.models import ItemTasks, TaskRecord, WeekTasks, WeekTracker
from tasktrail.tracker.words import word_of

__all__ = [
    "check_item", "draft_of", "microseconds", "moment", "picture_of", "plain_text", "record_of", "redrawn",
    "save_draft",
]  # fmt: skip

M = TypeVar("M", bound=BaseModel)

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)
_COLUMNS: Final = ("attempts", "error", "started_at", "completed_at")


# times: without a zone they are UTC


def moment(at: Value) -> datetime | None:
    """Return microseconds UTC as people of a tracker have times."""
    return _EPOCH + at * _MICROSECOND if isinstance(at, int) else None


def microseconds(at: datetime | None) -> int | None:
    """Return a time as microseconds UTC.

    Raises:
        UnknownFieldError: In UTC it lies outside the years 1 to 9999.
    """
    if at is None:
        return None
    try:
        return ((at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at) - _EPOCH) // _MICROSECOND
    except OverflowError:
        raise UnknownFieldError(f"expected a time from year 1 to 9999 in UTC, got: {at.isoformat()}") from None


# to drafts


def draft_of(picture: Picture) -> WeekTracker:
    """Return what a document or a store says as an object to work with."""
    items = {item.name: _item_of(item) for item in picture.items}
    week = WeekTasks()
    for task in picture.tasks:
        (items[task.item] if task.item else week).tasks[task.key] = record_of(task)
    metadata = json.loads(picture.metadata) if picture.metadata else {}
    tracker = WeekTracker.model_construct(items=items, week_tasks=week, metadata=metadata)
    tracker._loaded = picture
    return tracker


def _item_of(item: ItemPicture) -> ItemTasks:
    return ItemTasks(removed=item.removed, content_hash=item.content_hash, **_attributes_of(item))


def record_of(task: TaskPicture) -> TaskRecord:
    """Return what is known of a task."""
    values = task.values
    return TaskRecord(
        status=word_of(task.status),
        started_at=moment(values.get("started_at")),
        completed_at=moment(values.get("completed_at")),
        error_message=values.get("error"),  # type: ignore[arg-type]  # the column is text
        retry_count=retries_of(values.get("attempts")),
        **details_of(task),  # type: ignore[arg-type]  # the codec checked them
    )


# from drafts


def picture_of(tracker: WeekTracker) -> Picture:
    """Return what an object says. What it was loaded from and says still is left as it was, object by object.

    Raises:
        UnknownFieldError: Metadata or attributes are no JSON values, an item or a task type cannot be called so, or an
            item or a record is none.
    """
    loaded = tracker._loaded or Picture("", "")
    known, items_known = loaded.by_name(), loaded.item_by_name()
    tasks, items = [], []
    for name, said in tracker.items.items():
        item = _valid(ItemTasks, said, name)
        items.append(_item_picture(items_known.get(name), name, item))
        tasks += [_task_picture(known, key, record, name) for key, record in item.tasks.items()]
    tasks += [_task_picture(known, key, record, "") for key, record in tracker.week_tasks.tasks.items()]
    metadata = plain_text(tracker.metadata, "metadata") if tracker.metadata else None
    return replace(loaded, metadata=metadata, tasks=tuple(tasks), items=tuple(items))


def _valid(kind: type[M], said: M, of: str) -> M:
    """What somebody put into a dictionary, which looks at nothing, as such an object."""
    if isinstance(said, kind):
        return said
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        fault = error.errors()[0]
        what = ": ".join([*map(str, fault["loc"]), fault["msg"]])
        raise UnknownFieldError(f"what {of} says is no {kind.__name__}: {what}") from None


def _item_picture(known: ItemPicture | None, name: str, item: ItemTasks) -> ItemPicture:
    if known is None:
        check_item(name)
    elif known.content_hash == item.content_hash and item.attributes == _attributes_of(known):
        return replace(known, removed=item.removed)
    plain_text({"content_hash": item.content_hash}, name)
    attributes = plain_text(item.attributes, name) if item.attributes else None
    return ItemPicture(name, item.removed, attributes, item.content_hash)


def _task_picture(known: Mapping[str, TaskPicture], key: str, record: TaskRecord, item: str) -> TaskPicture:
    was = known.get(f"{item}/{key}" if item else key)
    if was is None and not is_type_name(key):
        raise UnknownFieldError(f"expected a task type to be like {TYPE_NAME}, got: {key!r:.80}")
    record = _valid(TaskRecord, record, f"{item}/{key}" if item else key)
    if was is not None and record_of(was) == record:
        return was
    return _cell_of(key, record, item, was)


def _cell_of(key: str, record: TaskRecord, item: str, was: TaskPicture | None = None) -> TaskPicture:
    """Return what a record says of a task.

    Args:
        was: What was said of it before: a status for which the record has no word of its own stays.
    """
    status: Status = record.status.value
    if was is not None and WORDS[was.status] == status:
        status = was.status
    details = {**(record.model_extra or {}), **{name: getattr(record, name) for name in DETAILS}}
    said = task_said(
        key,
        item,
        status,
        retries=record.retry_count,
        error=record.error_message,
        started_at=microseconds(record.started_at),
        completed_at=microseconds(record.completed_at),
        details=json.loads(plain_text(details, key)),
    )
    others = {} if was is None else {name: value for name, value in was.values.items() if name not in _COLUMNS}
    return replace(said, values={**others, **said.values})


def check_item(name: str) -> str:
    """Return the name of an item.

    Raises:
        UnknownFieldError: None can be called so.
    """
    try:
        return check_key(name, "item")
    except BadInput as error:
        raise UnknownFieldError(error.message) from None


def _attributes_of(item: ItemPicture) -> dict[str, Any]:
    return json.loads(item.attributes) if item.attributes else {}


def plain_text(values: Mapping[str, Any], of: str) -> str:
    """Return what somebody put into metadata or attributes as JSON; times are texts in a document.

    Raises:
        UnknownFieldError: It is none.
    """
    try:
        text = _encode(values)
        text.encode()
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise UnknownFieldError(f"expected what {of} says to be values as JSON has them: {error}") from None


def _time_as_text(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"{type(value).__name__} is none")


_encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_time_as_text
).encode


def save_draft(ledger: Ledger, run: Run, tracker: WeekTracker, now: Picture) -> None:
    """Bring a run from what an object was loaded as to what it says now; one made by hand takes the run's place."""
    save_matrix(ledger, run, tracker._loaded or stored_picture(ledger, run), now, tracker._moves)


def redrawn(tracker: WeekTracker, picture: Picture) -> WeekTracker:
    """Return an object that says what a picture does, and is saved in the place of what another one was loaded from."""
    draft = draft_of(picture)
    draft._loaded, draft._moves, draft.version = tracker._loaded, tracker._moves, tracker.version
    return draft
