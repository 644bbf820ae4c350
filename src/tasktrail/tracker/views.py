"""What faces and tools show of a tracker, asked of the store in a few queries: the table, what is ready, progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from tasktrail.engine.items import before_removal, cells_of_items, items_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import run_reference, shared_names
from tasktrail.engine.matrix_metrics import MatrixMetrics, Metrics, metrics_of
from tasktrail.engine.matrix_views import (
    CellView,
    Counts,
    ItemRow,
    MatrixPage,
    ReadyPage,
    counts,
    matrix_page,
    ready_page,
)
from tasktrail.model.plan import percent_done
from tasktrail.model.run import Run
from tasktrail.model.task import REMOVED
from tasktrail.store.transaction import Transaction
from tasktrail.tracker.backend import TrackerBackend

__all__ = [
    "GroupProgress", "ReadyTasks", "Table", "losses_of", "metrics_told", "progress_of", "ready_tasks", "table_of",
    "total_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """Where the tasks of a group stand.

    Args:
        by_type: Of each type that has tasks, in the order of the types.
    """

    group: str
    counts: Counts
    by_type: Mapping[str, Counts]

    @property
    def percent(self) -> float:
        """How much is completed, 0 to 100; 100 is said of all alone."""
        return percent_done(self.counts["completed"], self.counts.total())


@dataclass(frozen=True, slots=True)
class Table:
    """A page of a matrix.

    Args:
        reference: As people write the run.
        counts: How many cells stand where, on all pages.
        removed: Items that the list has no more, where they were asked for.
        now: When this was so, microseconds UTC.
    """

    run: Run
    reference: str
    page: MatrixPage
    counts: Counts
    removed: Sequence[ItemRow]
    now: int


@dataclass(frozen=True, slots=True)
class ReadyTasks(ReadyPage):
    """A page of what may start now.

    Args:
        groups: How the tracker calls the groups of the cells, by the names of their runs. Of two folders of a project
            with a week A each, one has the run A-2.
    """

    groups: Mapping[str, str]


def table_of(tracker: TrackerBackend, group: str, limit: int, after: str | None, *, removed: bool = False) -> Table:
    """Return a page of a group's matrix.

    Args:
        after: The cursor of the page before; None begins.
        removed: Whether the last page has the removed items, as they were.
    """
    ledger, run = tracker.opened(group)

    def work(tx: Transaction) -> Table:
        page = matrix_page(tx, run, tracker.grid, limit, after)
        gone = _removed(tx, run) if removed and page.cursor is None else ()
        reference = run_reference(run, shared_names(tx, [run]))
        return Table(run, reference, page, counts(tx, run), gone, ledger.clock.now())

    return ledger.store.read(work)


def _removed(tx: Transaction, run: Run) -> list[ItemRow]:
    gone = {item.name: item for item in items_of(tx, run) if item.removed_at is not None}
    tasks = [task for task in tx.tasks("steps_of_run", run_id=run.id) if task.item in gone and task.reason != REMOVED]
    cells: dict[str, dict[str, CellView]] = {name: {} for name in gone}
    for task in before_removal(tx, run, tasks):
        cells[task.item][task.key] = CellView(task, None, stale=False)
    return [ItemRow(item, cells[name]) for name, item in gone.items()]


def progress_of(tracker: TrackerBackend, groups: Sequence[str] | None = None) -> list[GroupProgress]:
    """Return where the tasks of groups stand; None are all that there are."""
    return [_progress(tracker, group) for group in (tracker.weeks() if groups is None else groups)]


def _progress(tracker: TrackerBackend, group: str) -> GroupProgress:
    ledger, run = tracker.opened(group)
    keys = list(tracker.grid.by_name)

    def work(tx: Transaction) -> GroupProgress:
        by_type = {key: counts(tx, run, key) for key in keys}
        return GroupProgress(run.name, counts(tx, run), {key: one for key, one in by_type.items() if one})

    return ledger.store.read(work)


def ready_tasks(
    tracker: TrackerBackend, limit: int, *, group: str | None = None, agent: str | None = None,
    key: str | None = None, after: str | None = None,
) -> ReadyTasks:  # fmt: skip
    """Return what may start now, by group, type and item.

    Args:
        group: Of this one alone; None: of all.
        agent: Of this one alone.
        key: Of this type alone.
        after: The cursor of the page before; None begins.
    """
    names = tracker.weeks() if group is None else [tracker.groups.check(group)]
    opened, grid = [tracker.opened(one) for one in names], tracker.grid

    def page_of(ledger: Ledger, runs: Sequence[Run]) -> ReadyPage:
        now = ledger.clock.now()
        return ledger.store.read(lambda tx: ready_page(tx, runs, grid, now, limit, after, agent, key))

    pages = [
        page_of(ledger, [one.run for one in of_ledger])
        for ledger, of_ledger in groupby(opened, key=lambda one: one.ledger)
    ]
    cells = sorted((cell for page in pages for cell in page.cells), key=lambda cell: cell.place)
    has_more = len(cells) > limit or any(page.cursor for page in pages)
    return ReadyTasks(
        cells[:limit],
        sum(page.total for page in pages),
        cells[:limit][-1].reference if has_more and cells[:limit] else None,
        {one.run.name: name for name, one in zip(names, opened, strict=True)},
    )


def metrics_told(tracker: TrackerBackend, group: str | None = None) -> MatrixMetrics:
    """Return what was tried in a group, or in all, and what came of it; where there is no store, nothing is known."""
    there = [group] if group is not None else [one for one in tracker.weeks() if tracker.tracker_exists(one)]
    opened = [tracker.opened(one) for one in there]
    if not opened or any(one.ledger is not opened[0].ledger for one in opened):
        return MatrixMetrics(Metrics(), {}, {})
    runs = [one.run for one in opened]
    return opened[0].ledger.store.read(lambda tx: metrics_of(tx, runs))


def losses_of(tracker: TrackerBackend, group: str, names: Collection[str]) -> dict[str, int]:
    """Return the items of a group that a list of these names would remove, each with how many of its tasks began."""
    ledger, run = tracker.opened(group)

    def work(tx: Transaction) -> dict[str, int]:
        gone = [item.name for item in items_of(tx, run) if item.removed_at is None and item.name not in names]
        tasks = [task for task in cells_of_items(tx, run, gone) if task.reason != REMOVED]
        begun = Counter(task.item for task in tasks if task.status != "pending" or task.attempts)
        return {name: begun[name] for name in gone}

    return ledger.store.read(work)


def total_of(progress: Sequence[GroupProgress]) -> Counts:
    """Return how many tasks of all groups stand where."""
    return sum((one.counts for one in progress), Counter())
