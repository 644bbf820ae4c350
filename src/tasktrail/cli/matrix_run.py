"""`matrix run`: executes a group here, with progress and Ctrl-C as any run, or leaves it to workers."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasktrail.cli import errors
from tasktrail.cli.documents import emit, run_record
from tasktrail.cli.execute import Order, Prepared, Stage
from tasktrail.cli.matrix_text import lines_of
from tasktrail.cli.session import Session, tell
from tasktrail.engine.capture import captured
from tasktrail.engine.matrix_run import Part, execute_matrix, pool_matrix
from tasktrail.tracker.views import table_of

if TYPE_CHECKING:
    from tasktrail.tracker.backend import TrackerBackend

_ROWS: int = 100


def run_here(session: Session, tracker: TrackerBackend, group: str, part: Part, folder: Path | None) -> int:
    """Execute a group as far as it goes, show where it then stands, and return the exit code."""
    session.log()
    ledger, run = tracker.opened(group)
    stage = Stage(session, ledger, Order(waits=False), sys.stderr)
    work = partial(
        execute_matrix,
        ledger,
        run,
        folder=folder,
        max_parallel=session.config.run_max_parallel,
        types=part.types,
        items=part.items,
        limit=part.limit,
        watch=stage.watch,
    )
    with captured(stage.say):
        interrupted = stage.execute(Prepared(ledger, run, work))
    table = table_of(tracker, group, _ROWS, None)
    if session.json:
        emit("run@1", run_record(table.run))
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines_of(table, session.width, session.ink()))
    if interrupted:
        tell("interrupted")
        return errors.INTERRUPTED
    return errors.RUN_FAILED if table.counts["failed"] else errors.OK


def pool(session: Session, tracker: TrackerBackend, group: str, part: Part, folder: Path | None) -> int:
    """Leave a group to workers."""
    ledger, run = tracker.opened(group)
    run = pool_matrix(ledger, run, folder, part)
    if session.json:
        emit("run@1", run_record(run))
    else:
        sys.stdout.write(f"{run.name}\n")
    tell("workers execute it: tasktrail worker")
    return errors.OK
