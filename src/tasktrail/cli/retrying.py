"""`retry`: failed steps again, of one run, alone, or of all runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from tasktrail.cli import errors, steering
from tasktrail.cli.arguments import ACCEPT_CHANGES, OUTPUT_DIR, TASK, SessionCommand, since_of
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.status import SCRIPT_WORDS
from tasktrail.cli.text import columns, counted, plain
from tasktrail.config import SETTINGS
from tasktrail.engine.lookup import find, find_run, owners, task_reference
from tasktrail.engine.ownership import is_pooled
from tasktrail.engine.retrying import Failures, all_failures, failures_of_run, retry_tasks
from tasktrail.model.errors import WrongState
from tasktrail.model.run import STOPPING_KINDS, Run

_HEADER: Final = ("RUN", "WORKFLOW", "FAILED STEPS")
_STEPS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Bulk:
    """What was said of a retry of all runs."""

    since: str | None
    workflow: str | None
    dry_run: bool
    execute: bool
    accepts: bool

    @property
    def given(self) -> list[str]:
        """The options that only such a retry takes."""
        named = {"--since": self.since, "--workflow": self.workflow, "--dry-run": self.dry_run, "--run": self.execute}
        return [name for name, value in named.items() if value]


@click.command("retry", cls=SessionCommand)
@click.argument("reference", metavar="[RUN | REF]", required=False, type=TASK)
@click.option("--from", "from_step", metavar="STEP", help="Do STEP again and all that comes after it.")
@click.option("--only", metavar="STEP", multiple=True, help="This step alone; may be given again.")
@click.option("--all-failed", is_flag=True, help="What failed in all runs that were not cancelled.")
@click.option("--since", metavar="WHEN", help="With --all-failed: what failed since 2h, 3d or 2026-11-20.")
@click.option("--workflow", metavar="NAME", help="With --all-failed: in runs of this workflow (the dag_id).")
@click.option("--dry-run", is_flag=True, help="With --all-failed: only say which.")
@click.option("--run", "execute", is_flag=True, help="With --all-failed: execute the runs, one after another.")
@click.option("--force", is_flag=True, help="With a task of a plan: also when somebody has claimed it; recorded.")
@ACCEPT_CHANGES
@click.option("--no-wait", is_flag=True, help="Do not wait for steps that a person must complete.")
@OUTPUT_DIR
def retry_command(
    session: Session,
    reference: str | None,
    from_step: str | None,
    only: tuple[str, ...],
    all_failed: bool,
    force: bool,
    accept_changes: bool,
    no_wait: bool,
    output_dir: Path | None,
    **bulk: Any,
) -> int:
    """Do failed steps again, each with a fresh budget of tries.

    Of one run they are executed at once, as by `run dag --retry`: RUN means all that failed, RUN:STEP or --only one
    step alone, failed or finished; what has its old result stays, and is shown as stale. Where a process executes the
    run already, it takes them up.

    With --all-failed they are made pending, and each run goes on when it is resumed; --run does that too.

    \b
    tasktrail retry nightly
    tasktrail retry nightly:load
    tasktrail retry nightly --from load
    tasktrail retry --all-failed --since 2h --run
    """
    asked, context = _Bulk(**bulk, accepts=accept_changes), click.get_current_context()
    if all_failed == (reference is not None):
        raise click.UsageError("give one of RUN and --all-failed", context)
    if all_failed:
        if from_step or only or no_wait or output_dir:
            raise click.UsageError("--from, --only, --no-wait and --output-dir go with RUN", context)
        return _retry_all(session, asked)
    if asked.given:
        raise click.UsageError(f"{asked.given[0]} goes with --all-failed", context)
    name = _with_run(session, str(reference))
    run, colon, step = name.partition(":")
    if bool(colon) + bool(from_step) + bool(only) > 1:
        raise click.UsageError("give one of RUN:STEP, --from and --only", context)
    if from_step:
        return steering.retry_from(session, run, from_step, output_dir, waits=not no_wait, accepts=accept_changes)
    if colon and find_run(session.ledger(), run).kind not in STOPPING_KINDS:
        from tasktrail.cli.moving import Given, move_one

        move_one(session, "retry", name, Given(force=force))
        return errors.OK
    if force:
        raise click.UsageError("--force goes with a task of a plan", context)
    only = (step,) if colon else only
    return _retry_one(session, run, only, output_dir, waits=not no_wait, accepts=accept_changes)


# one run


def _with_run(session: Session, reference: str) -> str:
    """Return the reference of a task with its run, also where its key alone was given."""
    if ":" in reference:
        return reference
    found = find(session.ledger(), reference)
    return task_reference(f"{found.run.kind}/{found.run.name}", found.task) if found.task else reference


def _retry_one(
    session: Session, reference: str, only: Sequence[str], output_dir: Path | None, *, waits: bool, accepts: bool
) -> int:
    ledger = session.ledger()
    run = find_run(ledger, reference)
    if run.kind in STOPPING_KINDS and (run.id not in owners(ledger, [run]) or is_pooled(ledger.store, run)):
        return steering.retry(session, f"{run.kind}/{run.name}", output_dir, only, waits=waits, accepts=accepts)
    failures = failures_of_run(ledger, run, only)
    if not failures.tasks:
        raise WrongState(f"nothing of run {run.name} failed", hint=f"tasktrail explain {run.name}")
    after = retry_tasks(ledger, failures)
    owner = owners(ledger, [after]).get(after.id)
    if session.json:
        emit("retry-list@1", [_record(failures, after)])
        return errors.OK
    names = _names(failures)
    sys.stdout.write(f"{names} {'is' if len(failures.tasks) == 1 else 'are'} pending again\n")
    tell(f"{owner} executes run {run.name}, and takes it up within a second" if owner else f"run {run.name} is open")
    return errors.OK


# all runs


def _retry_all(session: Session, asked: _Bulk) -> int:
    ledger = session.ledger(create=False)
    since = since_of(asked.since, ledger.clock.now()) if asked.since else None
    found = all_failures(ledger, since=since, workflow=asked.workflow)
    after = [one.run if asked.dry_run else retry_tasks(ledger, one) for one in found]
    code, execute = errors.OK, asked.execute and not asked.dry_run
    if not session.json:
        _print(session, found)
        _tell(found, after, asked)
    if execute:
        idle = [run for run in after if run.target and run.id not in owners(ledger, [run])]
        code = _execute_all(session, idle, accepts=asked.accepts)
        after = [ledger.store.read(lambda tx, run=run: tx.run(run.id)) for run in after]  # type: ignore[misc]
    if session.json:
        emit("retry-list@1", [_record(one, run) for one, run in zip(found, after, strict=True)])
    return code


def _print(session: Session, found: Sequence[Failures]) -> None:
    rows = [(one.run.name, plain(one.run.workflow), _names(one)) for one in found]
    if rows:
        lines = columns(_HEADER, rows, limit=session.width, ink=session.ink(), style=lambda *_: None)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()


def _tell(found: Sequence[Failures], after: Sequence[Run], asked: _Bulk) -> None:
    if not found:
        tell("no step stands failed" + (" of those asked for" if asked.given else ""))
        return
    n_steps = sum(len(one.tasks) for one in found)
    what = f"{counted(n_steps, 'step')} of {counted(len(found), 'run')}"
    if asked.dry_run:
        tell(f"{what} would be pending again; nothing was changed")
        return
    tell(f"{what} {'is' if n_steps == 1 else 'are'} pending again")
    if not asked.execute:
        tell(*(f"to go on: {_resume(run) or f'{SCRIPT_WORDS} {run.name}'}" for run in after))


def _names(failures: Failures) -> str:
    names = [plain(task_reference("", task)[1:]) for task in failures.tasks]
    more = f" … and {len(names) - _STEPS_SHOWN:,} more" if len(names) > _STEPS_SHOWN else ""
    return ", ".join(names[:_STEPS_SHOWN]) + more


def _resume(run: Run) -> str | None:
    return f"tasktrail resume {run.name}" if run.target else None


def _record(failures: Failures, after: Run) -> dict[str, Any]:
    return {
        "id": after.name,
        "run": after.name,
        "workflow": after.workflow,
        "status": after.status,
        "tasks": [task_reference(after.name, task) for task in failures.tasks],
        "command": _resume(after),
    }


def _execute_all(session: Session, runs: Sequence[Run], *, accepts: bool) -> int:
    """Execute each run in a process of its own: code that one of them imports must not be another's."""
    code = errors.OK
    for run in runs:
        ended = _execute_one(session, run, accepts=accepts)
        if ended == errors.INTERRUPTED:
            return ended
        code = code or (errors.RUN_FAILED if ended else errors.OK)
    return code


def _execute_one(session: Session, run: Run, *, accepts: bool) -> int:
    flags = [text for one in SETTINGS if one.name in session.flags for text in (one.flag, session.flags[one.name])]
    accepting = ["--accept-changes"] if accepts else []
    command = [sys.executable, "-m", "tasktrail", *flags, "resume", run.name, *accepting]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL if session.json else None) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it gets the same signal, and ends as it should
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
