"""The file of a store before the database library touches it: whether it may be one, and a new one of our own mode."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tasktrail.model.errors import NotAStore, StoreError

APPLICATION_ID: Final = 0x5461736B
"""'Task' in the file's header: what tells our files from other databases."""
_HEADER: Final = b"SQLite format 3\0"


def check_file(path: Path) -> None:
    """Look at the header before the database library touches the file, so that a wrong one stays as it was."""
    if path.is_dir():
        raise NotAStore(
            f"{path} is a folder, not a Tasktrail store", hint=f"name a file in it: {path / 'tasktrail.db'}"
        )
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        _create(path)
        return
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    if not (_writable(path) and _writable(path.parent)):
        raise StoreError(f"{path} cannot be written: it is read-only", hint="make file and folder writable")
    if not header:
        return
    if header[:16] != _HEADER or len(header) < 100:
        raise NotAStore(f"{path} is no Tasktrail store: it starts with {header[:16]!r}", hint="tasktrail --store FILE")
    if int.from_bytes(header[68:72], "big") not in (0, APPLICATION_ID):
        raise foreign(str(path))


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"{path} cannot be created: {error.strerror}", hint="tasktrail --store FILE") from None


def foreign(where: str) -> NotAStore:
    """Return the error of a database of another program."""
    return NotAStore(f"{where} is a SQLite database of another program", hint="tasktrail --store FILE")
