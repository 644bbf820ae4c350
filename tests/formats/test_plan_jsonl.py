"""Plans as lines of JSON: nothing is lost, a change is one line, and faults have their lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from tasktrail.formats.plan_jsonl import dump, read
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Note, PlanTask
from tests.formats.plans import plans

PLAN = (
    PlanTask("T10", "Paint", needs=("T2",)),
    PlanTask("T2", "Draw", "completed", 1, result="it is red", attempts=1, completed_at=0, extra={"status": "odd"}),
    PlanTask("T1", "Buy", notes=(Note("soon", 0, "ann"),)),
)


@given(plans)
def test_what_is_written_is_read_again(plan: list[PlanTask]) -> None:
    assert read(dump(plan), "p.jsonl").tasks == tuple(plan)


def test_lines_are_in_the_natural_order_of_their_keys_and_say_their_position() -> None:
    assert dump(PLAN) == (
        '{"schema":"tasktrail/plan@1"}\n'
        '{"id":"T1","position":3,"description":"Buy","priority":3,"status":"pending","attempts":0,'
        '"notes":[{"timestamp":"1970-01-01T00:00:00.000000+00:00","note":"soon","actor":"ann"}]}\n'
        '{"id":"T2","position":2,"description":"Draw","priority":1,"status":"completed",'
        '"completed_at":"1970-01-01T00:00:00.000000+00:00","result":"it is red","attempts":1,'
        '"extra":{"status":"odd"}}\n'
        '{"id":"T10","position":1,"description":"Paint","priority":3,"dependencies":["T2"],"status":"pending",'
        '"attempts":0}\n'
    )
    assert read(dump(PLAN), "p.jsonl").tasks == PLAN


def test_a_change_of_a_task_is_a_change_of_its_line() -> None:
    changed = dump([PLAN[0], replace(PLAN[1], title="Draw it"), PLAN[2]]).splitlines()

    assert [old == new for old, new in zip(dump(PLAN).splitlines(), changed, strict=True)] == [True, True, False, True]


def test_lines_of_two_branches_that_take_the_same_position_keep_their_order() -> None:
    both = dump(PLAN[:1]) + '{"id":"B","position":1,"description":"b"}\n{"id":"A","description":"last"}\n'

    assert [task.key for task in read(both, "p.jsonl").tasks] == ["T10", "B", "A"]


def test_all_that_is_wrong_is_named_with_its_line() -> None:
    text = '{"schema":"tasktrail/plan@2"}\n{"id":"A","position":"x"}\n{"id":\n\n{"id":"A","extra":[]}\n{"priority":1}\n'
    with pytest.raises(BadInput) as error:
        read(text, "p.jsonl")

    assert error.value.details == (
        'p.jsonl:1:11: expected schema to be tasktrail/plan@1, the version that is known here, got: "tasktrail/plan@2"',
        'p.jsonl:2:22: expected position to be a whole number that fits 64 bits, got: "x"',
        "p.jsonl:3:7: the text ends too early: expected value",
        "p.jsonl:5:7: expected each task once, got: A again",
        "p.jsonl:5:19: expected extra to be an object, got: []",
        "p.jsonl:6:1: expected id to be given",
    )
