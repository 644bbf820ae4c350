"""What is asked of a tracker, as it was said: fields of a record, items, a limit; refused where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tasktrail.engine.cells import CellMove
from tasktrail.engine.project import current_clock
from tasktrail.formats.tracker_codec import DETAILS, attempts_of, moment_text
from tasktrail.model.matrix import Synced, Wanted
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import Status, Value
from tasktrail.tracker.drafts import check_item, microseconds, plain_text
from tasktrail.tracker.exceptions import UnknownFieldError
from tasktrail.tracker.models import TaskRecord
from tasktrail.tracker.words import EtlItem, TaskStatus

__all__ = ["Asked", "asked_of", "stamp_of", "wanted_of"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a task, as fields of its record.

    Args:
        given: Names of the fields that were said; the rest follows from the status.
    """

    record: TaskRecord
    given: frozenset[str]

    @property
    def status(self) -> Status:
        """Where it is to stand."""
        return self.record.status.value

    def move(self, name: str, attempts: int, *, begun: bool) -> CellMove:
        """Return the move that this is for a task.

        Args:
            attempts: How often it was started.
            begun: Whether it is known when it began.

        Raises:
            UnknownFieldError: It is to have been started less often.
        """
        record = self.record
        times = {"started_at": microseconds(record.started_at), "completed_at": microseconds(record.completed_at)}
        values: dict[str, Value] = {name: at for name, at in times.items() if at is not None}
        if "retry_count" in self.given:
            _check_retries(name, attempts, record.retry_count)
            if n := attempts_of(self.status, record.retry_count, begun=begun or "started_at" in values):
                values["attempts"] = n
        if "error_message" in self.given and record.error_message is None:
            values["error"] = None
        details: dict[str, object] = {field: getattr(record, field) for field in DETAILS if field in self.given}
        plain_text(details, "the record")
        return CellMove(self.status, record.error_message, values, details)


def asked_of(status: TaskStatus | str, fields: Mapping[str, Any]) -> Asked:
    """Return what is asked of a task.

    Raises:
        UnknownFieldError: A record has no such field, no such value, or no such status.
    """
    known = [name for name in TaskRecord.model_fields if name != "status"]
    if unknown := [name for name in fields if name not in known]:
        near = Suggestions()(unknown[0], known)
        hint = f"its fields are {', '.join(known)}"
        raise UnknownFieldError(f"a task record has no field {unknown[0]!r}{near}", hint=hint)
    try:
        return Asked(TaskRecord(status=status, **fields), frozenset(fields))  # type: ignore[arg-type]  # pydantic says so
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UnknownFieldError(f"this cannot be a task record: {faults[0]}", details=faults[1:]) from None


def _check_retries(name: str, attempts: int, retry_count: int) -> None:
    if retry_count < attempts - 1:
        raise UnknownFieldError(
            f"expected retry_count of {name} to be at least {attempts - 1}, got: {retry_count}",
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
        return {**metadata, "last_synced": moment_text(current_clock().now()), "etl_item_count": number}

    return stamp
