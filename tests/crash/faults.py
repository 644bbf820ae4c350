"""Statements that fail: the n-th one of all connections that this process opens meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apsw


class Faults:
    """Counts statements, and lets some of them fail before SQLite sees them.

    Attributes:
        fails: Says of a statement and its number, from 1, whether it fails; None lets all through.
        seen: The statements so far, shortened.
    """

    def __init__(self) -> None:
        self.fails: Callable[[int, str], bool] | None = None
        self.seen: list[str] = []

    def hook(self, connection: apsw.Connection) -> None:
        """Watch a new connection."""
        connection.exec_trace = self._trace

    def _trace(self, _cursor: apsw.Cursor, sql: str, _bindings: object) -> bool:
        if self.fails is not None:
            self.seen.append(" ".join(sql.split())[:60])
            if self.fails(len(self.seen), sql):
                raise apsw.IOError(f"disk I/O error (statement {len(self.seen)}: {self.seen[-1]})")
        return True

    @contextmanager
    def armed(self, fails: Callable[[int, str], bool]) -> Iterator[None]:
        """Let statements fail for a while."""
        self.seen, self.fails = [], fails
        try:
            yield
        finally:
            self.fails = None


@contextmanager
def watching() -> Iterator[Faults]:
    """Watch all connections that are opened meanwhile."""
    faults = Faults()
    apsw.connection_hooks.append(faults.hook)
    try:
        yield faults
    finally:
        apsw.connection_hooks.remove(faults.hook)


def only(n: int) -> Callable[[int, str], bool]:
    """The n-th statement fails."""
    return lambda number, _: number == n


def from_then_on(n: int) -> Callable[[int, str], bool]:
    """The n-th statement and all after it fail: the disk is gone. To roll back needs none."""
    return lambda number, sql: number >= n and sql != "ROLLBACK"


def everything_from(n: int) -> Callable[[int, str], bool]:
    """The n-th statement and all after it fail, ROLLBACK as well."""
    return lambda number, _: number >= n


def only_commit(n: int) -> Callable[[int, str], bool]:
    """The n-th COMMIT fails."""
    commits: list[int] = []

    def fails(number: int, sql: str) -> bool:
        if sql == "COMMIT":
            commits.append(number)
        return sql == "COMMIT" and len(commits) == n

    return fails


def commit_and_rollback(n: int) -> Callable[[int, str], bool]:
    """The n-th COMMIT fails, and the ROLLBACK that follows it."""
    inner, failed = only_commit(n), [False]

    def fails(number: int, sql: str) -> bool:
        if failed == [True] and sql == "ROLLBACK":
            failed[0] = False
            return True
        if inner(number, sql):
            failed[0] = True
            return True
        return False

    return fails


def never(_: int, __: str) -> bool:
    """Nothing fails; all is counted."""
    return False
