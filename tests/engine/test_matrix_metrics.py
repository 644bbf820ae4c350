"""What was tried in matrices: successes, failures, retries and how long it took."""

from __future__ import annotations

import pytest

from tasktrail.engine.cells import CellMove
from tasktrail.engine.matrices import move_cell
from tasktrail.engine.matrix_metrics import MatrixMetrics, Metrics, metrics_of
from tasktrail.model.matrix import Cell
from tasktrail.model.run import Run
from tasktrail.model.task import Status
from tests.engine.executing import Engine
from tests.engine.matrices import sync, week


def work(anywhere: Engine, run: Run, cell: Cell, took_s: float, status: Status) -> None:
    """An attempt that takes a while."""
    move_cell(anywhere.ledger, run, cell, CellMove("in_progress"))
    anywhere.clock.advance(took_s)
    move_cell(anywhere.ledger, run, cell, CellMove(status))


def metrics(anywhere: Engine, *runs: Run) -> MatrixMetrics:
    return anywhere.ledger.store.read(lambda tx: metrics_of(tx, runs))


@pytest.mark.requirement("CN-081")
def test_metrics_tell_of_each_type_what_was_tried_and_how_long_it_took(anywhere: Engine) -> None:
    a, b = week(anywhere.ledger, "A", "P1", "P2", "P3"), week(anywhere.ledger, "B", "Q")
    work(anywhere, a, ("P1", "research"), 1, "failed")
    work(anywhere, a, ("P1", "research"), 2, "completed")
    work(anywhere, a, ("P2", "research"), 3, "completed")
    work(anywhere, a, ("P2", "content"), 9, "pending")  # given back: neither a success nor a failure
    work(anywhere, b, ("Q", "research"), 10, "completed")
    move_cell(anywhere.ledger, a, ("P3", "research"), CellMove("completed"))
    found = metrics(anywhere, a, b)
    seconds = [1_000_000 * one for one in (1, 2, 3, 10)]
    assert found.by_type["research"] == Metrics(4, 3, 1, retries=1, direct=1, durations_us=seconds)
    assert found.by_type["content"] == Metrics(attempts=1)
    research = found.by_type["research"]
    assert (research.success_rate, research.mean_us, research.total_us) == (0.75, 4_000_000, 16_000_000)
    assert (research.percentile_us(50), research.percentile_us(95)) == (2_000_000, 10_000_000)
    assert (found.all.attempts, metrics(anywhere, a).all.attempts) == (5, 4)
    content = found.by_type["content"]
    assert (content.success_rate, content.mean_us, content.percentile_us(95)) == (None, None, None)


@pytest.mark.requirement("CN-081")
def test_metrics_of_agents_go_by_whom_the_task_names_else_by_who_did_it(anywhere: Engine) -> None:
    run = week(anywhere.ledger, "A", "P1", "P2")
    work(anywhere, run, ("P1", "research"), 1, "completed")
    move_cell(anywhere.ledger, run, ("P2", "research"), CellMove("pending", details={"agent": None}))
    work(anywhere, run, ("P2", "research"), 1, "failed")
    move_cell(anywhere.ledger, run, ("P1", "content"), CellMove("completed", details={"agent": "ann"}))
    found = {agent: (one.successes, one.failures, one.direct) for agent, one in metrics(anywhere, run).by_agent.items()}
    assert found == {"ann": (0, 0, 1), "researcher": (1, 0, 0), "tester": (0, 1, 0)}


def test_what_a_removed_item_took_stays_told(anywhere: Engine) -> None:
    run = week(anywhere.ledger, "A", "P1", "P2")
    work(anywhere, run, ("P1", "research"), 4, "completed")
    sync(anywhere.ledger, run, "P2")
    assert metrics(anywhere, run).all.total_us == 4_000_000


def test_a_task_that_was_done_and_then_said_to_be_done_is_not_direct(anywhere: Engine) -> None:
    run = week(anywhere.ledger, "A", "P1")
    work(anywhere, run, ("P1", "research"), 1, "completed")
    for status in ("pending", "completed"):
        move_cell(anywhere.ledger, run, ("P1", "research"), CellMove(status))
    assert (metrics(anywhere, run).all.direct, metrics(anywhere).all) == (0, Metrics())
