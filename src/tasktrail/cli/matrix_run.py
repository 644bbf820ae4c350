"""`matrix run`: executes groups here, with progress and Ctrl-C as any run, or leaves them to workers."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasktrail.cli import errors
from tasktrail.cli.documents import emit
from tasktrail.cli.execute import Order, Prepared, Stage
from tasktrail.cli.matrix_text import lines_of
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import plain
from tasktrail.engine.capture import captured
from tasktrail.engine.matrix_run import Part, execute_matrix, pool_matrix
from tasktrail.json_records import run_record
from tasktrail.tracker.views import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasktrail.model.run import Run
    from tasktrail.tracker.backend import TrackerBackend

_ROWS: int = 100


def run_here(
    session: Session, tracker: TrackerBackend, groups: Sequence[str], part: Part, folder: Path | None
) -> tuple[list[Run], int]:
    """Execute groups as far as they go, one after the other, show where each then stands, and return the exit code."""
    session.log()
    runs: list[Run] = []
    code = errors.OK
    for group in groups:
        if len(groups) > 1 and not session.json:
            sys.stdout.write(f"{plain(group)}\n")
        run, ended = _run(session, tracker, group, part, folder)
        runs.append(run)
        code = max(code, ended)
        if ended == errors.INTERRUPTED:
            break
    return runs, code


def _run(session: Session, tracker: TrackerBackend, group: str, part: Part, folder: Path | None) -> tuple[Run, int]:
    ledger, run = tracker.stored(group)
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
    if not session.json:
        sys.stdout.writelines(f"{line}\n" for line in lines_of(table, session.width, session.ink()))
        sys.stdout.flush()
    if interrupted:
        tell("interrupted")
        return table.run, errors.INTERRUPTED
    return table.run, errors.RUN_FAILED if table.counts["failed"] else errors.OK


def pool(
    session: Session, tracker: TrackerBackend, groups: Sequence[str], part: Part, folder: Path | None
) -> tuple[list[Run], int]:
    """Leave groups to workers."""
    runs = []
    for group in groups:
        ledger, run = tracker.stored(group)
        runs.append(pool_matrix(ledger, run, folder, part))
        if not session.json:
            sys.stdout.write(f"{runs[-1].name}\n")
    sys.stdout.flush()
    tell("workers execute it: tasktrail worker")
    return runs, errors.OK


def emit_runs(runs: Sequence[Run], *, many: bool) -> None:
    """Print runs as JSON: a list of them where many may be."""
    records = [run_record(run) for run in runs]
    emit("run-list@1", records) if many else emit("run@1", records[0])
