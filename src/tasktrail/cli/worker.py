"""`worker` executes steps of pooled runs; `list-workers` shows who does."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli.arguments import Seconds, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import columns, local, plain
from tasktrail.formats.moment import iso_utc as utc
from tasktrail.model.errors import BadInput

if TYPE_CHECKING:
    from tasktrail.cli.execute import Order
    from tasktrail.engine.ledger import Ledger
    from tasktrail.engine.plan import Plan
    from tasktrail.engine.worker import PoolWorker
    from tasktrail.engine.workers import WorkerView
    from tasktrail.engine.workflow_files import WorkflowFile
    from tasktrail.model.run import Run

_HEADER: Final = ("WORKER", "NAME", "HOST", "PID", "STATE", "TASKS", "QUEUES", "LABELS", "STARTED")
_COLORS: Final[Mapping[str, str]] = {"alive": "green", "dead": "red", "stopped": "dim"}


@click.command("worker", cls=SessionCommand)
@click.option(
    "--queue", "queues", multiple=True, metavar="Q", help="A queue to serve; more than once. [default: default]"
)
@click.option("--label", "labels", multiple=True, metavar="L", help="Something that this worker offers, like gpu.")
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=8, show_default=True, help="Tasks at the same time."
)
@click.option(
    "--grace",
    type=Seconds(0),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds that running tasks have to finish when told to stop.",
)
@click.option(
    "--lease",
    type=Seconds(1),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds of silence after which others take this worker for dead, though its process is there.",
)
@click.option("--drain", is_flag=True, help="End once nothing of the queues is unfinished.")
def worker_command(
    session: Session,
    queues: Sequence[str],
    labels: Sequence[str],
    concurrency: int,
    grace: float,
    lease: float,
    drain: bool,
) -> int:
    """Execute steps of pooled runs, beside other workers, on this machine or others.

    Runs are begun with `run dag FILE --pooled`. A worker takes the steps whose code it has: start it in the project,
    or with -C. SIGTERM and Ctrl-C: it takes nothing more, finishes what runs or gives it back, and ends with 0. What a
    worker that died had in progress is taken up by another within a second.

    \b
    tasktrail worker
    tasktrail worker --queue gpu --label gpu --concurrency 2
    """
    from tasktrail.engine.pooling import Share
    from tasktrail.engine.worker import PoolWorker
    from tasktrail.engine.workflows import DEFAULT_QUEUE

    ledger = session.ledger(create=True)
    session.log()
    share = Share(
        list(dict.fromkeys(queues)) or [DEFAULT_QUEUE],
        [*dict.fromkeys(labels), f"host:{socket.gethostname()}"],
        concurrency,
    )
    worker = PoolWorker(
        ledger, share, lambda run: _opened(session, ledger, run), drain=drain, grace_s=grace, lease_s=lease
    )
    tell(f"serving {', '.join(share.queues)} with up to {concurrency} tasks at the same time")
    asyncio.run(_serve(worker))
    tell("stopped")
    return 0


async def _serve(worker: PoolWorker) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        worker.stop()
        tell("stopping: nothing more is taken, what runs may finish")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await worker.serve()


def _opened(session: Session, ledger: Ledger, run: Run) -> Plan:
    """Return what this machine has of a run's code.

    Raises:
        BadInput: It has none.
    """
    from tasktrail.engine.matrix_run import MatrixRun
    from tasktrail.engine.workflow_run import WorkflowRun

    if run.kind == "matrix":
        return MatrixRun.pooled(ledger, run, session.config.store.root / (run.target or "")).plan()
    if run.definition_id is None or run.target is None:
        raise BadInput(f"run {run.name} has no workflow file, so its code cannot be found")
    folder = (session.config.store.root / run.target).parent
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder} here, where its workflow file lies")
    return WorkflowRun.pooled(ledger, run, folder).plan()


def begin_pooled(session: Session, text: str, run_id: str | None, params: Sequence[str], *, waits: bool) -> int:
    """Begin a run that workers execute; follow it to its end, or return at once."""
    from tasktrail.cli.execute import Order
    from tasktrail.cli.params import typed
    from tasktrail.cli.targets import parse
    from tasktrail.engine import workflows
    from tasktrail.engine.ownership import is_pooled
    from tasktrail.engine.workflow_files import WorkflowFile

    file = parse(text, Path.cwd())
    if not isinstance(file, WorkflowFile):
        raise BadInput("--pooled goes with a workflow file: workers find the code of its steps by name")
    file.locate()
    known = workflows.find(session.ledger(), run_id) if run_id is not None else None
    if known is not None:
        if not is_pooled(session.ledger().store, known):
            words = f"run {known.name} is not pooled: it was begun to be executed by one process"
            raise BadInput(words, hint=f"tasktrail resume {known.name}; or begin one with another --run-id")
        return go_on_pooled(session, Order(file, run_id, params=params, waits=waits), file, known)
    file.check(session.ledger(), run_id, *typed(file.load(), params))
    ledger = session.ledger(create=True)
    run = file.open(ledger, run_id, store=session.config.store, accepts=False, pooled=True).run
    return _left_to_workers(session, ledger, run, waits=waits)


def go_on_pooled(session: Session, order: Order, file: WorkflowFile, run: Run) -> int:
    """Let a pooled run go on as an order says; workers execute it, and nothing is taken from them."""
    from tasktrail.cli.params import typed
    from tasktrail.engine.execution import take_up_pooled
    from tasktrail.engine.retrying import failures_of_run, retry_tasks

    if order.output_dir is not None:
        raise BadInput(f"--output-dir goes with a run that the command executes; workers execute run {run.name}")
    ledger = session.ledger()
    file.check(ledger, run.name, *typed(file.load(), order.params))
    opened = file.open(ledger, run.name, store=session.config.store, accepts=order.accepts)
    if order.from_step is not None:
        opened.take_back(order.from_step)
    if order.only:
        run = retry_tasks(ledger, failures_of_run(ledger, opened.run, order.only))
    else:
        run = take_up_pooled(ledger, opened.run)
    return _left_to_workers(session, ledger, run, waits=order.waits)


def _left_to_workers(session: Session, ledger: Ledger, run: Run, *, waits: bool) -> int:
    from tasktrail.cli.watch import follow

    tell(f"run {run.name}: workers execute it (tasktrail worker)")
    if waits:
        return follow(session, ledger, run)
    sys.stdout.write(f"{run.name}\n")
    return 0


@click.command("list-workers", cls=SessionCommand)
@click.option("--all", "everyone", is_flag=True, help="Those that stopped, and those whose death was noticed, too.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
def list_workers_command(session: Session, everyone: bool, limit: int) -> None:
    """List the processes that execute tasks, the newest first."""
    from tasktrail.engine.workers import list_workers

    found = [one for one in list_workers(session.ledger(), limit) if everyone or one.stopped_at is None]
    if session.json:
        emit("worker-list@1", [_record(one) for one in found], None)
        return
    rows = [
        (
            str(one.id), plain(one.name), plain(one.host), str(one.pid), one.state, str(one.n_tasks),
            ", ".join(one.queues) or "-", ", ".join(one.labels) or "-", local(one.started_at),
        )
        for one in found
    ]  # fmt: skip
    if rows:
        style = {
            "limit": session.width,
            "ink": session.ink(),
            "style": lambda column, cell: _COLORS.get(cell) if column == 4 else None,
        }
        sys.stdout.writelines(f"{line}\n" for line in columns(_HEADER, rows, **style))  # type: ignore[arg-type]
    else:
        tell("no workers; to start one: tasktrail worker")


def _record(one: WorkerView) -> dict[str, object]:
    return {
        "id": one.id, "name": one.name, "host": one.host, "pid": one.pid, "state": one.state,
        "tasks": one.n_tasks, "queues": one.queues, "labels": one.labels,
        "started_at": utc(one.started_at), "stopped_at": utc(one.stopped_at),
    }  # fmt: skip
