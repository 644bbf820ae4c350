"""The named queries: parsed from the .sql files once, `{name}` replaced by the fragment of that name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

# A wheel is unpacked to files, and importlib.resources would cost every command 6 to 10 ms of its start.
SQL_FOLDER: Final = Path(__file__).with_name("sql")
COMMON: Final = ("queries", "executions", "insight")
"""Files of queries that all databases understand."""
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_FRAGMENT = re.compile(r"\{(\w+)\}")


@cache
def queries(database: str) -> Mapping[str, str]:
    """Return every query by name, those of `<database>.sql` in place of the common ones."""
    found: dict[str, str] = {}
    for name in (*COMMON, database):
        found.update(parse((SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")))
    return {name: _filled(text, found) for name, text in found.items()}


def _filled(text: str, found: Mapping[str, str]) -> str:
    """Fragments may have fragments."""
    while _FRAGMENT.search(text):
        text = _FRAGMENT.sub(lambda match: found[match[1]], text)
    return text


def parse(text: str) -> dict[str, str]:
    r"""Return the queries of a file by name, without comments.

    >>> parse("-- head\n\n-- name: one\n-- Says why.\nSELECT 1\n")
    {'one': 'SELECT 1'}
    """
    parts = _NAME.split(text)[1:]
    return {name: _without_comments(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.strip().splitlines() if not line.startswith("--"))


def probes() -> str:
    """Return the file of statements over the public views that any client of the database runs."""
    return (SQL_FOLDER / "views" / "probes.sql").read_text(encoding="utf-8")
