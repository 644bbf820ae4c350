"""One statement for many: what differs between them travels as JSON, what they share as it is.

A server takes a while for each statement, so ten tasks that are claimed together are moved by one. The statement is
made from the one for a single row, so what it says is said once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby, islice
from typing import Final, NamedTuple

from tasktrail.store.transaction import Params, Row, Rows
from tasktrail.store.wire import NO_NUL, statement

_MOST: Final = 500
"""How many go together."""
_VARYING: Final[Mapping[str, Collection[str]]] = {
    "move_task": ("id", "output"),
    "close_attempt": ("task_id", "n", "duration_us", "output"),
    "open_attempt": (),
    "add_event": (),
    "add_task": (),
    "add_need": (),
}
"""What may differ within one statement. Of an INSERT it is all: a parameter that is selected has no type."""
_NUMBERS: Final = frozenset({
    "at", "attempt", "critical", "dead_needs", "duration_us", "fence", "id", "map_index", "max_retries", "n",
    "needed_id", "optional", "position", "priority", "run_id", "task_id", "timeout_ms", "unmet", "worker_id",
})  # fmt: skip
"""What of it is a BIGINT; all else is TEXT."""


class Many(NamedTuple):
    """A statement for many rows; `:many` is their JSON."""

    text: str
    varying: tuple[str, ...]
    shared: tuple[str, ...]


@cache
def many(name: str, text: str) -> Many | None:
    """Return the statement that does for many what the named one does for one row; None where nobody needs it."""
    if name not in _VARYING:
        return None
    names = statement(text).names
    varying = tuple(one for one in names if one in _VARYING[name]) or names
    for one in varying:
        text = re.sub(rf"(?<![:\w]):{one}\b", f"one._{one}", text)
    columns = ", ".join(f"_{one} {'BIGINT' if one in _NUMBERS else 'TEXT'}" for one in varying)
    rows = f"FROM json_to_recordset(CAST(:many AS JSON)) AS one (_place BIGINT, {columns})"
    if text.startswith("UPDATE"):
        text = text.replace("\nWHERE", f"\n{rows}\nWHERE", 1).replace("RETURNING ", "RETURNING one._place, ")
    else:
        head, _, values = text.partition("\nVALUES (")
        text = f"{head}\nSELECT {values.removesuffix(')')}\n{rows}\nORDER BY one._place"
    return Many(text, varying, tuple(one for one in names if one not in varying))


def groups(one: Many, params: Iterable[Params]) -> Iterator[Sequence[Params]]:
    """Yield what goes together: neighbours that share what they must."""
    for _, alike in groupby(params, lambda given: [given[name] for name in one.shared]):
        while group := list(islice(alike, _MOST)):
            yield group


def merged(one: Many, group: Sequence[Params]) -> Params:
    """Return the parameters of the statement for a group."""
    rows = [
        {"_place": place, **{f"_{name}": _plain(given[name]) for name in one.varying}}
        for place, given in enumerate(group)
    ]
    return {name: group[0][name] for name in one.shared} | {"many": json.dumps(rows, ensure_ascii=False)}


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", NO_NUL) if "\0" in value else value
    return int(value) if isinstance(value, bool) else value


class Part:
    """What one of a group came to; its rows are those of its place."""

    __slots__ = ("_group", "_place")

    def __init__(self, group: Answers, place: int) -> None:
        self._group, self._place = group, place

    def fetchone(self) -> Row | None:
        """Return the first row."""
        return next(iter(self.fetchall()), None)

    def fetchall(self) -> list[Row]:
        """Return its rows."""
        return self._group.at(self._place)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())


class Answers:
    """The rows of a group, by place; looked at when the first of it is."""

    __slots__ = ("_found", "_rows")

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._found: dict[object, list[Row]] | None = None

    def at(self, place: int) -> list[Row]:
        """Return the rows of a place."""
        if self._found is None:
            self._found = {}
            for row in self._rows.fetchall():
                self._found.setdefault(row[0], []).append(row[1:])
        return self._found.get(place, [])
