"""Trackers in a store alone: a SQLite file, PostgreSQL, or memory; no document has them."""

from __future__ import annotations

from collections.abc import Mapping

from tasktrail.config import find_store, load
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import create_matrix, find_matrix, save_matrix, use_grid
from tasktrail.engine.matrices import picture_of as stored_picture
from tasktrail.engine.project import NO_FLAGS, existing, ledger_of
from tasktrail.model.matrix import Grid
from tasktrail.model.run import Run
from tasktrail.tracker.backend import OpenMatrix, TrackerBackend, told
from tasktrail.tracker.drafts import draft_of, picture_of
from tasktrail.tracker.exceptions import WeekNotFoundError
from tasktrail.tracker.groups import Groups
from tasktrail.tracker.models import WeekTracker

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

    @property
    def ledger(self) -> Ledger:
        """The ledger of the store, which is made when it is first asked for."""
        if self._made is None:
            self._made = ledger_of(self._location, self._config)
        return self._made

    def _has_store(self) -> bool:
        return self._made is not None or existing(self._location, self._config) is not None

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
            runs = self.ledger.store.read(lambda tx: tx.runs("matrices_of", workflow=name))
            return [run.name for run in runs]

    def opened(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what asks the store itself."""
        with told(self._location.url):
            return OpenMatrix(self.ledger, self._run(week_letter))

    def load_tracker(self, week_letter: str) -> WeekTracker:
        """Return the tracker of a week."""
        with told(self._location.url):
            return draft_of(stored_picture(self.ledger, self._run(week_letter)))

    def save_tracker(self, week_letter: str, tracker: WeekTracker) -> None:
        """Bring the tracker of a week from what was loaded to what it is now; a new one is made."""
        week, now = self.groups.check(week_letter), picture_of(tracker)
        with told(self._location.url):
            run = self._find(week)
            if run is None:
                create_matrix(self.ledger, week, self.grid, now)
                return
            loaded = tracker._loaded or stored_picture(self.ledger, run)
            save_matrix(self.ledger, run, loaded, now, tracker._moves)

    def _find(self, week: str) -> Run | None:
        return self.ledger.store.read(lambda tx: find_matrix(tx, week))

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
