"""Copies all of a store into an empty one, and proves the copy before it is committed: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from tasktrail.config import Config, StoreLocation, prepare_folder
from tasktrail.engine.ownership import is_alive, owner_of
from tasktrail.engine.verification import verify_run
from tasktrail.model.errors import BadInput, Conflict, Held, NotFound, StoreError, VerificationFailed
from tasktrail.store.clock import SYSTEM_CLOCK
from tasktrail.store.copying import Digest, Rows, Table
from tasktrail.store.documents import Documents
from tasktrail.store.migrate import refuse_older
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Row, Transaction

_PAGE: Final = 200
_MOST_FINDINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Proof:
    """What was copied, as the source had it and as the target has it; both are the same, or nothing was copied.

    Args:
        rows: By table.
        runs: Whose history folds to their rows, in the one and in the other.
        history: A digest of all events, in the one and in the other.
    """

    rows: Mapping[str, int]
    runs: tuple[int, int]
    history: tuple[str, str]


def copy_store(origin: StoreLocation, target: StoreLocation, config: Config) -> Proof:
    """Copy everything that a store has into an empty one, in one transaction; the source stays as it is.

    Row ids and event numbers are kept. Two things are not: processes are stopped in the copy, and a document's path is
    stored as the target stores it.

    Raises:
        NotFound: There is no store at the source.
        BadInput: Both are one store, or one of them is in memory.
        StoreError: One of them has an older schema, or cannot be opened.
        Held: A living process works on one of them.
        Conflict: The target is not empty, or the source changed meanwhile.
        VerificationFailed: The source contradicts itself.
    """
    source, destination = _open_source(origin, config), _open_target(target, config)
    if source.is_same(destination):
        raise BadInput(f"{source.where} cannot be moved to itself", hint="tasktrail move --to URL of an empty store")
    for store in (source, destination):
        _refuse_used(store)
    return source.read(partial(_copy_from, source, destination))


def _open_source(location: StoreLocation, config: Config) -> Store:
    def accept(version: int) -> None:
        if version == 0:
            raise _no_store(location)
        refuse_older(version, str(location))

    if location.path is not None and not location.path.exists():
        raise _no_store(location)
    return _open(location, config, accept)


def _open_target(location: StoreLocation, config: Config) -> Store:
    def accept(version: int) -> None:
        if version:
            refuse_older(version, str(location))

    prepare_folder(location)
    return _open(location, config, accept)


def _open(location: StoreLocation, config: Config, accept: Callable[[int], None]) -> Store:
    if location.url == "memory:":
        raise BadInput("a store in memory ends with this command", hint="name a file, or a PostgreSQL database")
    return open_store(
        location.url, synchronous=config.store_synchronous, busy_s=config.store_busy_timeout_s, accepts=accept
    )


def _no_store(location: StoreLocation) -> NotFound:
    return NotFound(f"there is no store to move: {location}", hint="tasktrail move --from URL --to URL")


def _refuse_used(store: Store) -> None:
    rows = store.read(lambda tx: tx.rows("unstopped_workers"))
    living = [f"process {row[3]} on {row[2]} ({row[1]})" for row in rows if is_alive(store, row)]
    if living:
        owned = store.read(lambda tx: tx.runs("owned_runs"))
        runs = [f"{owner} executes run {run.name}" for run in owned if (owner := owner_of(store, run))]
        raise Held(
            f"{store.where} is in use by {living[0]}", hint="stop it, then move again", details=runs or living[1:]
        )


# under way


def _copy_from(source: Store, destination: Store, tx: Transaction) -> Proof:
    """On one snapshot of the source: prove it, copy it."""
    if findings := source.integrity():
        raise _contradiction(source, findings)
    n_runs, last = _prove(source, tx), tx.row("last_event")
    proof = partial(_copy, source, destination, tx, n_runs)

    def work(new: Transaction) -> Proof:
        """The snapshot of the source may have ended before the proof of the target has."""
        done = proof(new)
        _refuse_changed(source, last)
        return done

    return destination.write(work)


def _copy(source: Store, destination: Store, tx: Transaction, n_runs: int, new: Transaction) -> Proof:
    here, there = Rows(tx), Rows(new)
    if {*here.tables} != {*there.tables}:
        raise StoreError(f"{source.where} and {destination.where} have different tables", hint="tasktrail doctor")
    new.row("keep_others_out")
    _refuse_full(destination, there)
    given = {table.name: _copy_table(here, there, table, _change(table, source, destination)) for table in here.tables}
    new.row("count_on")
    found = {table.name: _digest(there.of(table)) for table in there.tables}
    for name, digest in given.items():
        if str(found[name]) != str(digest):
            words = f"{destination.where} does not give the rows of {name} back as they were stored"
            raise StoreError(words, hint="tasktrail doctor")
    proven = n_runs, _prove(destination, new)
    rows = {name: given[name].rows for name in sorted(given)}
    return Proof(rows, proven, (str(given["event"]), str(found["event"])))


def _refuse_full(destination: Store, there: Rows) -> None:
    found = [f"{table.name} {number:,}" for table in there.tables if (number := there.count(table))]
    if found:
        words = f"{destination.where} is not empty; rows it has: {', '.join(sorted(found))}"
        raise Conflict(words, hint="move into a new store: --to URL")


def _refuse_changed(source: Store, last: Row | None) -> None:
    """The snapshot does not show it: somebody may have come to the source since."""
    if source.read(lambda tx: tx.row("last_event")) != last:
        raise Conflict(f"{source.where} was changed meanwhile; nothing was copied", hint="stop who works on it")
    _refuse_used(source)


def _copy_table(here: Rows, there: Rows, table: Table, change: Callable[[Row], Row]) -> Digest:
    """Copy a table row by row, and return the digest of what was written."""
    digest = Digest()

    def rows() -> Iterator[Row]:
        for row in map(change, here.of(table)):
            digest.add(row)
            yield row

    there.add(table, rows())
    return digest


def _digest(rows: Iterator[Row]) -> Digest:
    digest = Digest()
    for row in rows:
        digest.add(row)
    return digest


def _change(table: Table, source: Store, destination: Store) -> Callable[[Row], Row]:
    """Return what becomes of a row on its way: most stay as they are."""
    if table.name == "worker":
        now = SYSTEM_CLOCK.now()
        return partial(_with, table.columns.index("stopped_at"), lambda at: now if at is None else at)
    if table.name == "document":
        here, there = Documents(source.path), Documents(destination.path)
        return partial(_with, table.columns.index("path"), lambda path: here.path_in(there, str(path)))
    return lambda row: row


def _with(index: int, change: Callable[[object], object], row: Row) -> Row:
    return (*row[:index], change(row[index]), *row[index + 1 :])


def _prove(store: Store, tx: Transaction) -> int:
    """Return how many runs there are, once the history of each folds to its rows."""
    proven, findings, before = 0, [], None
    while runs := tx.runs("runs_page", kind=None, workflow=None, status=None, before=before, limit=_PAGE):
        for run in runs:
            findings += verify_run(tx, run)
        proven, before = proven + len(runs), runs[-1].id
        if findings:
            raise _contradiction(store, findings)
    return proven


def _contradiction(store: Store, findings: list[str]) -> VerificationFailed:
    words = f"{store.where} contradicts itself; nothing was copied"
    return VerificationFailed(words, hint="tasktrail doctor --verify", details=findings[:_MOST_FINDINGS])
