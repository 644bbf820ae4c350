"""The state machine: the whole table written out, every route, and what each verb does to a task."""

from __future__ import annotations

import doctest
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import lifecycle
from tasktrail.model.errors import BadInput, UnmetNeed, WrongState
from tasktrail.model.lifecycle import (
    RULES,
    VERBS,
    Ask,
    Change,
    Failure,
    Verb,
    allowed,
    decide,
    fresh_budget,
    refusal,
    route,
)
from tasktrail.model.task import FIELDS, FINAL, STATUSES, Status, Task

NOW = 1_000

# Rows: what is asked. Columns: where the task stands. Cells: where it leads; a dot is refused.
TABLE = """
          pending      in_progress  completed    failed       blocked      skipped      cancelled
start     in_progress  .            .            .            .            .            .
complete  completed    completed    .            completed    completed    .            .
fail      failed       failed       .            .            failed       .            .
retry     .            pending      .            pending      .            .            .
release   .            pending      .            .            .            .            .
lapse     .            pending      .            .            .            .            .
restart   .            in_progress  .            .            .            .            .
block     blocked      blocked      .            .            .            .            .
unblock   .            .            .            .            pending      .            .
skip      skipped      skipped      .            skipped      skipped      .            .
cancel    cancelled    cancelled    .            cancelled    cancelled    .            .
reopen    .            .            pending      .            .            pending      pending
adopt     failed       failed       failed       failed       failed       failed       failed
undo      failed       failed       failed       failed       failed       failed       failed
"""

# Rows: from. Columns: to. Cells: the verbs, one after another; a dot is no move.
ROUTES = """
             pending  in_progress    completed        failed        blocked        skipped        cancelled
pending      .        start          complete         fail          block          skip           cancel
in_progress  release  restart        complete         fail          block          skip           cancel
completed    reopen   reopen+start   .                reopen+fail   reopen+block   reopen+skip    reopen+cancel
failed       retry    retry+start    complete         .             retry+block    skip           cancel
blocked      unblock  unblock+start  complete         fail          .              skip           cancel
skipped      reopen   reopen+start   reopen+complete  reopen+fail   reopen+block   .              reopen+cancel
cancelled    reopen   reopen+start   reopen+complete  reopen+fail   reopen+block   reopen+skip    .
"""


def cells(table: str) -> list[tuple[str, str, str]]:
    head, *lines = table.strip().splitlines()
    rows = [(line.split()[0], line.split()[1:]) for line in lines]
    return [(name, column, cell) for name, found in rows for column, cell in zip(head.split(), found, strict=True)]


def a_task(status: Status = "pending", **values: Any) -> Task:
    """A task as the ledger could have left it: a running one has an open attempt, a final one its time."""
    running = status == "in_progress"
    known: dict[str, Any] = dict.fromkeys(FIELDS)
    known.update(id=7, run_id=1, key="T1", item="", map_index=-1, position=1, version=1, unmet=0, dead_needs=0)
    known.update(priority=3, critical=1, tries=0, losses=0, max_retries=3, created_at=1, status=status)
    known.update(attempts=int(running), fence=int(running), open_attempt=1 if running else None)
    known.update(started_at=10 if running else None, completed_at=20 if status in FINAL else None)
    return Task(**{**known, **values})


def ask(verb: str, **values: Any) -> Ask:
    """Adopt needs a target; here it is failed, which no other verb reaches from everywhere."""
    return Ask(verb, **{**({"target": "failed"} if verb in ("adopt", "undo") else {}), **values})  # type: ignore[arg-type]


def after(task: Task, verb: str, **values: Any) -> Task:
    return decide(task, ask(verb, **values), NOW).after


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(lifecycle).failed == 0


# ---------------------------------------------------------------------------------------------------------- the tables


@pytest.mark.requirement("BL-042")
@pytest.mark.parametrize(("verb", "status", "target"), cells(TABLE))
def test_each_cell_of_the_table(verb: Verb, status: Status, target: str) -> None:
    if target == ".":
        with pytest.raises(WrongState, match=f"task T1 is {status}; {verb} needs "):
            decide(a_task(status), ask(verb), NOW)
    else:
        assert decide(a_task(status), ask(verb), NOW).status == target


def test_the_tables_are_whole() -> None:
    assert {(verb, status) for verb, status, _ in cells(TABLE)} == set(product(VERBS, STATUSES))
    assert {(was, now) for was, now, _ in cells(ROUTES)} == set(product(STATUSES, STATUSES))
    assert set(RULES) == set(VERBS)


@pytest.mark.parametrize(("was", "now", "verbs"), cells(ROUTES))
def test_each_route(was: Status, now: Status, verbs: str) -> None:
    assert route(was, now) == (() if verbs == "." else tuple(verbs.split("+")))


@pytest.mark.parametrize(("was", "now"), list(product(STATUSES, STATUSES)))
def test_every_route_can_be_walked(was: Status, now: Status) -> None:
    task = a_task(was)
    for verb in route(was, now):
        task = after(task, verb)
    assert task.status == now


@pytest.mark.parametrize(
    ("status", "verbs"),
    [
        ("pending", "start complete fail block skip cancel"),
        ("in_progress", "complete fail retry release restart block skip cancel"),
        ("completed", "reopen"),
        ("failed", "complete retry skip cancel"),
        ("blocked", "complete fail unblock skip cancel"),
        ("skipped", "reopen"),
        ("cancelled", "reopen"),
    ],
)
def test_a_person_may_ask_for_what_the_table_allows_except_what_only_the_engine_does(
    status: Status, verbs: str
) -> None:
    assert allowed(status) == tuple(verbs.split())


@pytest.mark.requirement("BL-042")
def test_a_refusal_says_what_stands_what_was_needed_and_what_to_type() -> None:
    error = refusal(a_task("completed"), "start")

    assert str(error) == "task T1 is completed; start needs pending"
    assert error.hint == "possible now: reopen"
    assert error.code == "wrong_state"


def test_adopt_needs_to_be_told_where() -> None:
    with pytest.raises(BadInput, match="expected adopt to name a status"):
        decide(a_task(), Ask("adopt"), NOW)


# ------------------------------------------------------------------------------------------------- starts and attempts


def test_a_start_is_counted_and_moves_the_fence() -> None:
    change = decide(a_task(attempts=2, fence=5), Ask("start", worker_id=3, lease_token="t", lease_until=99), NOW)

    assert (change.opens, change.closes) == (True, None)
    assert {name: value for name, value in change.values.items() if value is not None} == {
        "attempts": 3, "fence": 6, "open_attempt": 3, "started_at": NOW, "worker_id": 3, "lease_token": "t",
        "lease_until": 99,
    }  # fmt: skip


def test_a_start_is_refused_while_needs_are_unmet_unless_forced() -> None:
    with pytest.raises(UnmetNeed, match="task T1 waits for 2 of its needs"):
        decide(a_task(unmet=2), Ask("start"), NOW)

    assert after(a_task(unmet=2), "start", force=True).status == "in_progress"


def test_a_restart_supersedes_the_open_attempt() -> None:
    change = decide(a_task("in_progress"), Ask("restart"), NOW)

    assert (change.closes, change.opens, change.after.open_attempt, change.after.fence) == ("superseded", True, 2, 2)


def test_started_at_is_set_once() -> None:
    task = after(a_task(), "start")
    for verb in ("retry", "start", "complete", "reopen", "start"):
        task = decide(task, ask(verb), NOW + 500).after
    assert task.started_at == NOW
    assert task.attempts == 3


@pytest.mark.parametrize(
    ("verb", "outcome"),
    [
        ("complete", "ok"), ("fail", "error"), ("retry", "error"), ("release", "released"), ("block", "released"),
        ("lapse", "lost"), ("skip", "cancelled"), ("cancel", "cancelled"), ("adopt", "cancelled"),
        ("undo", "cancelled"),
    ],
)  # fmt: skip
def test_how_each_verb_ends_the_open_attempt(verb: Verb, outcome: str) -> None:
    change = decide(a_task("in_progress", lease_token="t", worker_id=4, lease_until=9), ask(verb), NOW)

    assert (change.closes, change.opens) == (outcome, False)
    lease = (change.after.open_attempt, change.after.worker_id, change.after.lease_token, change.after.lease_until)
    assert lease == (None, None, None, None)


def test_a_direct_completion_ends_no_attempt() -> None:
    change = decide(a_task(), Ask("complete", output="1"), NOW)

    assert (change.closes, change.after.attempts, change.after.output, change.after.started_at) == (None, 0, "1", None)


@pytest.mark.parametrize(
    ("verb", "fence"), [("cancel", 2), ("skip", 2), ("adopt", 2), ("undo", 2), ("complete", 1), ("retry", 1)]
)
def test_taking_a_running_task_away_voids_its_holders_answer(verb: Verb, fence: int) -> None:
    assert after(a_task("in_progress"), verb).fence == fence


# ------------------------------------------------------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("verb", "values", "tries", "losses", "last"),
    [
        ("retry", {}, 2, 1, "error"),
        ("retry", {"outcome": "timeout"}, 2, 1, "timeout"),
        ("retry", {"outcome": "lost"}, 1, 2, "lost"),
        ("fail", {}, 2, 1, "error"),
        ("fail", {"outcome": "lost"}, 1, 2, "lost"),
        ("lapse", {}, 1, 2, "lost"),
        ("release", {}, 1, 1, "released"),
        ("complete", {}, 1, 1, "ok"),
        ("cancel", {}, 1, 1, None),
        ("block", {}, 1, 1, None),
    ],
)
def test_what_counts_as_a_try_and_what_as_a_loss(
    verb: Verb, values: dict[str, Any], tries: int, losses: int, last: str | None
) -> None:
    task = after(a_task("in_progress", tries=1, losses=1), verb, **values)

    assert (task.tries, task.losses, task.last_outcome) == (tries, losses, last)


@pytest.mark.parametrize(("status", "verb"), [("failed", "retry"), ("completed", "reopen"), ("cancelled", "reopen")])
def test_a_fresh_budget_begins(status: Status, verb: Verb) -> None:
    task = after(a_task(status, tries=4, losses=2, last_outcome="error", attempts=6), verb)

    assert (task.tries, task.losses, task.last_outcome, task.attempts) == (0, 0, None, 6)


def test_a_direct_failure_of_a_task_that_never_ran_uses_no_try() -> None:
    assert after(a_task(), "fail").tries == 0


def test_fresh_budget_is_an_edit_that_only_clears_what_was_used() -> None:
    change = fresh_budget(a_task(tries=2, last_outcome="error", not_before=99), NOW)

    assert change is not None
    assert (change.verb, change.status) == ("edit", "pending")
    assert dict(change.values) == {"tries": 0, "last_outcome": None, "not_before": None}
    assert fresh_budget(a_task(), NOW) is None


def test_a_retry_keeps_the_time_before_which_it_must_not_start_until_it_starts() -> None:
    waiting = after(a_task("in_progress"), "retry", not_before=5_000)

    assert (waiting.not_before, waiting.retrying) == (5_000, True)
    assert after(waiting, "start").not_before is None


# ----------------------------------------------------------------------------------------------------------- the rest


def test_a_failure_is_kept_until_the_next_move() -> None:
    failed = after(a_task("in_progress"), "fail", failure=Failure("OSError", "no space", "Traceback"), reason="gave up")

    assert (failed.error_type, failed.error, failed.reason) == ("OSError", "no space", "gave up")
    again = after(failed, "retry")
    assert (again.error_type, again.error, again.reason) == (None, None, None)


def test_adopt_takes_values_over_as_they_are() -> None:
    task = after(a_task("in_progress"), "adopt", target="completed", values={"completed_at": 55, "output": '"x"'})

    assert (task.status, task.completed_at, task.output) == ("completed", 55, '"x"')


def test_undo_brings_values_back_but_no_lease_and_takes_no_start_back() -> None:
    held = a_task("in_progress", lease_token="t", lease_until=9)

    undone = after(held, "undo", target="pending", values={"started_at": None})
    assert (undone.status, undone.started_at, undone.attempts, undone.fence) == ("pending", None, 1, 2)
    assert (undone.lease_token, undone.open_attempt) == (None, None)
    assert after(a_task("completed", summary="ok"), "undo", target="in_progress").status == "pending"
    assert after(undone, "undo", target="failed", values={"completed_at": 20}).completed_at == 20


@given(
    status=st.sampled_from(STATUSES),
    verbs=st.lists(st.sampled_from(VERBS), max_size=12),
    target=st.sampled_from(STATUSES),
)
def test_whatever_is_asked_the_rows_own_rules_hold(status: Status, verbs: list[Verb], target: Status) -> None:
    """The CHECKs of the schema, and what only ever grows."""
    task = a_task(status)
    for verb in verbs:
        try:
            change = decide(task, ask(verb, target=target) if verb in ("adopt", "undo") else ask(verb), NOW)
        except WrongState:
            continue
        new = change.after
        assert (new.completed_at is not None) == (new.status in FINAL)
        assert new.open_attempt is None or (new.status == "in_progress" and new.open_attempt == new.attempts)
        assert new.version == task.version + 1
        assert new.attempts - task.attempts == change.opens
        assert new.fence >= task.fence
        assert change.closes is None or task.open_attempt is not None
        task = new


def test_moved_leaves_everything_else_as_it_was() -> None:
    task = a_task("in_progress", queue="gpu", retry="{}")
    moved = Change(task, "pending", NOW, {"fence": 9}).after

    assert moved == task._replace(status="pending", version=2, fence=9)
    assert set(moved._fields) == set(FIELDS)
