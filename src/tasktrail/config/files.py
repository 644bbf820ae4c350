"""Files of a project: the nearest of a name, and what a TOML file says, with the line of each value."""

from __future__ import annotations

import os
import reprlib
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tasktrail.model.errors import BadInput

PROJECT_FILE: Final = "tasktrail.toml"

Keys = tuple[str, ...]
"""Where a value is in a TOML file; of a table that is one of several, its number from 0."""

_EVERYBODYS: Final = stat.S_ISVTX | stat.S_IWOTH  # the mode of /tmp
_PARENTS_SEARCHED: Final = 5
_MAX_FILE_BYTES: Final = 64 * 1024
_MAX_VALUE_LINES: Final = 100

_repr: Final = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def shortened(value: object) -> str:
    """Return a value as a message shows it."""
    return _repr.repr(value)


def absolute(path: Path) -> Path:
    """Return a path absolute and without links or `..`, so that a file has one name, and its parents its real ones."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no working directory any more, a loop of links, a NUL
        raise BadInput(f"cannot use the path {shortened(str(path))}: {error}", hint="cd elsewhere") from error


def nearest(start: Path, name: str) -> Path | None:
    """Return the file of a name in a folder or the nearest of its parents; None where there is none."""
    folders = (start, *start.parents[:_PARENTS_SEARCHED])
    return next((folder / name for folder in folders if is_ours(folder, name)), None)


def is_ours(folder: Path, name: str) -> bool:
    """Whether this file is there and counts; not where we may not look.

    In a folder like /tmp, where everybody may put files, only our own count: a stranger's would take our records.
    """
    try:
        owner = (folder / name.partition("/")[0]).lstat().st_uid  # first: most folders have none
        is_everybodys = folder.stat().st_mode & _EVERYBODYS == _EVERYBODYS and hasattr(os, "geteuid")
        return (folder / name).is_file() and (not is_everybodys or owner == os.geteuid())
    except OSError:
        return False


def read(path: Path) -> str:
    """Return the text of a TOML file."""
    try:
        data = path.read_bytes()
        if len(data) <= _MAX_FILE_BYTES:
            return data.decode("utf-8-sig")  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode("utf-8-sig", "replace"))
        raise BadInput(f"{path}:{line}:{column}: expected UTF-8 text, got byte 0x{data[error.start]:02x}") from error
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    raise BadInput(f"expected {path} to be at most {_MAX_FILE_BYTES} bytes, got: {len(data)}")


def parse(path: Path, text: str) -> dict[str, object]:
    """Return what a TOML text says."""
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also an integer of 5,000 digits, arrays nested 1,000 deep
        reason, _, place = str(error).partition(" (at line ")
        line, column = map(int, place.rstrip(")").split(", column ")) if place else _place(text)
        reason = reason.removesuffix(" (at end of document)")
        raise BadInput(f"{path}:{line}:{column}: {reason[:1].lower()}{reason[1:]}") from error


def _place(before: str) -> tuple[int, int]:
    """Line and column of what follows this text, both from 1."""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def leaves(table: dict[str, object], above: Keys = ()) -> Iterator[tuple[Keys, object]]:
    """Yield each value with its path; a table without keys is a value too, so that an unknown section is seen."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def key_lines(text: str) -> dict[Keys, int]:
    """Return in which line each value begins; of tables that are several under one name each one's values too.

    tomllib tells no places, so it reads the (valid) text statement by statement.
    """
    import tomllib

    lines: dict[Keys, int] = {}
    section: Keys = ()
    several = Counter[Keys]()
    statement, first = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            if number - first < _MAX_VALUE_LINES:  # each try reads the value again: a long one would take minutes
                continue  # a value of several lines, not yet whole
            break
        header = statement.lstrip()
        for keys, _ in leaves(parsed):
            if header.startswith("["):
                section = (*keys, str(several[keys])) if header.startswith("[[") else keys
                several[keys] += header.startswith("[[")
                lines.setdefault(section, first)
            lines.setdefault(keys if header.startswith("[") else (*section, *keys), first)
        statement, first = "", number + 1
    return lines
