"""Files of JSON records: one list, or one record a line."""

from __future__ import annotations

from collections.abc import Callable

from tasktrail.formats.imports.source import Record, Source
from tasktrail.formats.json_object import Fault

__all__ = ["each_record"]


def each_record(source: Source, text: str, take: Callable[[Record], None]) -> None:
    """Call `take` with each record of a text; what is wrong with them is noted with its place."""
    if text.lstrip("\ufeff \t\r\n").startswith("["):
        _each_of_list(source, text, take)
        return
    if not text.strip():
        source.refuse(f"{source.where}:1:1: expected JSON, got: nothing")
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.strip():
            _one_line(source, line, number, take)


def _each_of_list(source: Source, text: str, take: Callable[[Record], None]) -> None:
    values = source.read_json(text)
    faults: list[Fault] = []
    for at, value in enumerate(values if isinstance(values, list) else ()):
        _take(source, value, (at,), faults, take)
    source.place_in_json(faults, text)


def _one_line(source: Source, line: str, number: int, take: Callable[[Record], None]) -> None:
    value = source.read_json(line, number)
    faults: list[Fault] = []
    if value is not None:
        _take(source, value, (), faults, take)
    source.place_in_json(faults, line, number)


def _take(
    source: Source, value: object, path: tuple[int, ...], faults: list[Fault], take: Callable[[Record], None]
) -> None:
    if isinstance(value, dict):
        take(source.record(value, path, faults))
    else:
        faults.append((path, "expected a record to be an object"))
