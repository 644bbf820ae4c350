"""Looks over what a store holds as text: which rows have values that scrubbing would take out, and of what kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tasktrail.engine.lookup import run_reference, shared_names, task_reference
from tasktrail.engine.scrubbing import Scrubber
from tasktrail.store.copying import Rows
from tasktrail.store.described import text_columns
from tasktrail.store.transaction import Row, Transaction

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "run": ("id",), "task": ("id",), "attempt": ("task_id", "n", "public_id"), "output": ("task_id", "attempt"),
    "event": ("seq",), "error": ("fingerprint",), "delivery": ("event_seq",),
}  # fmt: skip
"""What tells which row it is; row ids themselves never leave the store."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A text in the store that holds what does not belong there.

    Args:
        row: How people name its row: a run, a task, one of its attempts, an event.
        kinds: How many distinct values of each kind; never the values.
    """

    table: str
    row: str
    column: str
    kinds: Mapping[str, int]


_Found = tuple[Row, str, Mapping[str, int]]  # the key of a row, a column, what it holds


def looked_over(tx: Transaction, scrub: Scrubber) -> Iterator[Leak]:
    """Yield what is found in all columns that are kept as text, table by table."""
    texts = text_columns()
    rows = Rows(tx, {table: (*KEYS[table], *columns) for table, columns in texts.items()})
    for table in rows.tables:
        found = list(_found(rows.of(table), texts[table.name], len(KEYS[table.name]), scrub))
        for key, column, kinds in found:  # only now: while rows come, nothing else may be asked
            yield Leak(table.name, _NAMES[table.name](tx, *key), column, kinds)


def _found(rows: Iterable[Row], columns: Sequence[str], n_keys: int, scrub: Scrubber) -> Iterator[_Found]:
    for row in rows:
        for column, text in zip(columns, row[n_keys:], strict=True):
            kinds = scrub.kinds(text) if isinstance(text, str) else {}
            if kinds:
                yield row[:n_keys], column, kinds


def _run(tx: Transaction, run_id: int) -> str:
    run = tx.run(run_id)
    return run_reference(run, shared_names(tx, [run]))


def _task(tx: Transaction, task_id: int) -> str:
    task = tx.task("task_by_id", id=task_id)
    assert task is not None  # a foreign key
    return task_reference(_run(tx, task.run_id), task)


def _attempt(tx: Transaction, task_id: int | None, number: int, public_id: str | None = None) -> str:
    """A recording has no task, and an id that people know."""
    return str(public_id) if task_id is None else f"{_task(tx, task_id)} attempt {number}"


_NAMES: Final[Mapping[str, Callable[..., str]]] = {
    "run": _run, "task": _task, "attempt": _attempt, "output": _attempt,
    "event": lambda _, seq: f"event/{seq}", "error": lambda _, fingerprint: str(fingerprint),
    "delivery": lambda _, seq: f"event/{seq}",
}  # fmt: skip
