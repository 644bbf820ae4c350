"""Trackers in files that people edit: one per week, in the folders of document 002, mirrored by the project's store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tasktrail.engine.adopting import drafts
from tasktrail.engine.matrices import picture_of as stored_picture
from tasktrail.engine.matrices import save_matrix, use_grid
from tasktrail.engine.project import NO_FLAGS, FolderProject
from tasktrail.formats import TRACKER_JSON_CODEC, TRACKER_YAML_CODEC, codec
from tasktrail.formats.picture import Picture
from tasktrail.model.draft import RunDraft
from tasktrail.model.matrix import Grid
from tasktrail.model.run import Run
from tasktrail.store.documents import DocumentFile
from tasktrail.tracker.backend import OpenMatrix, TrackerBackend, told
from tasktrail.tracker.drafts import draft_of, picture_of
from tasktrail.tracker.exceptions import TrackerFileError, WeekNotFoundError
from tasktrail.tracker.groups import Groups
from tasktrail.tracker.models import WeekTracker

__all__ = ["LEGACY", "JSONTrackerBackend", "YAMLTrackerBackend"]

LEGACY: Final = "tasks.yaml"
"""The list of names that a week had before it had a tracker; it is kept."""


class DocumentTracker(TrackerBackend):
    """Trackers in files.

    Reading without a store makes none. Every write goes through `save_tracker`.

    Args:
        weeks_dir: The folder with a folder per week.
        flags: Settings by name that were given on the command line.
    """

    file_name: str
    codec_name: str

    def __init__(
        self,
        weeks_dir: str | Path,
        grid: Grid | None = None,
        groups: Groups | None = None,
        flags: Mapping[str, str] = NO_FLAGS,
    ) -> None:
        super().__init__(grid, groups)
        self.weeks_dir = Path(weeks_dir)
        self._project = FolderProject(self.weeks_dir, flags)

    # where

    def path(self, week_letter: str) -> Path:
        """Return the file of a week; it need not exist."""
        return self.weeks_dir / self.groups.folder(week_letter) / self.file_name

    def tracker_exists(self, week_letter: str) -> bool:
        """Whether there is a tracker of a week; the older list of tasks is none."""
        return self.path(week_letter).is_file()

    def weeks(self) -> list[str]:
        """Return the weeks that have a tracker, or a list of tasks to make one of."""
        if not self.weeks_dir.is_dir():
            return []
        folders = (one for one in self.weeks_dir.iterdir() if one.is_dir())
        having = (one.name for one in folders if (one / self.file_name).exists() or (one / LEGACY).exists())
        return self.groups.of_folders(having)

    # loading

    def load_tracker(self, week_letter: str) -> WeekTracker:
        """Return the tracker of a week, up to date with its file; of a list of tasks one is made and saved."""
        with told(str(self.weeks_dir)):
            picture = self._picture(week_letter)
            if picture is not None:
                return draft_of(picture)
            tracker = self._from_list(week_letter)
            self.save_tracker(week_letter, tracker)
            return draft_of(self._picture(week_letter) or picture_of(tracker))

    def opened(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what asks the store itself; where there is none, one that nobody else sees."""
        with told(str(self.weeks_dir)):
            found = self._project.reading(lambda: self._open(week_letter), lambda: self._unsaved(week_letter))
            if found is not None:
                return found
            self.load_tracker(week_letter)  # of a list of tasks one is made
            return self.opened(week_letter)

    def _open(self, week: str) -> OpenMatrix | None:
        run = self._run(week)
        return OpenMatrix(self._project.ledger, run) if run is not None else None

    def _unsaved(self, week: str) -> OpenMatrix | None:
        ledger = self._project.unsaved()
        name = self.groups.check(week)
        run = ledger.attachments.parse(self.path(week), self.codec_name, "matrix", name, self.grid)
        return OpenMatrix(ledger, run) if run is not None else None

    def _picture(self, week: str) -> Picture | None:
        return self._project.reading(lambda: self._mirrored(week), lambda: self._parsed(week))

    def _mirrored(self, week: str) -> Picture | None:
        run = self._run(week)
        return stored_picture(self._project.ledger, run) if run is not None else None

    def _run(self, week: str) -> Run | None:
        """Return the run of a week's file, up to date with it; None: there is no file."""
        ledger, grid = self._project.ledger, self.grid
        run = ledger.attachments.open(self.path(week), self.codec_name, "matrix", self.groups.check(week), grid)
        return use_grid(ledger, run, grid) if run is not None else None

    def _parsed(self, week: str) -> Picture | None:
        path = self.path(week)
        reading = DocumentFile(path).read()
        return codec(self.codec_name).load(reading.text, str(path)) if reading is not None else None

    def _from_list(self, week: str) -> WeekTracker:
        path = self.path(week)
        reading = DocumentFile(path.with_name(LEGACY)).read()
        if reading is None:
            letter = self.groups.check(week)
            raise WeekNotFoundError(
                f"No tracker or tasks found for {self.groups.word} {letter}: {path} does not exist",
                hint=f"run the ETL pipeline for it, or: sync_with_etl({letter!r}, [...])",
            )
        return self.with_items(week, _names(reading.text, str(path.with_name(LEGACY))))

    # saving

    def save_tracker(self, week_letter: str, tracker: WeekTracker) -> None:
        """Bring a week's file from what was loaded to what the object says: only what differs is written.

        Raises:
            Conflict: Somebody else changed the same since it was loaded; nothing is written.
            TrackerAccessError: The file cannot be written.
            UnknownFieldError: What it says is no JSON.
        """
        with told(str(self.weeks_dir)):
            now, path = picture_of(tracker), self.path(week_letter)
            path.parent.mkdir(parents=True, exist_ok=True)
            run = self._run(week_letter)
            if run is None:
                self._create(week_letter, path, now)
                return
            loaded = tracker._loaded
            if loaded is None:  # made by hand, to be put in the place of what is there
                loaded = stored_picture(self._project.ledger, run)
            save_matrix(self._project.ledger, run, loaded, now, tracker._moves)

    def _create(self, week: str, path: Path, picture: Picture) -> None:
        grid, name = self.grid, self.groups.check(week)
        draft = RunDraft("matrix", name, grid.name, drafts(picture), metadata=picture.metadata)
        self._project.ledger.attachments.create(draft, path, self.codec_name, picture, grid)


class YAMLTrackerBackend(DocumentTracker):
    """Trackers as `tracker.yaml`: what somebody wrote there, comments, order and quotes, stays as it is.

    Source: document 002, File Storage.
    """

    file_name = "tracker.yaml"
    codec_name = TRACKER_YAML_CODEC


class JSONTrackerBackend(DocumentTracker):
    """Trackers as `tracker.json`, for what other programs read."""

    file_name = "tracker.json"
    codec_name = TRACKER_JSON_CODEC


def _names(text: str, where: str) -> list[str]:
    """Return the names of the older list of tasks."""
    from tasktrail.formats.yaml_load import load  # PyYAML is heavy

    found = load(text, where)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TrackerFileError(f"{where}:1:1: expected a list of names", hint="write one name per line: - ProjectA")
    return found
