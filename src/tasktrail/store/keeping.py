"""Care for a SQLite file, on a connection to it: a whole copy, what is wrong with it, and what it could give back."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from tasktrail.model.errors import StoreError
from tasktrail.store import locks


def copy_whole(connection: apsw.Connection, target: Path) -> None:
    """Write a consistent copy to a new file; it is there whole or not at all.

    Raises:
        StoreError: The file exists.
    """
    if target.exists():
        raise StoreError(f"{target} exists; a backup never overwrites", hint="choose another file name")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection.execute("VACUUM INTO ?", (str(part),))
        part.replace(target)
        locks.sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def faults(connection: apsw.Connection) -> list[str]:
    """Return what SQLite itself finds wrong with the file; empty when it is sound."""
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
    dangling = connection.execute("PRAGMA foreign_key_check").fetchall()
    return found + [f"{row[0]} row {row[1]} refers to no {row[2]}" for row in dangling]


def spare_bytes(connection: apsw.Connection) -> int:
    """Return how many bytes of the file hold nothing."""
    return int(connection.pragma("freelist_count")) * int(connection.pragma("page_size"))


def compact(connection: apsw.Connection) -> list[str]:
    """Write the file anew and empty its journal, which keeps old pages until then.

    Returns:
        What was in the way of the latter: somebody reads an older state.
    """
    connection.execute("VACUUM")
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0]
    return ["somebody reads an older state, which the journal keeps until then"] if busy else []
