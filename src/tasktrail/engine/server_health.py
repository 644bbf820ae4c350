"""What the doctor looks at on a PostgreSQL server: what it promises, how much it still takes, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tasktrail.engine.findings import Check
from tasktrail.store.clock import SYSTEM_CLOCK
from tasktrail.store.seam import Store

_FEW_CONNECTIONS: Final = 10
_OFF_BY_US: Final = 2_000_000
_MILLION: Final = 1_000_000
_SETTINGS: Final = {
    "synchronous_commit": "the last commits that were acknowledged are lost when the server crashes",
    "fsync": "a power loss can destroy the database",
    "full_page_writes": "a power loss can damage pages of the database",
}
"""What it means when the server has them off."""


class _Facts(NamedTuple):
    """The columns of the query `server_facts`."""

    server: str
    schema: int
    synchronous_commit: str
    fsync: str
    full_page_writes: str
    read_only: str
    encoding: str
    bytes: int
    allowed: int
    connected: int
    is_open: int


def look_at_server(store: Store, where: str) -> Iterator[Check]:
    """Yield what was found; nothing is changed.

    Args:
        where: The store as the settings say it, and who said it.
    """
    row = store.read(lambda tx: tx.row("server_facts"))
    assert row is not None
    facts = _Facts(*row)  # type: ignore[arg-type]  # the query's columns
    yield Check("store", "ok", where)
    yield _writes(facts)
    yield Check("schema", "ok", f"version {facts.schema}, {facts.bytes / (1024 * 1024):.1f} MB")
    yield from _durability(facts)
    yield _connections(facts)
    if facts.is_open:
        words = "what goes to the server and comes from it can be read on the way: the connection is not encrypted"
        yield Check("encryption", "warning", words, "sslmode=verify-full in the URL")
    yield _clock(store)


def _writes(facts: _Facts) -> Check:
    words = f"PostgreSQL {facts.server}"
    if facts.read_only == "on":
        return Check("server", "problem", f"{words} takes no writes: it is a standby, or read-only", "name the primary")
    if facts.encoding != "UTF8":
        hint = "createdb --encoding=UTF8 --template=template0 NAME, then tasktrail move"
        return Check("server", "problem", f"{words}: the database keeps texts as {facts.encoding}", hint)
    return Check("server", "ok", words)


def _durability(facts: _Facts) -> Iterator[Check]:
    off = [name for name in _SETTINGS if getattr(facts, name) == "off"]
    for name in off:
        yield Check("durability", "warning", f"{name} is off: {_SETTINGS[name]}", f"{name} = on in postgresql.conf")
    if not off:
        words = f"synchronous_commit {facts.synchronous_commit}, fsync on, full_page_writes on"
        yield Check("durability", "ok", words)


def _connections(facts: _Facts) -> Check:
    left = max(0, facts.allowed - facts.connected)
    words = f"{left} of {facts.allowed} connections are free"
    if left < _FEW_CONNECTIONS:
        return Check("connections", "warning", words, "max_connections in postgresql.conf, or fewer workers")
    return Check("connections", "ok", words)


def _clock(store: Store) -> Check:
    """The server's clock against ours in the middle of the question, so that the way there and back does not count."""
    before = SYSTEM_CLOCK.now()
    row = store.read(lambda tx: tx.row("server_clock"))
    after = SYSTEM_CLOCK.now()
    assert row is not None
    off_by_us = int(str(row[0])) - (before + after) // 2
    words = f"the server's clock is {abs(off_by_us) / _MILLION:.1f} s {'ahead of' if off_by_us > 0 else 'behind'} ours"
    if abs(off_by_us) > _OFF_BY_US:
        return Check("clock", "warning", words, "let both get the time from the network (NTP)")
    return Check("clock", "ok", words)
