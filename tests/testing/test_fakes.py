"""The public test tools: time that tests set, identifiers that count."""

from __future__ import annotations

import asyncio
import doctest
from datetime import UTC, datetime

import pytest

import tasktrail.testing
from tasktrail.dag import DAGRunStore, StatefulDAGRunner
from tasktrail.engine.ids import Ids
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import step
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.retry import RetryPolicy
from tasktrail.store.clock import SYSTEM_CLOCK, Clock
from tasktrail.store.sqlite import SqliteStore
from tasktrail.testing import FakeClock, FixedIds, fakes, using_clock


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(fakes).failed == 0


def test_they_are_what_the_engine_takes() -> None:
    clock: Clock = FakeClock()
    ids: Ids = FixedIds(chance=0.25)

    assert clock.now() == 1_767_225_600_000_000
    assert (ids.chance(), ids.trace_id(), ids.token()) == (0.25, "0" * 31 + "1", "token-1")


def test_setting_the_wall_clock_does_not_move_the_boot_clock() -> None:
    clock = FakeClock()
    boot = clock.boot_us()
    clock.set_wall(0)
    assert (clock.now(), clock.boot_us()) == (0, boot)

    clock.advance(2)
    assert (clock.now(), clock.boot_us()) == (2_000_000, boot + 2_000_000)


def test_after_a_reboot_the_boot_clock_begins_anew_under_another_name() -> None:
    clock = FakeClock()
    name = clock.boot_id()
    clock.advance(100)
    clock.reboot()

    assert clock.boot_id() != name
    assert clock.boot_us() == FakeClock().boot_us()


@pytest.mark.requirement("BL-036")
async def test_back_off_is_waited_for_at_once() -> None:
    clock, store = FakeClock(), SqliteStore(None)
    ledger = Ledger(store, actor="tester", clock=clock, ids=FixedIds())
    policy = RetryPolicy(delay_s=10.0, jitter=0.0).to_json()
    run = ledger.create_run(RunDraft("dag", "r", "r", (TaskDraft("a", max_retries=2, retry=policy),)))

    def fail() -> None:
        raise OSError("gone")

    plan = Plan({"a": step("a", fail)})
    assert (await Runner(ledger, run.id, plan).execute()).status == "failed"

    assert sum(clock.sleeps) == pytest.approx(10 + 20)
    assert clock.now() - FakeClock().now() == 30_000_000


@pytest.mark.requirement("BL-036")
@pytest.mark.parametrize("files", [False, True])
async def test_runners_that_are_made_meanwhile_live_by_the_clock(files: bool) -> None:
    def fail() -> None:
        raise OSError("gone")

    with using_clock(FakeClock()) as clock:
        runner = StatefulDAGRunner("etl", DAGRunStore("runs") if files else None)
        runner.register_step("a", fail, max_retries=2, retry_delay=3600)
    run = await asyncio.wait_for(runner.execute(), 5)

    assert (run.status.value, sum(clock.sleeps)) == ("failed", 3 * 3600)
    assert run.end_time == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert StatefulDAGRunner("etl").ledger.clock is SYSTEM_CLOCK, "what is made afterwards lives by the machine's"


def test_what_is_public_is_there_and_nothing_else() -> None:
    assert [getattr(tasktrail.testing, name).__name__ for name in tasktrail.testing.__all__] == [
        "DocumentContract", "ExecutorContract", "FakeClock", "FixedIds", "LedgerMachine", "StoreContract",
        "TrackerContract", "using_clock",
    ]  # fmt: skip
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = tasktrail.testing.nothing
