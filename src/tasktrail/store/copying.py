"""Every table of a store as rows, whichever tables there are: read in order, added with their ids, and digested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Final

from tasktrail.store.address import quoted
from tasktrail.store.queries import SQL_FOLDER, parse
from tasktrail.store.transaction import Params, Row, Transaction

_BITS: Final = (1 << 256) - 1
_NUL: Final = "\\x00"
_NO_NUL: Final = "\N{SYMBOL FOR NULL}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as its database describes it.

    Args:
        key: The columns of its primary key.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


class Digest:
    """What rows come to, in whatever order: two tables have the same one when they have the same rows.

    The sum of the rows' SHA-256. The character 0 counts as the sign for it, since PostgreSQL keeps that instead.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, row: Row) -> None:
        """Take one row in."""
        text = repr(row).replace(_NUL, _NO_NUL)
        self.rows += 1
        self._sum = self._sum + int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") & _BITS

    def __str__(self) -> str:
        return f"{self._sum:064x}"


class Rows:
    """The tables of a store inside a transaction.

    Args:
        only: Of which tables which columns are read; None: all of all.

    Attributes:
        tables: Those that others refer to come before these others.
    """

    def __init__(self, tx: Transaction, only: Mapping[str, Sequence[str]] | None = None) -> None:
        self.tables = _tables(tx)
        if only is not None:
            self.tables = [replace(one, columns=tuple(only[one.name])) for one in self.tables if one.name in only]
        self._database = tx.with_queries(_queries(self.tables))

    def of(self, table: Table) -> Iterator[Row]:
        """Yield a table's rows in the order of its key."""
        return self._database.stream(f"{table.name} rows", {})

    def add(self, table: Table, rows: Iterable[Row]) -> None:
        """Add rows with the ids that they have."""
        self._database.execute_many(f"{table.name} add", (_params(table, row) for row in rows))

    def change(self, table: Table, row: Params) -> None:
        """Let a row have other values; it is known by its key."""
        self._database.execute(f"{table.name} change", row)

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        row = self._database.execute(f"{table.name} count", {}).fetchone()
        return int(str(row[0])) if row else 0


def _params(table: Table, row: Row) -> Params:
    return dict(zip(table.columns, row, strict=True))


def _tables(tx: Transaction) -> list[Table]:
    columns: dict[str, list[tuple[str, int]]] = {}
    for name, column, place in tx.rows("store_columns"):
        columns.setdefault(str(name), []).append((str(column), int(str(place))))
    needs: dict[str, set[str]] = {name: set() for name in columns}
    for name, target in tx.rows("store_references"):
        needs[str(name)].add(str(target))
    return [_table(name, columns[name]) for name in TopologicalSorter(needs).static_order()]


def _table(name: str, columns: list[tuple[str, int]]) -> Table:
    """Columns by name: two databases may have come to the same ones in another order."""
    key = sorted((place, column) for column, place in columns if place)
    return Table(name, tuple(sorted(column for column, _ in columns)), tuple(column for _, column in key))


def _queries(tables: Iterable[Table]) -> dict[str, str]:
    templates = parse((SQL_FOLDER / "tables" / "copying.sql").read_text(encoding="utf-8"))
    return {
        f"{table.name} {name}": text.format(
            table=quoted(table.name),
            columns=", ".join(map(quoted, table.columns)),
            values=", ".join(f":{column}" for column in table.columns),
            key=", ".join(map(quoted, table.key)),
            assignments=", ".join(f"{quoted(one)} = :{one}" for one in table.columns if one not in table.key),
            is_it=" AND ".join(f"{quoted(one)} = :{one}" for one in table.key),
        )
        for table in tables
        for name, text in templates.items()
    }
