"""Plans as CSV: nothing is lost on the way there and back, and what people write by hand is understood or refused."""

from __future__ import annotations

import pytest
from hypothesis import given

from tasktrail.formats.imports.plan_csv import COLUMNS, dump, dump_for_spreadsheets, read
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Note, PlanTask
from tests.formats.plans import plans


@given(plans)
def test_what_is_written_is_read_again(plan: list[PlanTask]) -> None:
    assert read(dump(plan), "p.csv").tasks == tuple(plan)


def test_a_plan_as_csv_can_be_read_by_people() -> None:
    plan = [
        PlanTask("T1", 'Say "hello"', "completed", 1, result="done, twice", completed_at=0),
        PlanTask("T2", "Go", needs=("T0", "T1"), extra={"module": "shop"}),
    ]

    assert dump(plan) == (
        ",".join(COLUMNS) + "\n"
        'T1,"Say ""hello""",completed,1,,"done, twice",,,0,,,,1970-01-01T00:00:00.000000+00:00,,,,\n'
        'T2,Go,pending,3,T0;T1,,,,0,,,,,,,,"{""module"":""shop""}"\n'
    )


def test_a_table_written_by_hand_is_enough_with_two_columns() -> None:
    text = "\ufeffid,description,dependencies,priority,Owner\r\nT1,Draw,,high,ann\r\n\r\nT2,Paint,T1; T0,,\r\n"

    assert read(text, "p.csv").tasks == (
        PlanTask("T1", "Draw", priority=2, extra={"Owner": "ann"}),
        PlanTask("T2", "Paint", needs=("T1", "T0")),
    )


def test_no_cell_for_a_spreadsheet_begins_like_a_formula() -> None:
    plan = [PlanTask("-x", '=HYPERLINK("u")', priority=-1, needs=("+a",), result="@b", notes=(Note("=1"),))]

    assert dump_for_spreadsheets(plan).splitlines()[1].startswith('\'-x,"\'=HYPERLINK(""u"")",pending,-1,\'+a,\'@b,,')
    assert dump(plan).splitlines()[1].startswith('-x,"=HYPERLINK(""u"")",pending,-1,+a,@b,,')


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
