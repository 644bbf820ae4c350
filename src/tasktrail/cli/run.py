"""`run dag`: execute a DAG, show where its run stands, retry it. Source: document 003, TASK-161FE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tasktrail.cli.arguments import ACCEPT_CHANGES, OUTPUT_DIR, PARAMS, RUN, SessionCommand
from tasktrail.cli.session import Group, Session


@click.group("run", cls=Group)
def run_command() -> None:
    """Execute something, or look at its run."""


@run_command.command("dag", cls=SessionCommand)
@click.argument("target", required=False)
@click.option("--status", "status_of", metavar="RUN", type=RUN, help="Show where a run stands; -v: in detail.")
@click.option("--retry", "retried", metavar="RUN", type=RUN, help="Execute what failed, and what waited for it.")
@click.option("--from", "from_step", metavar="STEP", help="With --retry: do STEP again and all that comes after it.")
@click.option("--run-id", metavar="ID", help="The run to create, or to go on with.")
@PARAMS
@click.option("--no-wait", is_flag=True, help="Do not wait for steps that a person must complete.")
@ACCEPT_CHANGES
@click.option("--pooled", is_flag=True, help="Begin a run that workers execute, and follow it.")
@OUTPUT_DIR
@click.pass_context
def dag_command(
    context: click.Context,
    session: Session,
    target: str | None,
    status_of: str | None,
    retried: str | None,
    from_step: str | None,
    run_id: str | None,
    params: Sequence[str],
    no_wait: bool,
    accept_changes: bool,
    pooled: bool,
    output_dir: Path | None,
) -> int:
    """Execute a DAG, and show where its run then stands.

    TARGET is a workflow file, or says where a runner is: MODULE:ATTRIBUTE or path/to/file.py:ATTRIBUTE. The
    attribute is a StatefulDAGRunner, another runner, or a function that returns one. A run that was interrupted
    or killed goes on when it is executed again: nothing that is finished is repeated.

    How many steps a ParallelStatefulDAGRunner executes at once: --max-parallel, else what its code says, else the
    setting run.max_parallel.

    \b
    tasktrail run dag flow.yaml --param day=2026-11-21
    tasktrail run dag flow:runner --run-id nightly
    tasktrail run dag --status nightly
    tasktrail run dag --retry nightly
    tasktrail run dag --retry nightly --from load
    """
    given = [name for name, value in (("TARGET", target), ("--status", status_of), ("--retry", retried)) if value]
    if len(given) != 1:
        raise click.UsageError(f"give one of TARGET, --status and --retry, got: {', '.join(given) or 'none'}", context)
    if run_id is not None and target is None:
        raise click.UsageError(f"--run-id goes with TARGET; {given[0]} names its run", context)
    if from_step is not None and not retried:
        raise click.UsageError("--from goes with --retry", context)
    if status_of:
        return _status(session, status_of)
    if retried:
        return _retry(session, retried, from_step, output_dir, waits=not no_wait, accepts=accept_changes)
    if pooled:
        from tasktrail.cli.worker import begin_pooled

        return begin_pooled(session, str(target), run_id, params, waits=not no_wait)
    asked = _Asked(str(target), run_id, params, not no_wait, accept_changes)
    return _execute(session, asked, output_dir)


@dataclass(frozen=True, slots=True)
class _Asked:
    target: str
    run_id: str | None
    params: Sequence[str]
    waits: bool
    accepts: bool


def _status(session: Session, reference: str) -> int:
    from tasktrail.cli import status
    from tasktrail.engine.lookup import find_run

    ledger = session.ledger()
    status.show(session, ledger, find_run(ledger, reference, "dag"))
    return 0


def _retry(
    session: Session, reference: str, from_step: str | None, output_dir: Path | None, *, waits: bool, accepts: bool
) -> int:
    from tasktrail.cli.steering import retry, retry_from

    if from_step is not None:
        return retry_from(session, reference, from_step, output_dir, waits=waits, accepts=accepts)
    return retry(session, reference, output_dir, waits=waits, accepts=accepts)


def _execute(session: Session, asked: _Asked, output_dir: Path | None) -> int:
    from tasktrail.cli.targets import parse

    parsed = parse(asked.target, Path.cwd())
    from tasktrail.cli.execute import Order, execute

    order = Order(parsed, asked.run_id, output_dir, params=asked.params, waits=asked.waits, accepts=asked.accepts)
    return execute(session, order)
