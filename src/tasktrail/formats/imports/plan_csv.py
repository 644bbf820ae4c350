"""Plans as CSV: a line of names, then a line for each task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final, NamedTuple

from tasktrail.formats import json_edit
from tasktrail.formats.imports.source import PRIORITIES, Imported, Record, Source, Words
from tasktrail.formats.json_load import BOM
from tasktrail.formats.json_object import Fault, JsonObject, encode
from tasktrail.formats.moment import format_moment
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.task import STATUSES

__all__ = ["COLUMNS", "dump", "dump_for_spreadsheets", "read"]

_TIMES: Final = ("created_at", "updated_at", "started_at", "completed_at", "status_updated_at")
_JSON: Final = ("notes", "history", "extra")
COLUMNS: Final = (
    "key", "title", "status", "priority", "needs", "result", "error", "reason", "attempts", *_TIMES, *_JSON,
)  # fmt: skip
_ALSO: Final[Mapping[str, str]] = {"id": "key", "description": "title", "dependencies": "needs"}
"""The words of plan files, for columns that are not there under ours."""
_WORDS: Final[Words] = {status: status for status in STATUSES}
_LARGEST: Final = 2**31 - 1
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]')
_CELL: Final = re.compile(r'(?:"(?P<quoted>(?:[^"]|"")*+)"|(?P<plain>[^",\r\n][^,\r\n]*+)?)(?P<end>,|\r\n|\n|\r|\Z)')


class _Cell(NamedTuple):
    text: str
    offset: int


def dump(tasks: Iterable[PlanTask]) -> str:
    """Return tasks as CSV. Times are UTC; notes, history and what we have no word for are JSON in their cells."""
    return _table(_row(task) for task in tasks)


def dump_for_spreadsheets(tasks: Iterable[PlanTask]) -> str:
    """Return the same for programs that take a text for a formula by how it begins; an apostrophe is put before it.

    Read again, such a text has the apostrophe.
    """
    return _table([_no_formula(cell) for cell in _row(task)] for task in tasks)


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _row(task: PlanTask) -> list[object]:
    return [_cell(name, getattr(task, name)) for name in COLUMNS]


def _table(rows: Iterable[Sequence[object]]) -> str:
    return "".join(",".join(map(_quoted, row)) + "\n" for row in (COLUMNS, *rows))


def _quoted(cell: object) -> str:
    """Python's own writer leaves a lone carriage return without quotes, and readers take it for the end of a line."""
    text = str(cell)
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _cell(name: str, value: object) -> object:
    if value is None or value == () or value == {}:
        return ""
    if name == "needs" and isinstance(value, tuple):
        return encode(value) if any(_needs_json(need) for need in value) else ";".join(value)
    if name in _TIMES and isinstance(value, int):
        return format_moment(value)
    if name in ("notes", "history") and isinstance(value, tuple):
        return encode([asdict(one) for one in value])
    return encode(dict(value)) if isinstance(value, Mapping) else value


def _needs_json(need: str) -> bool:
    return ";" in need or need.startswith("[") or need != need.strip() or not need


def read(text: str, where: str, words: Words | None = None) -> Imported:
    """Return the tasks of a CSV text; columns that we have no word for are kept in `extra`, as texts.

    Args:
        where: How messages name the file.
        words: What statuses mean that are not ours.

    Raises:
        BadInput: The details name all that is wrong, as `where:line:column`.
    """
    source = Source("csv", where, _WORDS, words)
    text = text.removeprefix(BOM)
    rows = _rows(source, text)
    header = next(rows, [])
    names = _names(source, text, header)
    for row in rows:
        if len(row) == len(names):
            _add(source, text, names, row)
        else:
            _refuse(source, text, row[0].offset, f"expected {len(names)} cells, got: {len(row)}")
    return source.imported()


def _rows(source: Source, text: str) -> Iterator[list[_Cell]]:
    """Each line that is not empty. Stops where a quote is not closed: nothing after it can be trusted."""
    at, row = 0, list[_Cell]()
    while at < len(text) or row:
        found = _CELL.match(text, at)
        if found is None:
            _refuse(source, text, at, "expected a quote around the whole cell, and each quote inside it twice")
            return
        quoted = found["quoted"]
        value = quoted.replace('""', '"') if quoted is not None else found["plain"] or ""
        row.append(_Cell(value, found.start()))
        at = found.end()
        if found["end"] != ",":
            if len(row) > 1 or value or quoted is not None:
                yield row
            row = []


def _refuse(source: Source, text: str, offset: int, what: str) -> None:
    source.refuse(f"{source.where}:{json_edit.position(text, offset)}: {what}")


def _names(source: Source, text: str, header: list[_Cell]) -> list[str]:
    said = [cell.text.strip() for cell in header]
    names = [_ALSO[name] if name in _ALSO and _ALSO[name] not in said else name for name in said]
    for at, (name, cell) in enumerate(zip(names, header, strict=True)):
        if not name or name in names[:at]:
            _refuse(source, text, cell.offset, f"expected each column to have a name of its own, got: {name!r}")
    missing = [name for name in ("key", "title") if name not in names]
    if missing:
        got = ", ".join(said)[:80] or "nothing"
        what = f"expected a line of names with key and title (or id and description), commas between them, got: {got}"
        _refuse(source, text, 0, what)
    return names


def _add(source: Source, text: str, names: list[str], row: list[_Cell]) -> None:
    faults: list[Fault] = []
    cells = dict(zip(names, row, strict=True))
    members = {name: _value(name, cell.text, faults) for name, cell in cells.items() if cell.text}
    record = Record(JsonObject(members, (), faults), source.tool)
    source.add(_task(source, record), record, "key")
    for path, what in faults:
        cell = cells.get(str(path[0]), row[0]) if path else row[0]
        _refuse(source, text, cell.offset, what)


def _value(name: str, text: str, faults: list[Fault]) -> object:
    if name in _JSON or (name == "needs" and text.startswith("[")):
        try:
            return json_edit.load(text, name)
        except BadInput as error:
            faults.append(((name,), "; ".join(error.details) or error.message))
            return None
    if name == "needs":
        return [need.strip() for need in text.split(";")]
    if name in ("priority", "attempts"):
        return int(text) if re.fullmatch(r"-?[0-9]{1,10}", text) else text
    return text


def _task(source: Source, record: Record) -> PlanTask:
    extra = record.inner("extra")
    status, reason = record.status("status", source.words)
    return PlanTask(
        key=record.key("key"),
        title=record.named("title"),
        status=status,
        priority=_priority(record),
        needs=tuple(record.keys("needs")),
        result=record.text("result"),
        error=record.text("error"),
        reason=record.text("reason") or reason,
        attempts=record.whole("attempts", 0, _LARGEST) or 0,
        created_at=record.moment("created_at"),
        updated_at=record.moment("updated_at"),
        started_at=record.moment("started_at"),
        completed_at=record.moment("completed_at"),
        status_updated_at=record.moment("status_updated_at"),
        notes=tuple(_note(one) for one in record.records("notes")),
        history=tuple(_move(source, one) for one in record.records("history")),
        extra={**record.extra(), **extra},
    )


def _priority(record: Record) -> int:
    if isinstance(record.members.members.get("priority"), str):
        return record.priority("priority", PRIORITIES)
    priority = record.whole("priority", -_LARGEST, _LARGEST)
    return 3 if priority is None else priority


def _note(one: Record) -> Note:
    return Note(one.members.text("text") or "", one.whole("at", -(2**63), 2**63 - 1), one.members.text("actor"))


def _move(source: Source, one: Record) -> Move:
    at = one.whole("at", -(2**63), 2**63 - 1)
    if at is None:
        one.members.fault("expected at to be given: microseconds UTC")
    before, _ = one.status("from_status", source.words)
    after, _ = one.status("to_status", source.words)
    return Move(at or 0, before, after, one.members.text("actor"))
