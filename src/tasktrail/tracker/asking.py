"""What is asked of a tracker, as it was said: fields of a record, items, a limit; refused where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from tasktrail.engine.cells import CellMove
from tasktrail.engine.project import current_clock
from tasktrail.model.matrix import Synced, Wanted
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import Value
from tasktrail.tracker.drafts import check_item, microseconds, moment, plain_text
from tasktrail.tracker.exceptions import UnknownFieldError
from tasktrail.tracker.models import TaskRecord, TaskStatus

__all__ = ["EtlItem", "check_limit", "check_retries", "move_of", "stamp_of", "wanted_of"]

EtlItem = str | Mapping[str, Any]
"""An item of a list: its name, or `{"name": …, "content_hash": …}` with its attributes."""


def move_of(status: TaskStatus | str, fields: Mapping[str, Any]) -> CellMove:
    """Return what is asked of a task: what is given is wanted so, the rest follows from the status.

    Raises:
        UnknownFieldError: A record has no such field, no such value, or no such status.
    """
    record = _record(status, fields)
    values: dict[str, Value] = {
        name: microseconds(getattr(record, name)) for name in ("started_at", "completed_at") if name in fields
    }
    if "retry_count" in fields:
        values["attempts"] = record.retry_count + 1
    if "error_message" in fields and record.error_message is None:
        values["error"] = None
    details: dict[str, object] = {name: getattr(record, name) for name in ("output_file", "agent") if name in fields}
    plain_text(details, "the record")
    return CellMove(record.status.value, record.error_message, values, details)


def _record(status: TaskStatus | str, fields: Mapping[str, Any]) -> TaskRecord:
    known = [name for name in TaskRecord.model_fields if name != "status"]
    if unknown := [name for name in fields if name not in known]:
        near = Suggestions()(unknown[0], known)
        hint = f"its fields are {', '.join(known)}"
        raise UnknownFieldError(f"a task record has no field {unknown[0]!r}{near}", hint=hint)
    try:
        return TaskRecord(status=status, **fields)  # type: ignore[arg-type]  # pydantic says so itself
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UnknownFieldError(f"this cannot be a task record: {faults[0]}", details=faults[1:]) from None


def check_retries(name: str, attempts: int, move: CellMove) -> None:
    """Refuse to forget starts.

    Args:
        attempts: How often the task was started.

    Raises:
        UnknownFieldError: It is to have been started less often.
    """
    wanted = move.values.get("attempts")
    if isinstance(wanted, int) and wanted < attempts:
        raise UnknownFieldError(
            f"expected retry_count of {name} to be at least {attempts - 1}, got: {wanted - 1}",
            hint="every start counts; none is forgotten",
        )


def wanted_of(items: Sequence[EtlItem] | object) -> list[Wanted]:
    """Return the items of a list.

    Raises:
        UnknownFieldError: Some cannot be items; the details name them.
    """
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise UnknownFieldError(f"expected a list of items, got: {items!r:.80}")
    found, faults = list[Wanted](), list[str]()
    for item in items:
        try:
            found.append(_one_wanted(item))
        except UnknownFieldError as error:
            faults.append(error.message)
    if len(faults) > 1:
        raise UnknownFieldError(f"{len(faults)} items of the list cannot be items", details=faults[:20])
    if faults:
        raise UnknownFieldError(faults[0])
    return found


def _one_wanted(item: object) -> Wanted:
    if isinstance(item, str):
        return Wanted(check_item(item))
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise UnknownFieldError(f"expected an item to be a name or a mapping with a name, got: {item!r:.80}")
    attributes = {key: value for key, value in item.items() if key not in ("name", "content_hash")}
    if taken := attributes.keys() & ("tasks", "removed"):
        raise UnknownFieldError(f"an attribute of item {item['name']!r} cannot be called {min(taken)}")
    name, content_hash = check_item(item["name"]), item.get("content_hash")
    said = {"content_hash": None if content_hash is None else str(content_hash), **attributes}
    attributes = json.loads(plain_text(said, name))
    return Wanted(name, content_hash=attributes.pop("content_hash"), attributes=attributes or None)


def stamp_of(wanted: Sequence[Wanted]) -> Callable[[Synced, dict[str, object]], dict[str, object]]:
    """When the list was applied last, and how many items it had; that alone is no reason to write."""
    number = len({one.name for one in wanted})

    def stamp(done: Synced, metadata: dict[str, object]) -> dict[str, object]:
        if not done and metadata.get("last_synced") is not None and metadata.get("etl_item_count") == number:
            return metadata
        now = moment(current_clock().now())
        assert isinstance(now, datetime)
        return {**metadata, "last_synced": now.isoformat(), "etl_item_count": number}

    return stamp


def check_limit(limit: int | None) -> None:
    """Refuse what is no number of results."""
    if limit is not None and (type(limit) is not int or limit < 0):
        raise UnknownFieldError(f"expected limit to be a whole number of at least 0, got: {limit!r}")
