"""Claims and answers, without anything that executes: which answer counts, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasktrail.engine.execution import Answer, Claim, Execution
from tasktrail.engine.values import encode
from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import Held
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction
from tests.engine.executing import Engine


class Picking:
    """An execution of a run of one step `a`, which it claims whenever it can."""

    def __init__(self, engine: Engine) -> None:
        self.run_id = engine.new(TaskDraft("a"))
        self.execution = Execution(engine.ledger, self.run_id)

    def begin(self) -> Claim:
        """Own the run and claim the step."""
        return self.execution.begin(["a"], self._pick).claims[0]

    def hand_in(self, *answers: Answer) -> tuple[Sequence[Claim], list[int]]:
        """Return what was claimed thereby, and the attempts whose answers came too late."""
        turn = self.execution.advance(answers, self._pick)
        return turn.claims, [task.attempts for task in turn.late]

    def _pick(self, tx: Transaction) -> list[Task]:
        return [task for task in tx.tasks("tasks_of_run", run_id=self.run_id) if task.status == "pending"]


def good(claim: Claim, value: str) -> Answer:
    """Return the answer of an attempt that ended well."""
    payload = encode(value, "the result")
    return Answer(claim, Ask("complete", output=payload.column), payload)


def timed_out(claim: Claim) -> Answer:
    """Return the answer that is given for an attempt whose time is up, to be tried again at once."""
    return Answer(claim, Ask("retry", failure=Failure("TimeoutError", "too slow"), outcome="timeout"))


def late_attempts(engine: Engine, run_id: int) -> list[object]:
    """Return the attempts whose answers are late events of the history."""
    return [row[6] for row in engine.rows("fold_events", run_id=run_id) if row[3] == "late"]


@pytest.fixture
def picking(engine: Engine) -> Picking:
    """An execution that has not begun."""
    return Picking(engine)


def test_an_answer_counts_once(engine: Engine, picking: Picking) -> None:
    claim = picking.begin()

    assert picking.hand_in(good(claim, "first"))[1] == []
    assert picking.hand_in(good(claim, "second"))[1] == [1]
    assert engine.task(picking.run_id, "a").output == '"first"'


def test_an_answer_of_an_attempt_before_is_late(engine: Engine, picking: Picking) -> None:
    first = picking.begin()
    (second,), late = picking.hand_in(timed_out(first))

    assert (second.task.attempts, late) == (2, [])
    assert picking.hand_in(good(first, "of the first"))[1] == [1]
    assert picking.hand_in(good(second, "of the second"))[1] == []
    assert engine.task(picking.run_id, "a").output == '"of the second"'
    assert late_attempts(engine, picking.run_id) == [1]


@pytest.mark.parametrize("late_first", [True, False])
def test_a_late_answer_that_comes_together_with_the_good_one_is_kept_too(
    engine: Engine, picking: Picking, late_first: bool
) -> None:
    first = picking.begin()
    (second,), _ = picking.hand_in(timed_out(first))
    answers = [good(first, "of the first"), good(second, "of the second")]

    _, late = picking.hand_in(*(answers if late_first else answers[::-1]))

    assert engine.task(picking.run_id, "a").output == '"of the second"'
    assert late == [1]
    assert late_attempts(engine, picking.run_id) == [1]


def test_an_answer_after_the_run_was_cancelled_is_late_and_changes_nothing(engine: Engine, picking: Picking) -> None:
    claim = picking.begin()
    engine.ledger.cancel_run(picking.run_id)

    assert picking.hand_in(good(claim, "too late"))[1] == [1]
    assert (engine.task(picking.run_id, "a").status, engine.task(picking.run_id, "a").output) == ("cancelled", None)


def test_whoever_no_longer_owns_the_run_claims_nothing(engine: Engine, picking: Picking) -> None:
    claim = picking.begin()
    engine.ledger.store.write(lambda tx: tx.set_run(picking.run_id, owner_token="somebody else's"))

    claims, late = picking.hand_in(timed_out(claim))

    assert (list(claims), late) == ([], [])
    assert engine.task(picking.run_id, "a").status == "pending"


def test_of_two_executions_of_a_run_the_second_is_told_and_the_first_keeps_its_claim(
    engine: Engine, picking: Picking
) -> None:
    claim = picking.begin()
    other = Execution(engine.ledger, picking.run_id)

    with pytest.raises(Held, match="is being executed by process"):
        other.begin(["a"], lambda tx: [])

    assert picking.hand_in(good(claim, "kept"))[1] == []


def test_an_execution_that_ended_owns_nothing_and_may_end_again(engine: Engine, picking: Picking) -> None:
    picking.begin()

    picking.execution.end()
    picking.execution.end()

    assert engine.run(picking.run_id).owner_token is None
