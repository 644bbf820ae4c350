"""One statement for many: what differs between them travels as JSON, what they share as it is.

A server takes a while for each statement, so ten tasks that are claimed together are moved by one. The statement is
made from the one for a single row, so what it says is said once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Final, NamedTuple

from tasktrail.store.transaction import Params, Row, Rows
from tasktrail.store.wire import NO_NUL, statement

_MOST: Final = 500
"""How many go together."""
_B, _T = "BIGINT", "TEXT"
_VARYING: Final[Mapping[str, Mapping[str, str]]] = {
    "move_task": {"id": _B, "output": _T},
    "close_attempt": {"task_id": _B, "n": _B, "duration_us": _B, "output": _T},
    "open_attempt": {
        "task_id": _B, "n": _B, "fence": _B, "worker_id": _B, "actor": _T, "trace_id": _T, "span_id": _T, "at": _B,
        "code_version": _T,
    },
    "add_event": {
        "at": _B, "actor": _T, "run_id": _B, "task_id": _B, "verb": _T, "from_status": _T, "to_status": _T,
        "attempt": _B, "changes": _T, "note": _T,
    },
}  # fmt: skip
"""What may differ within one statement, and its type. Of an INSERT it is all: a parameter that is selected has none."""


class Many(NamedTuple):
    """A statement for many rows; `:many` is their JSON."""

    text: str
    varying: tuple[str, ...]
    shared: tuple[str, ...]


@cache
def many(name: str, text: str) -> Many | None:
    """Return the statement that does for many what the named one does for one row; None where nobody needs it."""
    types = _VARYING.get(name)
    if types is None:
        return None
    shared = tuple(one for one in statement(text).names if one not in types)
    for one in types:
        text = re.sub(rf"(?<![:\w]):{one}\b", f"one._{one}", text)
    columns = ", ".join(f"_{one} {kind}" for one, kind in {"place": _B, **types}.items())
    rows = f"FROM json_to_recordset(CAST(:many AS JSON)) AS one ({columns})"
    if text.startswith("UPDATE"):
        text = text.replace("\nWHERE", f"\n{rows}\nWHERE", 1).replace("RETURNING ", "RETURNING one._place, ")
    else:
        head, _, values = text.partition("\nVALUES (")
        text = f"{head}\nSELECT {values.removesuffix(')')}\n{rows}\nORDER BY one._place"
    return Many(text, tuple(types), shared)


def groups(one: Many, params: Iterable[Params]) -> Iterator[Sequence[Params]]:
    """Yield what goes together: neighbours that share what they must."""
    for _, alike in groupby(params, lambda given: [given[name] for name in one.shared]):
        found = list(alike)
        yield from (found[at : at + _MOST] for at in range(0, len(found), _MOST))


def merged(one: Many, group: Sequence[Params]) -> Params:
    """Return the parameters of the statement for a group."""
    rows = [
        {"_place": place, **{f"_{name}": _text(given[name]) for name in one.varying}}
        for place, given in enumerate(group)
    ]
    return {name: group[0][name] for name in one.shared} | {"many": json.dumps(rows, ensure_ascii=False)}


def _text(value: object) -> object:
    return value.replace("\0", NO_NUL) if isinstance(value, str) and "\0" in value else value


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
