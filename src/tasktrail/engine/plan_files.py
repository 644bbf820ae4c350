"""Plans that live in a file: opened, and written where there is none yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import ListWritten, check_list, draft_of
from tasktrail.formats.picture import Picture
from tasktrail.formats.plan_codec import PLAN_JSON, task_picture
from tasktrail.model.draft import RunDraft
from tasktrail.model.errors import StoreError
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


def known_file(ledger: Ledger, path: Path) -> Run | None:
    """Return the plan of a file as the store has it, None when the file is new to it."""
    return ledger.attachments.known(path)


def parse_file(ledger: Ledger, path: Path, name: str | None) -> Run | None:
    """Return the same in a store that nobody else sees."""
    return ledger.attachments.parse(path, PLAN_JSON.name, "plan", name)


def create_file(
    ledger: Ledger, path: Path, name: str | None, tasks: Sequence[PlanTask], standing: Collection[str] = ()
) -> ListWritten:
    """Create a plan and its file from a list.

    Args:
        standing: Keys of which the list also says where they stand.

    Raises:
        BadInput: The list cannot be a plan.
        Conflict: The file exists.
        StoreError: The file or its folder cannot be made.
    """
    check_list(tasks)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {path.parent}: {error.strerror}", hint="choose another folder") from None
    called = name or "plan"
    stands = [task_picture(task if task.key in standing else replace(task, status="pending")) for task in tasks]
    picture = Picture(called, called, created_at=ledger.clock.now(), tasks=tuple(stands))
    draft = RunDraft("plan", called, called, tuple(map(draft_of, tasks)))
    run = ledger.attachments.create(draft, path, PLAN_JSON.name, picture)
    return ListWritten(run, added=[task.key for task in tasks])
