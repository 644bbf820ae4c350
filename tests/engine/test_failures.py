"""What is kept of a failure that somebody tells: its message for the task, its stack for whoever looks closer."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasktrail.engine.claims import claim_next, end_claim
from tasktrail.engine.failures import told_failure
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import attempts_of, find_task, history
from tasktrail.engine.plan_lists import write_list
from tasktrail.engine.plans import mark_task, read_plan
from tasktrail.engine.task_views import details
from tasktrail.engine.undo import of_event, undo
from tasktrail.engine.verification import verify
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import PlanTask
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock, FixedIds

SECRET = "hunter2-" + "Tr0ub4dor"
TRACEBACK = f"""Traceback (most recent call last):
  File "shop.py", line 3, in pay
    connect(password="{SECRET}")
ConnectionError: no route to the bank
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_store(str(tmp_path / "tasks.db"))) as store:
        ledger = Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())
        write_list(ledger, "p", [PlanTask("A", "Do A")])
        yield ledger
        assert verify(store) == []


def task_of(ledger: Ledger) -> PlanTask:
    now = read_plan(ledger, "p")
    assert now is not None
    return now.tasks[0]


def raised(function: Callable[[], object]) -> str:
    try:
        function()
    except Exception:
        return traceback.format_exc()
    raise AssertionError("it did not fail")


def chained() -> None:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer\nand more") from error


def grouped() -> None:
    raise ExceptionGroup("both", [OSError("one"), ValueError("two")])


@pytest.mark.requirement("JB-059")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no room", "no room"),
        ("no room\non the disk", "no room"),
        (raised(lambda: 1 // 0), "ZeroDivisionError: integer division or modulo by zero"),
        (raised(chained), "ValueError: outer"),
        (raised(grouped), "ExceptionGroup: both (2 sub-exceptions)"),
        (f"the log says:\r\n{TRACEBACK}\r\nand then it ended", "ConnectionError: no route to the bank"),
        ("Traceback (most recent call last):\n  File", "Traceback (most recent call last):"),
        (raised(lambda: compile("x = (", "f.py", "exec")), "SyntaxError: '(' was never closed"),
    ],
)
def test_the_message_is_what_a_traceback_ends_with_else_the_first_line(text: str, message: str):
    told = told_failure(text, "failed")

    assert told is not None
    assert told.message == message
    assert told.stack == (text.strip() if "\n" in text else None)


def test_nothing_told_is_no_failure_and_what_does_not_fail_has_none():
    assert told_failure(" \n", "completed") is None
    with pytest.raises(BadInput, match="failed"):
        told_failure("x", "completed")


@pytest.mark.requirement("JB-059")
def test_a_failed_attempt_keeps_the_scrubbed_stack_and_the_task_its_message(ledger: Ledger):
    claim = claim_next(ledger, "p", owner="bob", lease_s=60).claim
    assert claim is not None

    end_claim(ledger, "p", "A", claim.token, "failed", error=TRACEBACK)

    (attempt,) = attempts_of(ledger, find_task(ledger, "A"))
    assert task_of(ledger).error == attempt.error == "ConnectionError: no route to the bank"
    assert attempt.stack == TRACEBACK.strip().replace(SECRET, "[secret]")


@pytest.mark.requirement("JB-059")
def test_a_failure_without_an_attempt_has_its_stack_in_the_history(ledger: Ledger):
    mark_task(ledger, "p", "A", "failed", error=TRACEBACK)

    stack = TRACEBACK.strip().replace(SECRET, "[secret]")
    found = find_task(ledger, "A")
    (event,) = [one for one in history(ledger, found).events if one.verb == "fail"]
    assert event.changes["stack"] == [None, stack]
    assert details(ledger, found).stack == stack
    assert (task_of(ledger).error, attempts_of(ledger, found)) == ("ConnectionError: no route to the bank", [])

    undo(ledger, of_event(event.seq))
    assert (task_of(ledger).status, task_of(ledger).error) == ("pending", None)
    assert details(ledger, found).stack is None


@pytest.mark.requirement("JB-030", "JB-059")
def test_a_task_that_failed_without_a_word_takes_the_error_that_comes_later_and_keeps_another_as_a_note(
    ledger: Ledger,
):
    mark_task(ledger, "p", "A", "failed")

    for error, kept in [(TRACEBACK, ()), (TRACEBACK, ()), ("another", ("error",))]:
        assert mark_task(ledger, "p", "A", "failed", error=error).notes == kept

    assert task_of(ledger).error == "ConnectionError: no route to the bank"
    assert [note.text for note in task_of(ledger).notes] == ["another"]
    stack = details(ledger, find_task(ledger, "A")).stack
    assert stack is not None
    assert stack.startswith("Traceback")
