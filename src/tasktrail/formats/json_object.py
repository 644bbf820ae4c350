"""The members of a document's JSON objects: read as what they should be, with all that is wrong said at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from tasktrail.formats import json_edit
from tasktrail.formats.moment import parse_moment
from tasktrail.model.errors import BadInput

__all__ = ["Fault", "JsonObject", "dotted", "encode", "member_changes", "refusal", "shown"]

Fault = tuple[json_edit.Path, str]
"""What is wrong, and where."""

MAX_COUNT: Final = 2**31 - 1
_BITS_64: Final = range(-(2**63), 2**63)
_MOST_NAMED: Final = 20

_T = TypeVar("_T")
encode: Final[Callable[[object], str]] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
_show: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=repr, skipkeys=True).encode
_MOST_SHOWN: Final = 60


@dataclass(slots=True)
class JsonObject:
    """One JSON object; what does not fit in it is noted in `faults`, all objects' together.

    A member that is null is taken as missing, unless it should be an object.
    """

    members: dict[str, object]
    path: json_edit.Path
    faults: list[Fault]

    @classmethod
    def of(cls, value: object, path: json_edit.Path, faults: list[Fault]) -> JsonObject:
        """Return the object at a path; an empty one, and a fault, when it is none."""
        if isinstance(value, dict):
            return cls(value, path, faults)
        faults.append((path, f"expected {dotted(path) or 'the document'} to be an object, got: {shown(value)}"))
        return cls({}, path, faults)

    def text(self, name: str) -> str | None:
        value = self.members.get(name)
        if value is None or isinstance(value, str):
            return value
        self.refuse(name, "text")
        return None

    def flag(self, name: str) -> bool | None:
        value = self.members.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.refuse(name, "true or false")
        return None

    def count(self, name: str) -> int | None:
        return self._whole(name, range(MAX_COUNT + 1), f"a whole number from 0 to {MAX_COUNT}")

    def number(self, name: str) -> int | None:
        return self._whole(name, _BITS_64, "a whole number that fits 64 bits")

    def _whole(self, name: str, within: range, kind: str) -> int | None:
        value = self.members.get(name)
        if value is None or (type(value) is int and value in within):
            return value
        self.refuse(name, kind)
        return None

    def moment(self, name: str) -> int | None:
        value = self.members.get(name)
        if value is None:
            return None
        at = parse_moment(value) if isinstance(value, str) else None
        if at is None:
            self.refuse(name, "an ISO 8601 time like 2025-05-19T10:00:00Z")
        return at

    def word(self, name: str, words: Mapping[str, _T]) -> _T | None:
        value = self.members.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value in words:
            return words[value]
        self.refuse(name, f"one of {', '.join(words)}")
        return None

    def inner(self, name: str) -> dict[str, object]:
        value = self.members.get(name, {})
        if isinstance(value, dict):
            return value
        self.refuse(name, "an object")
        return {}

    def items(self, name: str) -> list[object]:
        value = self.members.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        if isinstance(value, tuple):  # from a caller, not from a text
            return list(value)
        self.refuse(name, "a list")
        return []

    def texts(self, name: str) -> list[str]:
        items = self.items(name)
        found = [item for item in items if isinstance(item, str)]
        if len(found) < len(items):
            for at, item in enumerate(items):
                if not isinstance(item, str):
                    place = dotted((*self.path, name, at))
                    self.fault(f"expected {place} to be text, got: {shown(item)}", name, at)
        return found

    def objects(self, name: str) -> list[JsonObject]:
        """Return those of a list's items that are objects; the others are faults."""
        items = self.items(name)
        found = [self.of(item, (*self.path, name, at), self.faults) for at, item in enumerate(items)]
        return [inner for inner, item in zip(found, items, strict=True) if isinstance(item, dict)]

    def require(self, *names: str) -> None:
        """Note as faults which of these members are not there."""
        for name in names:
            if self.members.get(name) is None:
                self.fault(f"expected {dotted((*self.path, name))} to be given")

    def refuse(self, name: str, kind: str) -> None:
        got = shown(self.members[name])
        self.fault(f"expected {dotted((*self.path, name))} to be {kind}, got: {got}", name)

    def fault(self, message: str, *inner: str | int) -> None:
        self.faults.append(((*self.path, *inner), message))


def shown(value: object) -> str:
    """Return the beginning of a value for a message; what is no JSON as Python writes it."""
    try:
        return _show(value)[:_MOST_SHOWN]
    except RecursionError:
        return f"{type(value).__name__} without end"


def dotted(path: json_edit.Path) -> str:
    """Return a path as people write it.

    >>> dotted(("tasks", 2, "id"))
    'tasks[2].id'
    """
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def refusal(text: str, where: str, faults: Sequence[Fault], what: str) -> BadInput:
    """Return the error for a text that loads, but has faults as `what` it should be: the first ones, by place."""
    offsets = json_edit.places(text, [path for path, _ in faults])
    placed = sorted(((offsets[path], message) for path, message in faults), key=lambda fault: fault[0])
    lines = [f"{where}:{json_edit.position(text, offset)}: {message}" for offset, message in placed[:_MOST_NAMED]]
    if len(faults) == 1:
        return BadInput(lines[0])
    return BadInput(f"{where} cannot be read as {what}: {len(faults)} faults", details=lines)


def member_changes(
    old: Mapping[str, object], new: Mapping[str, object], path: json_edit.Path
) -> list[json_edit.Change]:
    """Return changes of an object's members; what was empty is replaced whole: the text may have null or nothing."""
    changes: list[json_edit.Change] = []
    for name, value in new.items():
        if old[name] or not value:
            changes += json_edit.difference(old[name], value, (*path, name))
        elif not json_edit.same(old[name], value):
            changes.append(((*path, name), value))
    return changes
