"""Numbered, checksummed, forward-only changes of the schema, and which programs may go on after each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tasktrail.model.errors import NewerStore, StoreError
from tasktrail.store.queries import SQL_FOLDER

_END = re.compile(r"(?:\$\$.*?\$\$|--[^\n]*\n|'[^']*'|[^;$'-]|-(?!-))*?(;)", re.DOTALL)
"""As far as the next semicolon that is in no comment, text or body."""
_OLDEST = re.compile(r"^-- oldest: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One `NNNN_name.sql`."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def oldest(self) -> int:
        """The oldest version of the schema whose programs may go on writing after it.

        That is its own, so that older ones are refused, unless a line of the text says `-- oldest: N`.
        """
        said = _OLDEST.search(self.text)
        return int(said[1]) if said else self.number


@cache
def migrations(database: str) -> tuple[Migration, ...]:
    """Return all migrations of a database in order; their numbers are 1, 2, 3 …"""
    found = sorted((SQL_FOLDER / database).glob("*.sql"))
    return tuple(_migration(path.name, path.read_text(encoding="utf-8")) for path in found)


def _migration(file_name: str, text: str) -> Migration:
    number, name = file_name.removesuffix(".sql").split("_", 1)
    return Migration(int(number), name, text)


def latest(database: str) -> int:
    """Return the number of the newest migration: the version of the schema this program knows."""
    return migrations(database)[-1].number


def pending(database: str, version: int) -> tuple[Migration, ...]:
    """Return what must be applied to a store of `version`; nothing to one of a later version."""
    return tuple(migration for migration in migrations(database) if migration.number > version)


def refuse_newer(database: str, version: int, oldest: int, where: str) -> None:
    """Refuse a store that this program is too old for.

    Args:
        oldest: The oldest version whose programs may go on there, as the migrations said that were applied.

    Raises:
        NewerStore: The message names both versions.
    """
    if oldest > latest(database):
        raise newer(database, version, where)


def newer(database: str, version: int | str, where: str) -> NewerStore:
    """Return what a program is told that is too old for a store."""
    return NewerStore(
        f"{where} has schema version {version}; this Tasktrail knows versions up to {latest(database)}",
        hint="pip install --upgrade tasktrail",
    )


def any_version(version: int) -> None:
    """Accept what is there, and that there is nothing (0): it is made, or brought to the newest version."""


def refuse_older(version: int, where: str) -> None:
    """Refuse a store that would have to be upgraded.

    Raises:
        StoreError: It has an older schema; the message names both versions.
    """
    newest = latest("sqlite")  # each database has all numbers
    if version < newest:
        raise StoreError(
            f"{where} has schema version {version}, this Tasktrail has {newest}",
            hint=f"bring it to that version: tasktrail --store {where} list-runs",
        )


def check(database: str, applied: Iterable[tuple[int, str]], where: str) -> None:
    """Refuse a store whose migrations are not the ones of this program; later ones it cannot know.

    Raises:
        StoreError: A checksum differs.
    """
    known = {migration.number: migration.checksum for migration in migrations(database)}
    for number, checksum in applied:
        if number <= latest(database) and known.get(number) != checksum:
            raise StoreError(f"{where}: migration {number} is not the one this Tasktrail ships")


def statements(text: str) -> list[str]:
    """Return the statements of a migration, for databases that take one at a time; `$$` quotes a body."""
    parts, rest = [], text
    while match := _END.search(rest):
        parts.append(rest[: match.start(1)].strip())
        rest = rest[match.end() :]
    return [part for part in parts if part]
