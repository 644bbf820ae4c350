"""`backfill`: result files of an earlier scheduler, brought into the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.errors import FAILED, OK
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import counted, plain

if TYPE_CHECKING:
    from rich.progress import Progress

    from tasktrail.executions.backfilling import BackfillCounts
    from tasktrail.executions.store import RawStore

_FOLDER: Final = click.Path(path_type=Path)
_DEFAULT: Final = Path("persona_space/tasks/results")
_MOST_NAMED: Final = 20
_MOST_TASKS: Final = 10


@click.command("backfill", cls=SessionCommand)
@click.argument("folder", metavar="[DIR]", type=_FOLDER, required=False)
@click.option("--results-dir", metavar="DIR", type=_FOLDER, help=f"The same as DIR; {_DEFAULT} when none is given.")
@click.option("--db-path", metavar="PATH", help="The store to write to; the project's own when not given.")
@click.option("--dry-run", is_flag=True, help="Count what would be created, and write nothing.")
def backfill_command(
    session: Session, folder: Path | None, results_dir: Path | None, db_path: str | None, dry_run: bool
) -> int:
    """Store what the JSON files in DIR, and in the folders below it, tell of executions.

    A file has task_id, task_name, started_at, completed_at, success, response, error and metadata. What is stored
    already, also by who executed it, is a duplicate; what has no times is skipped. Stop it at any time: the next call
    brings the rest. With -v every file that brought nothing is named.
    """
    from tasktrail.executions.backfilling import backfill, existing_folder

    if folder is not None and results_dir is not None:
        raise click.UsageError("give one of DIR and --results-dir, not both")
    folder = existing_folder(folder or results_dir or _DEFAULT)
    with _store(session, db_path, create=not dry_run) as store, _Progress(session, dry_run) as progress:
        counts = backfill(folder, store, dry_run=dry_run, watch=progress)
    if session.json:
        emit("backfill@1", _record(folder, counts, dry_run))
    else:
        _print(counts, dry_run, None if session.verbosity else _MOST_NAMED)
    return FAILED if counts.errors else OK


def _store(session: Session, db_path: str | None, *, create: bool) -> RawStore:
    from tasktrail.config import find_store
    from tasktrail.engine.project import ledger_of
    from tasktrail.executions.store import RawStore

    location = session.config.store if db_path is None else find_store(flag=db_path)
    return RawStore.of(ledger_of(location, session.config, create=create))


def _print(counts: BackfillCounts, dry_run: bool, most: int | None) -> None:
    for one in counts.unread[:most]:
        tell(f"{'error' if one.is_error else 'skipped'}: {plain(one.reason)}")
    if unnamed := len(counts.unread[most:]) if most else 0:
        tell(f"and {counted(unnamed, 'file')} more; -v names them all")
    sys.stdout.write(
        f"Found {counted(counts.found, 'task result file')}{_tasks(counts)}\n"
        f"Total: {counts.total}\nCreated: {counts.created}\nDuplicate: {counts.duplicates}\n"
        f"Skipped: {counts.skipped}\nErrors: {counts.errors}\n"
    )
    if dry_run:
        tell("nothing was written")


def _tasks(counts: BackfillCounts) -> str:
    names = [plain(name) for name in sorted(counts.tasks)]
    more = f", {len(names) - _MOST_TASKS} more" if len(names) > _MOST_TASKS else ""
    return f" ({', '.join(names[:_MOST_TASKS])}{more})" if names else ""


def _record(folder: Path, counts: BackfillCounts, dry_run: bool) -> dict[str, object]:
    return {
        "id": str(folder),
        "dry_run": dry_run,
        "found": counts.found,
        "tasks": sorted(counts.tasks),
        "total": counts.total,
        "created": counts.created,
        "duplicate": counts.duplicates,
        "skipped": counts.skipped,
        "errors": counts.errors,
        "unread": [{"file": one.file, "reason": one.reason, "error": one.is_error} for one in counts.unread],
    }


class _Progress:
    """How far it is: on a terminal a bar; whoever stops it hears what is stored."""

    def __init__(self, session: Session, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._created = 0
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not session.json:
            from rich.console import Console
            from rich.progress import Progress

            console = Console(file=sys.stderr, highlight=False, no_color=not session.colored(sys.stderr))
            self._bar = Progress(console=console, transient=True)
            self._task = self._bar.add_task("backfill", total=None)

    def __call__(self, counts: BackfillCounts) -> None:
        self._created = counts.created
        if self._bar:
            self._bar.update(self._task, completed=counts.total, total=counts.files)

    def __enter__(self) -> _Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        if kind is KeyboardInterrupt and not self._dry_run:
            tell(f"{counted(self._created, 'execution')} stored so far; the same command brings the rest")
