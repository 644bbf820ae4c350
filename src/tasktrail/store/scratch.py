"""A store that is thrown away, where another one lies: the same disk or server, and nothing of the other is touched."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tasktrail.model.errors import StoreError
from tasktrail.store.opening import is_postgres, sqlite_path

_NAME: Final = "tasktrail_scratch_"


@contextlib.contextmanager
def scratch_store(url: str) -> Iterator[str]:
    """Give the URL of a store beside the one of `url`: in a folder, or a schema, of its own, removed at the end.

    Raises:
        StoreError: There is no room for one, or it cannot be removed.
    """
    with _schema(url) if is_postgres(url) else _folder(sqlite_path(url)) as scratch:
        yield scratch


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[str]:
    """The store's own folder may not be there yet; then the next one above is on the disk where it will be."""
    parent = next(folder for folder in path.resolve().parents if folder.is_dir())
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{_NAME}", dir=parent))
    except OSError as error:
        raise StoreError(f"cannot write beside {path}: {error.strerror}", hint="tasktrail doctor") from error
    try:
        yield f"sqlite:///{(folder / 'tasktrail.db').as_posix()}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _schema(url: str) -> Iterator[str]:
    from tasktrail.store.address import with_schema
    from tasktrail.store.postgres import PostgresStore

    scratch = with_schema(url, f"{_NAME}{secrets.token_hex(6)}")
    store = PostgresStore(scratch)
    try:
        yield scratch
    finally:
        store.drop()
