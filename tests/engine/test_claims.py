"""Claims on tasks of a plan, on every database: one agent has a task, and a silent one loses it to the next claim."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tasktrail.engine.claims import Claim, claim_next, claim_task, end_claim, renew_claim
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import write_list
from tasktrail.engine.plans import add_note, mark_task, next_task, read_plan
from tasktrail.engine.verification import verify
from tasktrail.model.errors import BadInput, Held, LeaseLost, UnmetNeed
from tasktrail.model.plan import PlanTask
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock, FixedIds

SECRET = "hunter2-" + "Tr0ub4dor"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    """A plan of B, which needs A; whatever a test did to it, its history must fold to its rows."""
    with ExitStack() as stack:
        url = str(tmp_path / "tasks.db")
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("server").schema())
        store = stack.enter_context(closing(open_store(url)))
        ledger = Ledger(store, actor="ann", clock=clock, ids=FixedIds())
        write_list(ledger, "p", [PlanTask("A", "Do A"), PlanTask("B", "Do B", needs=("A",))])
        yield ledger
        assert verify(store) == []


def claim(ledger: Ledger, owner: str = "bob", lease_s: float = 60) -> Claim:
    found = claim_next(ledger, "p", owner=owner, lease_s=lease_s).claim
    assert found is not None
    return found


def let_run_out(ledger: Ledger, held: Claim) -> None:
    """Let a lease be over, whatever clock the store goes by."""

    def work(tx):
        run = tx.runs("runs_by_name", name="p", kind="plan")[0]
        task = tx.task("task_by_key", key=held.task.key, run_id=run.id, item="", map_index=-1)
        assert tx.row("renew_claim", id=task.id, was=task.lease_token, token=task.lease_token, until=0)

    ledger.store.write(work)


def task_of(ledger: Ledger, key: str) -> PlanTask:
    now = read_plan(ledger, "p")
    assert now is not None
    return next(task for task in now.tasks if task.key == key)


def late_events(ledger: Ledger) -> list[tuple[object, object]]:
    def work(tx):
        run = tx.runs("runs_by_name", name="p", kind="plan")[0]
        return [
            (row[7], row[8]) for row in tx.rows("events_of_run", run_id=run.id, after=0, limit=99) if row[3] == "late"
        ]

    return ledger.store.read(work)


def test_a_claimed_task_is_nobody_elses_and_its_token_completes_it(ledger: Ledger) -> None:
    held = claim(ledger)

    assert (held.task.key, held.task.status, held.task.attempts) == ("A", "in_progress", 1)
    assert claim_next(ledger, "p", owner="eve", lease_s=60).claim is None
    with pytest.raises(Held):
        mark_task(ledger, "p", "A", "completed")
    with pytest.raises(Held):
        claim_task(ledger, "p", "A", owner="eve", lease_s=60)

    end_claim(ledger, "p", "A", held.token, "completed", result="done", note="well")

    done = task_of(ledger, "A")
    assert (done.status, done.result, [note.text for note in done.notes]) == ("completed", "done", ["well"])
    assert [move.actor for move in done.history] == ["bob", "bob"]
    assert claim(ledger).task.key == "B"


@pytest.mark.parametrize("end", ["completed", "failed", "pending"])
def test_saying_the_same_end_again_changes_nothing(ledger: Ledger, end) -> None:
    held = claim(ledger)
    end_claim(ledger, "p", "A", held.token, end, result="done")
    before = task_of(ledger, "A")

    end_claim(ledger, "p", "A", held.token, end, result="other")

    assert task_of(ledger, "A") == before
    assert late_events(ledger) == []


def test_an_owners_name_is_no_token(ledger: Ledger) -> None:
    claim(ledger)

    for wrong in ("bob", "", "x.60000000.y"):
        with pytest.raises(BadInput):
            end_claim(ledger, "p", "A", wrong, "completed")
        with pytest.raises(BadInput):
            renew_claim(ledger, "p", "A", wrong)
    assert task_of(ledger, "A").status == "in_progress"


def test_a_task_that_waits_cannot_be_claimed(ledger: Ledger) -> None:
    with pytest.raises(UnmetNeed):
        claim_task(ledger, "p", "B", owner="bob", lease_s=60)
    assert claim_task(ledger, "p", "A", owner="bob", lease_s=60).task.key == "A"


def test_a_lease_that_ran_out_is_reported_and_only_the_next_claim_takes_it_over(ledger: Ledger) -> None:
    held = claim(ledger)
    let_run_out(ledger, held)

    assert [(one.key, one.owner) for one in next_task(ledger, "p").ran_out] == [("A", "bob")]
    assert task_of(ledger, "A").status == "in_progress"
    with pytest.raises(Held):
        claim_task(ledger, "p", "A", owner="eve", lease_s=60)

    taken = claim_next(ledger, "p", owner="eve", lease_s=60)

    assert (taken.taken_back, taken.claim and taken.claim.task.key) == (["A"], "A")
    assert task_of(ledger, "A").attempts == 2
    assert next_task(ledger, "p").ran_out == []


def test_a_late_answer_is_kept_once_scrubbed_and_changes_nothing(ledger: Ledger) -> None:
    held = claim(ledger)
    let_run_out(ledger, held)
    claim(ledger, "eve")
    before = task_of(ledger, "A")

    for _ in range(2):
        with pytest.raises(LeaseLost):
            end_claim(ledger, "p", "A", held.token, "completed", result=f"password={SECRET}")
    with pytest.raises(LeaseLost):
        renew_claim(ledger, "p", "A", held.token)

    assert task_of(ledger, "A") == before
    assert late_events(ledger) == [
        ('{"status": ["in_progress", "completed"], "summary": [null, "password=[secret]"]}', None)
    ]


def test_an_answer_counts_after_its_lease_ran_out_while_nobody_took_the_task(ledger: Ledger) -> None:
    held = claim(ledger)
    let_run_out(ledger, held)

    end_claim(ledger, "p", "A", held.token, "failed", error=f"password={SECRET}")

    found = task_of(ledger, "A")
    assert (found.status, found.error) == ("failed", "password=[secret]")


def test_every_call_with_the_token_renews_the_lease(ledger: Ledger) -> None:
    held = claim(ledger)
    for renew in (
        lambda: renew_claim(ledger, "p", "A", held.token),
        lambda: add_note(ledger, "p", "A", "still here", held.token),
    ):
        let_run_out(ledger, held)
        renew()
        assert next_task(ledger, "p").ran_out == []


def test_a_task_whose_claims_fall_silent_three_times_fails_for_good(ledger: Ledger) -> None:
    for _ in range(3):
        let_run_out(ledger, claim(ledger))

    assert claim_next(ledger, "p", owner="eve", lease_s=60).claim is None
    found = task_of(ledger, "A")
    assert (found.status, found.error, found.attempts) == ("failed", "its lease ran out before an answer came", 3)


def test_a_task_taken_out_of_the_plan_keeps_the_answer_of_its_claim(ledger: Ledger) -> None:
    held = claim(ledger)
    write_list(ledger, "p", [PlanTask("B", "Do B")])

    with pytest.raises(LeaseLost):
        end_claim(ledger, "p", "A", held.token, "completed", result="done")

    assert len(late_events(ledger)) == 1


@pytest.mark.parametrize("lease_s", [0, -1, 10**9, float("nan")])
def test_a_lease_that_makes_no_sense_is_refused(ledger: Ledger, lease_s: float) -> None:
    with pytest.raises(BadInput):
        claim_next(ledger, "p", owner="bob", lease_s=lease_s)
    assert task_of(ledger, "A").attempts == 0


# ------------------------------------------------------------------------------------------- the machine's own clocks


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_leases_go_by_the_boot_clock_whatever_the_wall_clock_says(ledger: Ledger, clock: FakeClock) -> None:
    claim(ledger, lease_s=60)

    clock.set_wall(clock.now() + 10**12)
    assert next_task(ledger, "p").ran_out == []
    clock.advance(59)
    assert next_task(ledger, "p").ran_out == []
    clock.advance(1)
    assert len(next_task(ledger, "p").ran_out) == 1


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_a_lease_ends_with_the_boot_of_the_machine(ledger: Ledger, clock: FakeClock) -> None:
    held = claim(ledger, lease_s=60)

    clock.reboot()

    assert len(next_task(ledger, "p").ran_out) == 1
    end_claim(ledger, "p", "A", held.token, "completed")
    assert task_of(ledger, "A").status == "completed"


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_a_lease_renewed_after_a_restart_of_the_machine_holds_on_the_clock_of_that_boot(
    ledger: Ledger, clock: FakeClock
) -> None:
    held = claim(ledger, lease_s=60)
    clock.reboot()

    renew_claim(ledger, "p", "A", held.token)

    assert claim_next(ledger, "p", owner="eve", lease_s=60).taken_back == []
    clock.advance(59)
    assert next_task(ledger, "p").ran_out == []
    clock.advance(1)
    assert [one.key for one in next_task(ledger, "p").ran_out] == ["A"]
    end_claim(ledger, "p", "A", held.token, "completed")
    assert task_of(ledger, "A").status == "completed"
