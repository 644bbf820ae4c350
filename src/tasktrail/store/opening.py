"""From a store URL to a store. One process has one store per file, so that its locks are never dropped by accident."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from tasktrail.model.errors import BadInput, StoreError
from tasktrail.store import migrate
from tasktrail.store.forking import ForkLock
from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore

_open: Final[WeakValueDictionary[Path | str, Store]] = WeakValueDictionary()
_lock: Final = ForkLock()


def open_store(
    url: str,
    *,
    synchronous: str = "full",
    busy_s: float = 30.0,
    accepts: Callable[[int], None] = migrate.any_version,
) -> Store:
    """Return the store of a URL; the same object while this process has it open.

    Args:
        url: `sqlite:///relative`, `sqlite:////absolute`, a plain path, `memory:` (a new one each time), or
            `postgresql://…`.
        accepts: Told the version of the schema that is there (0: none), before it is made or upgraded; what it raises
            stops that. Not asked of a store that is open.

    Raises:
        BadInput: The URL is of no known form.
        StoreError: The file cannot be opened, or is none of ours; it stays as it was.
    """
    if url == "memory:":
        return SqliteStore(None, busy_s=busy_s)
    path = url if is_postgres(url) else sqlite_path(url).resolve()
    with _lock.held():
        store = _open.get(path)
        if store is None:
            store = _open[path] = _opened(path, synchronous, busy_s, accepts)
        return store


def _opened(target: Path | str, synchronous: str, busy_s: float, accepts: Callable[[int], None]) -> Store:
    if isinstance(target, Path):
        return SqliteStore(target, synchronous=synchronous, busy_s=busy_s, accepts=accepts)
    try:
        from tasktrail.store.postgres import PostgresStore  # who has no server need not have psycopg
    except ImportError as error:
        raise StoreError(
            f"a PostgreSQL store needs psycopg, which cannot be imported: {error}",
            hint="pip install 'tasktrail[postgres]'",
        ) from None
    return PostgresStore(target, busy_s=busy_s, accepts=accepts)


def is_postgres(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return url.startswith(("postgresql://", "postgres://"))


def sqlite_path(url: str) -> Path:
    """Return the file that a SQLite URL or a plain path names.

    >>> sqlite_path("sqlite:////data/tasks.db").as_posix()
    '/data/tasks.db'
    """
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    if "://" in url or not url.strip() or "\0" in url:
        raise BadInput(
            f"expected a store to be sqlite:///PATH, a path or memory:, got: {url[:80]!r}",
            hint="tasktrail --store sqlite:///tasktrail.db",
        )
    return Path(url)
