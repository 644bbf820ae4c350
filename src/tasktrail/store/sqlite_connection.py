"""Named queries on one connection to a SQLite file, as a transaction uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import apsw

from tasktrail.store.transaction import Params, Row, Rows


class Connection:
    """Runs named queries on a connection, for one transaction."""

    is_far = False

    __slots__ = ("_database", "_execute", "_queries", "changed")

    def __init__(self, database: apsw.Connection, named: Mapping[str, str]) -> None:
        self._database = database
        self._execute = database.execute
        self._queries = named
        self.changed = database.changes

    def execute(self, name: str, params: Params) -> Rows:
        return self._execute(self._queries[name], params)

    def execute_each(self, name: str, params: Iterable[Params]) -> Iterable[Rows]:
        """One after the other, when its rows are looked at."""
        return (self.execute(name, given) for given in params)

    def execute_many(self, name: str, params: Iterable[Params]) -> None:
        self._database.executemany(self._queries[name], params)

    def changed_each(self, name: str, params: Iterable[Params]) -> list[int]:
        """To ask it so takes half as long as RETURNING, for whose rows each statement makes a table."""
        text, changes = self._queries[name], []
        for given in params:
            self._execute(text, given)
            changes.append(self.changed())
        return changes

    def stream(self, name: str, params: Params) -> Iterator[Row]:
        return iter(self._execute(self._queries[name], params))

    def with_queries(self, named: Mapping[str, str]) -> Connection:
        return Connection(self._database, {**self._queries, **named})
