"""Plans that live in a file: opened, and written where there is none yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import ListWritten, check_list, draft_of, write_list
from tasktrail.formats.picture import Picture
from tasktrail.formats.plan_codec import PLAN_JSON, task_picture
from tasktrail.model.draft import RunDraft
from tasktrail.model.errors import Conflict, StoreError
from tasktrail.model.plan import PlanTask
from tasktrail.model.run import Run


def open_file(ledger: Ledger, path: Path, name: str | None) -> Run | None:
    """Return the plan of a file, up to date with it. None: there is no file.

    Args:
        name: What the plan is called in the store, where the file is new to it.

    Raises:
        BadInput: The file cannot be read; nothing is changed then.
    """
    return ledger.attachments.open(path, PLAN_JSON.name, "plan", name)


def parse_file(ledger: Ledger, path: Path, name: str | None) -> Run | None:
    """Return the same in a store that nobody else sees."""
    return ledger.attachments.parse(path, PLAN_JSON.name, "plan", name)


def write_file(
    ledger: Ledger, path: Path, name: str | None, tasks: Sequence[PlanTask], standing: Collection[str] = ()
) -> ListWritten:
    """Create the plan of a file, and the file, or bring those that exist to a list. See `write_list`.

    Raises:
        BadInput: The list cannot be a plan, or the file that is there cannot be read; nothing is changed.
        StoreError: The file or its folder cannot be made.
    """
    check_list(tasks)
    run = open_file(ledger, path, name)
    if run is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {path.parent}: {error.strerror}", hint="choose another folder") from None
        try:
            return _create(ledger, path, name, tasks, standing)
        except Conflict:  # somebody else made it just now
            run = open_file(ledger, path, name)
            if run is None:
                raise
    return write_list(ledger, run.name, tasks, standing)


def _create(
    ledger: Ledger, path: Path, name: str | None, tasks: Sequence[PlanTask], standing: Collection[str]
) -> ListWritten:
    called = name or "plan"
    stands = [task_picture(task if task.key in standing else replace(task, status="pending")) for task in tasks]
    picture = Picture(called, called, created_at=ledger.clock.now(), tasks=tuple(stands))
    draft = RunDraft("plan", called, called, tuple(map(draft_of, tasks)))
    run = ledger.attachments.create(draft, path, PLAN_JSON.name, picture)
    return ListWritten(run, added=[task.key for task in tasks])
