"""`resume`, `pause`, `cancel`, and the retry of `run dag`: what is asked of a run that exists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tasktrail.cli.arguments import ACCEPT_CHANGES, OUTPUT_DIR, PARAMS, RUN, TASK, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.status import SCRIPT_WORDS
from tasktrail.cli.text import counted
from tasktrail.engine.lookup import check_step, find, find_run, owners
from tasktrail.engine.ownership import is_pooled
from tasktrail.engine.retrying import failures_of_run
from tasktrail.json_records import run_record
from tasktrail.model.errors import NotFound, TasktrailError, WrongState
from tasktrail.model.run import STOPPING_KINDS, Run


@click.command("resume", cls=SessionCommand)
@click.argument("reference", metavar="RUN", type=RUN)
@click.option("--no-wait", is_flag=True, help="Do not wait for steps that a person must complete.")
@ACCEPT_CHANGES
@PARAMS
@OUTPUT_DIR
def resume_command(
    session: Session,
    reference: str,
    no_wait: bool,
    accept_changes: bool,
    params: Sequence[str],
    output_dir: Path | None,
) -> int:
    """Go on with a run that was paused, interrupted, killed, cancelled, or failed; nothing finished is repeated.

    A pause is lifted. Where a process still executes the run, it goes on; else this one does. A run of a workflow
    file goes by the plan that was stored when it began; where the file, or the code of a step that is not finished,
    differs now, the command says how. A param that the file got since can be given.
    """
    ledger = session.ledger()
    run = find_run(ledger, reference)
    if run.status == "completed" and not accept_changes:
        from tasktrail.cli import status

        _check_same(session, run)
        tell(f"run {run.name} is completed; nothing is left to do")
        status.show(session, ledger, run)
        return 0
    if run.kind == "matrix" and is_pooled(ledger.store, run):
        return _leave_to_workers(session, run)
    lifts_alone = (run.id in owners(ledger, [run]) and not is_pooled(ledger.store, run)) or not _has_code(run)
    if run.paused and lifts_alone:
        _lift_pause(session, run)
        return 0
    return execute_again(session, run, output_dir, waits=not no_wait, accepts=accept_changes, params=params)


def _check_same(session: Session, run: Run) -> None:
    """Where a run is of a workflow file, that file may have got more to do."""
    if run.definition_id is not None and run.target is not None:
        from tasktrail.cli.targets import parse
        from tasktrail.engine.workflow_files import WorkflowFile, check_same

        target = parse(run.target, session.config.store.root)
        if isinstance(target, WorkflowFile):
            check_same(session.ledger(), run, target)


def _has_code(run: Run) -> bool:
    return run.kind in STOPPING_KINDS and run.target is not None


def _leave_to_workers(session: Session, run: Run) -> int:
    """Let a pooled matrix go on: what failed is tried again; workers take it up, where there are any."""
    from tasktrail.engine.execution import take_up_pooled

    ledger = session.ledger()
    if run.paused:
        ledger.unpause_run(run.id)
    after = take_up_pooled(ledger, run)
    if session.json:
        emit("run@1", run_record(after, owner=owners(ledger, [after]).get(after.id)))
        return 0
    sys.stdout.write(f"run {after.name} goes on\n")
    tell(f"run {after.name}: workers execute it (tasktrail worker)")
    return 0


def _lift_pause(session: Session, run: Run) -> None:
    ledger = session.ledger()
    after = ledger.unpause_run(run.id)
    owner = owners(ledger, [after]).get(after.id)
    if session.json:
        emit("run@1", run_record(after, owner=owner))
        return
    sys.stdout.write(f"run {after.name} is no longer paused\n")
    if owner:
        tell(f"{owner} executes it, and goes on within a second")
    elif after.kind in STOPPING_KINDS:
        tell(f"to go on: {SCRIPT_WORDS}")


def retry(
    session: Session,
    reference: str,
    output_dir: Path | None,
    only: Sequence[str] = (),
    *,
    waits: bool = True,
    accepts: bool = False,
) -> int:
    """Execute the failed steps of a run again, and what they kept from starting.

    Args:
        only: These steps alone, failed or finished; empty means all that failed.

    Raises:
        WrongState: Nothing of it failed, or one of these is not over.
    """
    run = find_run(session.ledger(), reference, "dag")
    if only:
        failures_of_run(session.ledger(), run, only)
        return execute_again(session, run, output_dir, only=only, waits=waits, accepts=accepts)
    if not run.n_failed and run.declared_status != "failed":
        again = f"tasktrail run dag --retry {run.name} --from STEP"
        hint = again if run.status == "completed" else f"tasktrail resume {run.name}"
        raise WrongState(f"run {run.name} is {run.status}; retry needs a step that failed", hint=hint)
    return execute_again(session, run, output_dir, waits=waits, accepts=accepts)


def retry_from(
    session: Session,
    reference: str,
    step: str,
    output_dir: Path | None,
    *,
    waits: bool = True,
    accepts: bool = False,
) -> int:
    """Execute a step of a run again, finished or not, and everything that comes after it or needs it.

    Raises:
        NotFound: The run has no such step.
    """
    ledger = session.ledger()
    run = find_run(ledger, reference, "dag")
    if run.kind == "matrix":
        return _take_back(session, run, step)
    check_step(ledger, run, step, "tasktrail run dag --retry {run} --from {step}")
    return execute_again(session, run, output_dir, from_step=step, waits=waits, accepts=accepts)


def _take_back(session: Session, run: Run, name: str) -> int:
    """Let a cell of a matrix, or all of a type, be done again with what needs it; whoever does that takes it up."""
    from tasktrail.engine.retrying import take_back, tasks_from

    ledger = session.ledger()
    number = len(tasks_from(ledger, run.id, name, in_order=False))
    after = take_back(ledger, run.id, name, in_order=False)
    if session.json:
        emit("run@1", run_record(after, owner=owners(ledger, [after]).get(after.id)))
    else:
        sys.stdout.write(f"{counted(number, 'task')} from {name} on: to be done again\n")
    return 0


def execute_again(
    session: Session,
    run: Run,
    output_dir: Path | None,
    *,
    from_step: str | None = None,
    only: Sequence[str] = (),
    waits: bool = True,
    accepts: bool = False,
    params: Sequence[str] = (),
) -> int:
    """Execute a run with the code that its first execution found; a pause is lifted.

    Raises:
        TasktrailError: A Python script began the run, so only that script has its code; or it has none.
        NotFound: The code is not there any more.
    """
    elsewhere = f"tasktrail run dag FILE.py:RUNNER --run-id {run.name}"
    if run.kind == "matrix":
        raise TasktrailError(
            f"run {run.name} is a matrix: no command executes it", hint=f"tasktrail explain {run.name}"
        )
    if run.kind not in STOPPING_KINDS:
        raise TasktrailError(f"run {run.name} is of kind {run.kind}: people and agents do its tasks, no code does")
    if run.target is None:
        words = f"run {run.name} was begun by a Python script, which alone has its code"
        raise TasktrailError(words, hint=f"run that script again; or: {elsewhere}")
    from tasktrail.cli.execute import Order, execute
    from tasktrail.cli.targets import parse
    from tasktrail.engine.workflow_files import WorkflowFile

    target = parse(run.target, session.config.store.root)
    try:
        target.locate()
    except NotFound as error:
        file = isinstance(target, WorkflowFile)
        hint = f"tasktrail run dag FILE.yaml --run-id {run.name}" if file else elsewhere
        raise NotFound(f"the code of run {run.name} is gone: {error.message}", hint=hint) from None
    if run.paused:
        session.ledger().unpause_run(run.id)
    order = Order(target, run.name, output_dir, from_step, only, params, waits=waits, accepts=accepts)
    return execute(session, order)


@click.command("pause", cls=SessionCommand)
@click.argument("reference", metavar="RUN", type=RUN)
@click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")
def pause_command(session: Session, reference: str, reason: str | None) -> None:
    """Let nothing new start in a run; what runs is finished and recorded. Doing it twice changes nothing."""
    ledger = session.ledger()
    after = ledger.pause_run(find_run(ledger, reference).id, reason)
    owner = owners(ledger, [after]).get(after.id)
    if session.json:
        emit("run@1", run_record(after, owner=owner))
        return
    sys.stdout.write(f"run {after.name} is paused\n")
    if owner and after.n_in_progress:
        tell(f"{owner} executes it, finishes {counted(after.n_in_progress, 'step')} and starts no other")
    tell(f"to go on: tasktrail resume {after.name}")


@click.command("cancel", cls=SessionCommand)
@click.argument("reference", metavar="RUN | REF", type=TASK)
@click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")
def cancel_command(session: Session, reference: str, reason: str | None) -> None:
    """Call a run off: what is not finished is cancelled, what runs is told to stop. Doing it twice changes nothing.

    With the reference of a step or a task it alone is called off; what needs it can then not start.
    """
    ledger = session.ledger()
    if ":" in reference or find(ledger, reference).task:
        from tasktrail.cli.moving import Given, move_one

        move_one(session, "cancel", reference, Given(reason=reason))
        return
    after = ledger.cancel_run(find_run(ledger, reference).id, reason)
    owner = owners(ledger, [after]).get(after.id)
    if session.json:
        emit("run@1", run_record(after, owner=owner))
        return
    sys.stdout.write(f"run {after.name} is cancelled: {_counted(after)}\n")
    if owner:
        tell(f"{owner} executes it and stops what runs within a second")


def _counted(run: Run) -> str:
    counts = ((run.n_cancelled, "cancelled"), (run.n_completed, "completed"), (run.n_skipped, "skipped"))
    return ", ".join(f"{number} {word}" for number, word in counts if number) or "it had no steps"
