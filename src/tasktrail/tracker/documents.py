"""Trackers in files that people edit: one per week, in the folders of document 002, mirrored by the project's store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import draft_of_matrix, standing_of, use_grid, use_grid_in
from tasktrail.engine.matrices import picture_of as stored_picture
from tasktrail.engine.project import NO_FLAGS, FolderProject
from tasktrail.formats import TRACKER_JSON_CODEC, TRACKER_YAML_CODEC, codec
from tasktrail.formats.picture import Picture
from tasktrail.model.errors import Conflict
from tasktrail.model.matrix import Grid, Standing
from tasktrail.model.run import Run
from tasktrail.store.documents import found_below, place_of
from tasktrail.tracker.backend import OpenMatrix, TrackerBackend, check_limit, ready_in_store, told, unseen
from tasktrail.tracker.exceptions import TrackerAccessError, UnknownFieldError, WeekNotFoundError
from tasktrail.tracker.groups import Groups
from tasktrail.tracker.words import ReadyTask

if TYPE_CHECKING:
    from tasktrail.tracker.models import WeekTracker

__all__ = ["JSONTrackerBackend", "YAMLTrackerBackend"]

_LEGACY: Final = "tasks.yaml"
"""The list of names that a week had before it had a tracker; it is kept."""
_MIRRORED_AT_ONCE: Final = 4
"""How many weeks that are new to the store one look at all of them makes known to it; no look is to take long."""


class DocumentTracker(TrackerBackend):
    """Trackers in files.

    Reading without a store makes none. Every write goes through `save_tracker`.

    Args:
        weeks_dir: The folder with a folder per week, or the URL of a bucket's part: `s3://bucket/weeks`.
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
        is_url = "://" in str(weeks_dir)
        self.weeks_dir: str | Path = str(weeks_dir).rstrip("/") if is_url else Path(weeks_dir)
        self._project = FolderProject(Path() if isinstance(self.weeks_dir, str) else self.weeks_dir, flags)

    @property
    def ledger(self) -> Ledger:
        """The ledger of the project's store, which is made when it is first asked for."""
        return self._project.ledger

    # where

    def path(self, week_letter: str) -> Path | str:
        """Return the file of a week, or the URL of its object; it need not exist."""
        return self._beside(week_letter, self.file_name)

    def _beside(self, week: str, name: str) -> Path | str:
        folder = self.groups.folder(week)
        root = self.weeks_dir
        return root / folder / name if isinstance(root, Path) else f"{root}/{folder}/{name}"

    def tracker_exists(self, week_letter: str) -> bool:
        """Whether there is a tracker of a week; the older list of tasks is none."""
        with told(str(self.weeks_dir)):
            return place_of(self.path(week_letter)).signature() is not None

    def weeks(self) -> list[str]:
        """Return the weeks that have a tracker, or a list of tasks to make one of."""
        with told(str(self.weeks_dir)):
            found = [one for name in (self.file_name, _LEGACY) for one in found_below(self.weeks_dir, name)]
            return self.groups.of_folders(one.rpartition("/")[0] for one in found)

    # loading

    def load_tracker(self, week_letter: str) -> WeekTracker:
        """Return the tracker of a week, up to date with its file; of a list of tasks one is made and saved."""
        from tasktrail.tracker.drafts import draft_of, picture_of

        with told(str(self.weeks_dir)):
            picture = self._picture(week_letter)
            if picture is not None:
                return draft_of(picture)
            tracker = self._from_list(week_letter)
            with suppress(Conflict):  # another one just did the same
                self.save_tracker(week_letter, tracker)
            return draft_of(self._picture(week_letter) or picture_of(tracker))

    def opened(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what asks the store itself; where there is none, one that nobody else sees."""
        with told(str(self.weeks_dir)):
            found = self._project.reading(lambda: self._open(week_letter), lambda: self._unsaved(week_letter))
            return found or unseen(self.groups.check(week_letter), self.grid, self._from_list(week_letter))

    def stored(self, week_letter: str) -> OpenMatrix:
        """Return the run of a week, for what writes to the store; it is made where there is none yet."""
        with told(str(self.weeks_dir)):
            found = self._open(week_letter) if self.tracker_exists(week_letter) else None
            if found is not None:
                return found
            self.load_tracker(week_letter)  # of a list of tasks one is made
            return self.stored(week_letter)

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
        reading = place_of(path).read()
        return codec(self.codec_name).load(reading.text, str(path)) if reading is not None else None

    def _from_list(self, week: str) -> WeekTracker:
        path, older = self.path(week), self._beside(week, _LEGACY)
        reading = place_of(older).read()
        if reading is None:
            letter = self.groups.check(week)
            raise WeekNotFoundError(
                f"No tracker or tasks found for {self.groups.word} {letter}: {path} does not exist",
                hint=f"run the ETL pipeline for it, or: sync_with_etl({letter!r}, [...])",
            )
        from tasktrail.tracker.changing import with_items

        return with_items(self, week, _names(reading.text, str(older)))

    # what is ready in all weeks

    def get_ready_tasks(self, limit: int | None = None) -> list[ReadyTask]:
        """Return what may start now in all weeks, by week, type and item.

        Weeks that the store does not know yet are answered from their files; each call lets it know a few more.
        """
        check_limit(limit)
        with told(str(self.weeks_dir)):
            weeks = self.weeks()
            known = self._project.reading(lambda: self._known(weeks), dict[str, Run])
            found = ready_in_store(self._project.ledger, known, self.grid, limit) if known else []
            new = [week for week in weeks if week not in known]
            for week in new:
                found += self.ready_of(week, self._standing_of_file(week))
            if self._project.has_store():
                for week in new[:_MIRRORED_AT_ONCE]:
                    self.load_tracker(week)
        found.sort(key=lambda one: (one.week_letter, one.task_type, one.item_name or ""))
        return found if limit is None else found[:limit]

    def _known(self, weeks: Sequence[str]) -> dict[str, Run]:
        """The runs of the weeks that the store knows, up to date with their files."""
        ledger, root = self._project.ledger, self.weeks_dir
        unchanged = ledger.attachments.unchanged_below(root) if isinstance(root, Path) else {}
        found: dict[str, Run] = {}
        for week in weeks:
            run = unchanged.get(self._real_path(week))
            if run is None and ledger.attachments.known(self.path(week)) is not None:
                run = self._run(week)
            if run is not None:
                found[week] = run
        return use_grid_in(ledger, found, self.grid)

    def _real_path(self, week: str) -> str:
        path = self.path(week)
        return path if isinstance(path, str) else f"{os.path.realpath(self.weeks_dir)}/{path.parent.name}/{path.name}"

    def _standing_of_file(self, week: str) -> Standing:
        picture = self._parsed(week)
        return self._standing(week) if picture is None else standing_of(picture, self.grid)

    # saving

    def save_tracker(self, week_letter: str, tracker: WeekTracker) -> None:
        """Bring a week's file from what was loaded to what the object says: only what differs is written.

        Raises:
            Conflict: Somebody else changed the same since it was loaded; nothing is written.
            TrackerAccessError: The file cannot be written.
            UnknownFieldError: What it says is no JSON.
        """
        from tasktrail.tracker.drafts import picture_of, save_draft

        with told(str(self.weeks_dir)):
            now, path = picture_of(tracker), self.path(week_letter)
            if isinstance(path, Path):
                _make_folder(path.parent)
            run = self._run(week_letter)
            if run is None:
                self._create(week_letter, path, now)
            else:
                save_draft(self._project.ledger, run, tracker, now)
            tracker._loaded, tracker._moves = now, {}

    def _create(self, week: str, path: Path | str, picture: Picture) -> None:
        draft = draft_of_matrix(self.groups.check(week), self.grid, picture)
        self._project.ledger.attachments.create(draft, path, self.codec_name, picture, self.grid)


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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = f"ensure that you may write to {folder.parent}"
        raise TrackerAccessError(f"{folder} cannot be made: {error.strerror or error}", hint=hint) from None


def _names(text: str, where: str) -> list[str]:
    """Return the names of the older list of tasks."""
    from tasktrail.formats.yaml_load import load, refusal  # PyYAML is heavy

    found = load(text, where)
    if found is None:
        return []
    if not isinstance(found, list):
        raise refusal(text, where, [((), "expected a list of names")], "cannot be read")
    faults = [((at,), fault) for at, name in enumerate(found) if (fault := _fault_of(name))]
    if faults:
        raise refusal(text, where, faults, "cannot be read")
    return found


def _fault_of(name: object) -> str | None:
    from tasktrail.tracker.drafts import check_item

    try:
        check_item(name)  # type: ignore[arg-type]  # what is looked at
    except UnknownFieldError as error:
        return error.message
    return None
