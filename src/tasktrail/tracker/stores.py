"""Trackers in a store alone: a SQLite file, PostgreSQL, or memory; no document has them."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from tasktrail.config import find_store, load
from tasktrail.engine.cells import CellMove
from tasktrail.engine.items import item_in, items_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import cell_in, create_matrix, find_matrix, move_cell_as, use_grid
from tasktrail.engine.matrices import picture_of as stored_picture
from tasktrail.engine.matrix_views import can_start, counts, matrices_of, pending_items, unmet_of
from tasktrail.engine.project import NO_FLAGS, existing_ledger, ledger_of
from tasktrail.model.matrix import Grid
from tasktrail.model.reference import cell_name
from tasktrail.model.run import Run
from tasktrail.store.transaction import Transaction
from tasktrail.tracker.backend import (
    OpenMatrix,
    TrackerBackend,
    check_limit,
    progress_of,
    ready_in_store,
    told,
)
from tasktrail.tracker.exceptions import InvalidWeekError, TrackerAccessError, WeekNotFoundError
from tasktrail.tracker.groups import Groups
from tasktrail.tracker.words import ReadyTask, TaskStatus

if TYPE_CHECKING:
    from tasktrail.tracker.models import TaskProgress, WeekTracker

__all__ = ["StoreTrackerBackend"]


class StoreTrackerBackend(TrackerBackend):
    """Trackers in a store.

    Args:
        url: `sqlite:///…`, `postgresql://…` or `memory:`, a new one that nobody else sees.
        flags: Settings by name that were given on the command line.
    """

    def __init__(
        self,
        url: str,
        grid: Grid | None = None,
        groups: Groups | None = None,
        flags: Mapping[str, str] = NO_FLAGS,
    ) -> None:
        super().__init__(grid, groups)
        self._location, self._config = find_store(flag=url), load(flags=flags)
        self._made: Ledger | None = None
        self._making = Lock()

    @property
    def ledger(self) -> Ledger:
        """The ledger of the store, which is made when it is first asked for."""
        with self._making:  # else two threads that come first have a memory each
            if self._made is None:
                self._made = ledger_of(self._location, self._config)
            return self._made

    def _has_store(self) -> bool:
        with self._making:
            if self._made is None:
                self._made = existing_ledger(self._location, self._config)
            return self._made is not None

    def tracker_exists(self, week_letter: str) -> bool:
        """Whether there is a tracker of a week."""
        week = self.groups.check(week_letter)
        with told(self._location.url):
            return self._has_store() and self._find(week) is not None

    def weeks(self) -> list[str]:
        """Return the weeks that have a tracker, in order."""
        name = self.grid.name
        with told(self._location.url):
            if not self._has_store():
                return []
            runs = self.ledger.store.read(lambda tx: matrices_of(tx, name))
            return [run.name for run in runs if self._is_week(run.name)]

    def _is_week(self, name: str) -> bool:
        """A week of another folder with files that has the same store may be there as A-2."""
        try:
            return self.groups.check(name) == name
        except InvalidWeekError:
            return False

    def opened(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what asks the store itself."""
        with told(self._location.url):
            run = self._run(week_letter)  # before the ledger, which makes a store where there is none
            return OpenMatrix(self.ledger, run)

    def stored(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what writes to the store."""
        return self.opened(week_letter)

    def load_tracker(self, week_letter: str) -> WeekTracker:
        """Return the tracker of a week."""
        from tasktrail.tracker.drafts import draft_of

        with told(self._location.url):
            return draft_of(stored_picture(*self.opened(week_letter)))

    def save_tracker(self, week_letter: str, tracker: WeekTracker) -> None:
        """Bring the tracker of a week from what was loaded to what it is now; a new one is made."""
        from tasktrail.tracker.drafts import picture_of, save_draft

        week, now = self.groups.check(week_letter), picture_of(tracker)
        with told(self._location.url):
            run = self._find(week)
            if run is None:
                create_matrix(self.ledger, week, self.grid, now)
            else:
                save_draft(self.ledger, run, tracker, now)
            tracker._loaded, tracker._moves = now, {}

    # what the store itself answers, however many items there are

    def get_pending_items(self, week_letter: str, task_type: str) -> list[str]:
        """Return the items whose task of a type is pending and may start, in order."""
        self.check_item_type(task_type)
        ledger, run = self.opened(week_letter)
        return ledger.store.read(lambda tx: pending_items(tx, run, task_type))

    def can_start_task(self, week_letter: str, item_name: str | None, task_type: str) -> bool:
        """Return whether all that a task needs is completed; of what is unknown False."""
        (ledger, run), cell = self.opened(week_letter), self.cell_or_none(item_name, task_type)
        if cell is None:
            return False

        def work(tx: Transaction) -> bool:
            known = item_in(tx, run, cell[0]) if cell[0] else None
            return (not cell[0] or (known is not None and known.removed_at is None)) and can_start(
                tx, run, self.grid, cell
            )

        return ledger.store.read(work)

    def get_progress(self, week_letter: str, task_type: str | None = None) -> TaskProgress:
        """Return how many tasks stand where; removed items do not count."""
        if task_type is not None:
            self.check_type(task_type)
        ledger, run = self.opened(week_letter)
        return progress_of(ledger.store.read(lambda tx: counts(tx, run, task_type)))

    def get_ready_tasks(self, limit: int | None = None) -> list[ReadyTask]:
        """Return what may start now in all weeks, by week, type and item."""
        check_limit(limit)
        runs = {week: self.opened(week).run for week in self.weeks()}
        return ready_in_store(self.ledger, runs, self.grid, limit) if runs else []

    def update_task(
        self, week_letter: str, item_name: str | None, task_type: str, status: TaskStatus | str, **metadata: Any
    ) -> None:
        """Let a task stand at a status, in one transaction; see `TrackerBackend.update_task`."""
        from tasktrail.tracker.asking import asked_of

        cell, asked, grid = self.cell_named(item_name, task_type), asked_of(status, metadata), self.grid

        def move(tx: Transaction, run: Run) -> CellMove:
            item = item_in(tx, run, cell[0]) if cell[0] else None
            if cell[0] and (item is None or item.removed_at is not None):
                names = [one.name for one in items_of(tx, run)]
                raise self.no_item(run.name, cell[0], names, removed=item is not None)
            if asked.status == "in_progress":
                self.check_needs(cell, run.name, unmet_of(tx, run, grid, cell))
            task = cell_in(tx, run, cell)
            begun = task is not None and task.started_at is not None
            return asked.move(cell_name(*cell), task.attempts if task else 0, begun=begun)

        with told(self._location.url):
            ledger, run = self.opened(week_letter)
            move_cell_as(ledger, run, cell, move)

    def _find(self, week: str) -> Run | None:
        run = self.ledger.store.read(lambda tx: find_matrix(tx, week))
        if run is not None and run.workflow != self.grid.name:
            raise TrackerAccessError(
                f"{week} in {self.ledger.store.where} is one of the {run.workflow}, not of the {self.grid.name}",
                hint="keep these in another store, or call the group otherwise",
            )
        return run

    def _run(self, week_letter: str) -> Run:
        week = self.groups.check(week_letter)
        run = self._find(week) if self._has_store() else None
        if run is None:
            raise WeekNotFoundError(
                f"No tracker or tasks found for {self.groups.word} {week}",
                hint=f"run the ETL pipeline for it, or: sync_with_etl({week!r}, [...])",
            )
        if run.document_id is not None:
            run = self.ledger.attachments.sync(run)
        return use_grid(self.ledger, run, self.grid)
