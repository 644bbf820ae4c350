"""Plans that files bring along: where their tasks stand, how they got there, and what may follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tasktrail.engine.claims import claim_task, end_claim
from tasktrail.engine.exporting import FORMATS, WRITERS, Format, exported
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import history
from tasktrail.engine.plan_lists import PlanTaskEdit, edit_task, take_over
from tasktrail.engine.plans import add_note, found_task, mark_task, next_task
from tasktrail.engine.verification import verify
from tasktrail.formats.imports.detect import read
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.task import Status
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tasktrail.testing import FakeClock, FixedIds

Made = Callable[[str], Ledger]
DAY_S = 86_400
ENDINGS = {"markdown": "md"}


@pytest.fixture(params=["sqlite", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    """Make empty stores; whatever a test did to them, each history must fold to its rows."""
    with ExitStack() as stack:

        def make(actor: str) -> Ledger:
            url = str(tmp_path / f"{actor}.db")
            if request.param == "postgres":
                url = stack.enter_context(request.getfixturevalue("server").schema())
            store = stack.enter_context(closing(open_store(url)))
            stores.append(store)
            return Ledger(store, actor=actor, clock=FakeClock(), ids=FixedIds())

        stores = list[Store]()
        yield make
        assert [verify(store) for store in stores] == [[]] * len(stores)


def worked_through(ledger: Ledger, member: str) -> None:
    """Make a plan in which everything happened that can; a task has a member of this name."""
    clock = ledger.clock
    assert isinstance(clock, FakeClock)
    keys = ("T10", "done", "T2", "blocked", "skipped", "cancelled", "again", "claimed", "never")
    needs = {"T2": ("T10", "done"), "never": ("T2", "cancelled")}
    extra = {"never": {"module": "shop", "more": [1.5, None, {"a": "`b`"}]}}
    tasks = [PlanTask(key, f"Do: {key}", needs=needs.get(key, ()), extra=extra.get(key, {})) for key in keys]
    take_over(ledger, "p", tasks)
    steps: tuple[tuple[str, Status], ...] = (
        ("T10", "in_progress"), ("T10", "in_progress"), ("done", "in_progress"), ("blocked", "blocked"),
        ("skipped", "skipped"), ("again", "in_progress"), ("done", "completed"), ("cancelled", "cancelled"),
        ("T10", "failed"), ("again", "pending"), ("T10", "in_progress"), ("again", "in_progress"), ("again", "pending"),
    )  # fmt: skip
    for key, status in steps:
        clock.advance(1.5)
        mark_task(ledger, "p", key, status, note=f"now {status}", result="It works" if status == "completed" else "")
    claim = claim_task(ledger, "p", "claimed", owner="my bot: 1", lease_s=60)
    clock.advance(1)
    end_claim(ledger, "p", "claimed", claim.token, "failed", error="line one\nline two")
    add_note(ledger, "p", "T2", "- [x] look\n\n`here`")
    clock.advance(1)
    edit_task(ledger, "p", "T2", PlanTaskEdit(title="=Do it", priority=-1, extra={member: 7}))


@pytest.mark.requirement("JB-063")
@pytest.mark.parametrize("form", FORMATS)
def test_what_was_exported_is_the_same_plan_in_an_empty_store(made: Made, form: Format) -> None:
    first, second = made("ann"), made("bob")
    worked_through(first, "ident" if form == "json" else "id")
    assert isinstance(second.clock, FakeClock)
    second.clock.advance(DAY_S)
    text = WRITERS[form](exported(first, "p"))
    path = Path(f"p.{ENDINGS.get(form, form)}")
    path.write_text(text, "utf-8")

    take_over(second, "p", read(path)[1].tasks)

    assert exported(second, "p") == exported(first, "p")
    assert WRITERS[form](exported(second, "p")) == text


def test_a_plan_that_was_imported_can_be_worked_on(made: Made) -> None:
    ledger = made("bob")
    moves = (Move(5, "pending", "in_progress", "ann"), Move(7, "in_progress", "pending", "ann"))
    take_over(
        ledger,
        "p",
        [PlanTask("A", "a", attempts=3, history=moves), PlanTask("B", "b", "in_progress", attempts=2**31 - 2)],
    )

    mark_task(ledger, "p", "A", "in_progress")
    mark_task(ledger, "p", "A", "in_progress")
    mark_task(ledger, "p", "A", "completed")
    mark_task(ledger, "p", "B", "in_progress")

    first, second = exported(ledger, "p")
    assert (first.attempts, first.status, first.started_at) == (5, "completed", 5)
    assert (second.attempts, second.status) == (2**31 - 1, "in_progress")


def test_the_history_says_who_did_what_when_and_that_it_was_adopted(made: Made) -> None:
    ledger = made("bob")
    moves = (Move(5, "pending", "in_progress", "ann"), Move(9, "in_progress", "completed", "cy"))
    notes = (Note("well done", 10, "dan"), Note("so so"))
    take_over(ledger, "p", [PlanTask("A", "a", "completed", attempts=1, completed_at=8, history=moves, notes=notes)])

    events = history(ledger, found_task(ledger, "p", "A")).events

    told = sorted((one.at, one.actor, one.verb, one.to_status, one.note) for one in events)
    assert told == [
        (5, "ann", "adopt", "in_progress", "adopted from a task list"),
        (9, "cy", "adopt", "completed", "adopted from a task list"),
        (10, "dan", "note", None, "well done"),
        (ledger.clock.now(), "bob", "note", None, "so so"),
    ]
    run = found_task(ledger, "p", "A").run
    assert (run.started_at, run.status) == (5, "completed")


def test_a_history_that_does_not_lead_to_the_status_is_kept_and_the_status_counts(made: Made) -> None:
    ledger = made("bob")
    moves = (Move(9, "blocked", "completed"), Move(5, "pending", "in_progress", "ann"))
    take_over(ledger, "p", [PlanTask("A", "a", "failed", history=moves, error="it broke")])

    (task,) = exported(ledger, "p")
    assert [(move.at, move.to_status) for move in task.history[:2]] == [(5, "in_progress"), (9, "completed")]
    assert (task.status, task.error) == ("failed", "it broke")


def test_a_plan_that_exists_keeps_its_own_history_and_attempts(made: Made) -> None:
    ledger = made("bob")
    take_over(ledger, "p", [PlanTask("A", "a"), PlanTask("B", "b")])
    mark_task(ledger, "p", "A", "completed")
    before = exported(ledger, "p")[0]
    moves = (Move(5, "pending", "in_progress", "ann"), Move(7, "in_progress", "pending", "ann"))

    written = take_over(ledger, "p", [PlanTask("A", "a", attempts=4, history=moves), PlanTask("C", "c", attempts=2)])

    assert exported(ledger, "p")[0] == before
    assert exported(ledger, "p")[1].attempts == 2
    assert (written.added, written.changed, written.removed) == (["C"], [], ["B"])


def test_secrets_in_what_a_file_says_are_scrubbed(made: Made) -> None:
    ledger = made("bob")
    secret = "password=hunter2-" + "Tr0ub4dor"
    moves = (Move(5, "pending", "failed", "ann"),)
    take_over(ledger, "p", [PlanTask("A", "a", "failed", error=secret, history=moves, notes=(Note(secret, 6),))])

    (task,) = exported(ledger, "p")
    assert (task.error, task.notes[0].text) == ("password=[secret]", "password=[secret]")
    assert next_task(ledger, "p").task is None
