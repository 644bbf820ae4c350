"""Makes the schema of a store in PostgreSQL, and brings it to the version that this program knows."""

from __future__ import annotations

import time
from typing import Final, cast

from tasktrail.store import migrate
from tasktrail.store.address import quoted
from tasktrail.store.migrate import Migration
from tasktrail.store.queries import queries
from tasktrail.store.session import one
from tasktrail.store.wire import Wire

_POSTGRES: Final = "postgres"
_LOCK_CLASS: Final = 7234297


def version(wire: Wire, name: str, where: str) -> int:
    """Return the version of a schema, 0 when there is none.

    Raises:
        NewerStore: This program is too old for it.
        StoreError: Other migrations made it.
    """
    if not one(wire, "SELECT to_regclass(:name) IS NOT NULL", {"name": f"{quoted(name)}.migration"}):
        return 0
    rows = wire.ask("SELECT number, checksum, oldest FROM migration ORDER BY number").fetchall()
    applied = cast("list[tuple[int, str, int]]", rows)
    found = applied[-1][0] if applied else 0
    migrate.refuse_newer(_POSTGRES, found, max((row[2] for row in applied), default=0), where)
    migrate.check(_POSTGRES, [row[:2] for row in applied], where)
    return found


def upgrade(wire: Wire, name: str, where: str) -> None:
    """Apply what is missing, one process after the other: who comes later finds nothing to do."""
    if not migrate.pending(_POSTGRES, version(wire, name, where)):
        return
    wire.ask("BEGIN")
    wire.ask(f"SELECT pg_advisory_xact_lock({_LOCK_CLASS}, 0)")
    # Who may not make schemas in this database may own one: IF NOT EXISTS would ask for the right all the same.
    if not one(wire, "SELECT 1 FROM pg_namespace WHERE nspname = :name", {"name": name}):
        wire.ask(f"CREATE SCHEMA {quoted(name)}")
    found = version(wire, name, where)
    if found:  # waits for those who write; who comes later waits for us, and sees what is new before it writes
        wire.ask("LOCK TABLE migration IN ACCESS EXCLUSIVE MODE")
    for migration in migrate.pending(_POSTGRES, found):
        _apply(wire, migration)
    wire.ask("COMMIT")
    wire.settle()


def _apply(wire: Wire, migration: Migration) -> None:
    for part in migrate.statements(migration.text):
        wire.ask(part)
    row = {"number": migration.number, "name": migration.name, "checksum": migration.checksum}
    row |= {"oldest": migration.oldest, "at": time.time_ns() // 1000}
    wire.ask(queries(_POSTGRES)["add_migration"], row)
