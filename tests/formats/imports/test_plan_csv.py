"""Plans as CSV: nothing is lost on the way there and back, and what people write by hand is understood or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.formats.imports.plan_csv import COLUMNS, dump, read
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.reference import check_key
from tasktrail.model.task import STATUSES

EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999


def _is_key(text: str) -> bool:
    try:
        return bool(check_key(text))
    except BadInput:
        return False


keys = st.text(min_size=1, max_size=12).filter(_is_key)
texts = st.text(min_size=1, max_size=20)
maybe = st.none() | texts
times = st.integers(EARLIEST, LATEST)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
tasks = st.builds(
    PlanTask,
    key=keys,
    title=texts,
    status=st.sampled_from(STATUSES),
    priority=st.integers(-(2**31) + 1, 2**31 - 1),
    needs=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    result=maybe,
    error=maybe,
    reason=maybe,
    attempts=st.integers(0, 2**31 - 1),
    created_at=st.none() | times,
    updated_at=st.none() | times,
    started_at=st.none() | times,
    completed_at=st.none() | times,
    notes=st.lists(st.builds(Note, st.text(max_size=8), st.none() | times, maybe), max_size=2).map(tuple),
    history=st.lists(
        st.builds(Move, times, st.sampled_from(STATUSES), st.sampled_from(STATUSES), maybe), max_size=2
    ).map(tuple),
    extra=st.dictionaries(st.text(max_size=8), json_values, max_size=3),
)


@given(st.lists(tasks, max_size=4, unique_by=lambda task: task.key))
def test_what_is_written_is_read_again(plan: list[PlanTask]) -> None:
    assert read(dump(plan), "p.csv").tasks == tuple(plan)


def test_a_plan_as_csv_can_be_read_by_people() -> None:
    plan = [
        PlanTask("T1", 'Say "hello"', "completed", 1, result="done, twice", completed_at=0),
        PlanTask("T2", "Go", needs=("T0", "T1"), extra={"module": "shop"}),
    ]

    assert dump(plan) == (
        ",".join(COLUMNS) + "\n"
        'T1,"Say ""hello""",completed,1,,"done, twice",,,0,,,,1970-01-01T00:00:00.000000+00:00,,,\n'
        'T2,Go,pending,3,T0;T1,,,,0,,,,,,,"{""module"":""shop""}"\n'
    )


def test_a_table_written_by_hand_is_enough_with_two_columns() -> None:
    text = "\ufeffid,description,dependencies,priority,Owner\r\nT1,Draw,,high,ann\r\n\r\nT2,Paint,T1; T0,,\r\n"

    assert read(text, "p.csv").tasks == (
        PlanTask("T1", "Draw", priority=2, extra={"Owner": "ann"}),
        PlanTask("T2", "Paint", needs=("T1", "T0")),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("key;title\na;b\n", "p.csv:1:1: expected a line of names with key and title"),
        ("key,title,key\n", "p.csv:1:11: expected each column to have a name of its own, got: 'key'"),
        ("key,title\na\n", "p.csv:2:1: expected 2 cells, got: 1"),
        ('key,title\na,"b\n', "p.csv:2:3: expected a quote around the whole cell"),
        ('key,title\n"a\nb",c\n', "p.csv:2:1: expected a key to be 1-200 printable characters"),
        ('key,title\na,"x\ny"\na,z\n', "p.csv:4:1: expected each task once, got: a again"),
        ("key,title,status\na,b,done\n", "p.csv:2:5: expected status to be one of pending"),
        ("key,title,attempts\na,b,-1\n", "p.csv:2:5: expected attempts to be a whole number from 0"),
        ("key,title,started_at\na,b,soon\n", "p.csv:2:5: expected started_at to be an ISO 8601 time"),
        ("key,title,extra\na,b,{\n", "p.csv:2:5: extra:1:2: the text ends too early"),
        ('key,title,history\na,b,"[{}]"\n', "p.csv:2:5: expected at to be given"),
        ("key,title\na,\n", "p.csv:2:3: expected title to be given"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(BadInput) as error:
        read(text, "p.csv")

    assert (error.value.details or [error.value.message])[0].startswith(fault)
