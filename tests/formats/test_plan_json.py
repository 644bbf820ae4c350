"""The format of task breakdowns: what they say, and what an edit does to them."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.formats.picture import MAX_TASKS
from tasktrail.formats.plan_json import Breakdown, dump, load, places, write
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.task import STATUSES

T0 = 1_761_954_364_000_000  # 2025-10-31T23:46:04Z
SECOND = 1_000_000

DOCUMENT = """\
{
  "generated_at": "2025-10-31T23:46:04",
  "total_tasks": 6,
  "tasks": [
    {
      "id": "T1",
      "description": "Implement authentication module",
      "module": "auth-service",
      "priority": 1,
      "dependencies": [],
      "estimated_complexity": "medium",
      "status": "completed",
      "started_at": "2025-10-31T23:46:10",
      "completed_at": "2025-10-31T23:46:45",
      "result": "Created auth module with JWT support",
      "attempts": 1,
      "notes": [
        {
          "timestamp": "2025-10-31T23:46:10",
          "note": "Starting implementation"
        },
        {
          "timestamp": "2025-10-31T23:46:45",
          "note": "All tests passing"
        }
      ]
    }
  ]
}
"""
AUTH = PlanTask(
    "T1", "Implement authentication module", "completed", 1,
    result="Created auth module with JWT support", attempts=1,
    started_at=T0 + 6 * SECOND, completed_at=T0 + 41 * SECOND,
    notes=(Note("Starting implementation", T0 + 6 * SECOND), Note("All tests passing", T0 + 41 * SECOND)),
    extra={"module": "auth-service", "estimated_complexity": "medium"},
)  # fmt: skip

NEW_TEXT = """\
{
  "generated_at": "2025-10-31T23:46:04.000000+00:00",
  "total_tasks": 2,
  "tasks": [
    {
      "id": "T1",
      "description": "Setup DB",
      "module": "db",
      "priority": 1,
      "dependencies": [],
      "estimated_complexity": "low",
      "status": "pending",
      "started_at": null,
      "completed_at": null,
      "result": null,
      "attempts": 0,
      "notes": []
    },
    {
      "id": "T2",
      "description": "Create models",
      "priority": 2,
      "dependencies": [
        "T1"
      ],
      "status": "failed",
      "started_at": "2025-10-31T23:46:05.000000+00:00",
      "completed_at": "2025-10-31T23:46:06.000000+00:00",
      "result": null,
      "attempts": 1,
      "notes": [
        {
          "timestamp": "2025-10-31T23:46:05.000000+00:00",
          "note": "go",
          "actor": "ann"
        }
      ],
      "status_updated_at": "2025-10-31T23:46:06.000000+00:00",
      "error": "no such table",
      "history": [
        {
          "timestamp": "2025-10-31T23:46:05.000000+00:00",
          "from": "pending",
          "to": "in_progress",
          "actor": "ann"
        }
      ]
    }
  ]
}
"""
NEW = Breakdown(
    (
        PlanTask("T1", "Setup DB", priority=1, extra={"estimated_complexity": "low", "module": "db"}),
        PlanTask(
            "T2", "Create models", "failed", 2, ("T1",), error="no such table", attempts=1,
            started_at=T0 + SECOND, completed_at=T0 + 2 * SECOND, status_updated_at=T0 + 2 * SECOND,
            notes=(Note("go", T0 + SECOND, "ann"),),
            history=(Move(T0 + SECOND, "pending", "in_progress", "ann"),),
        ),
    ),
    T0,
)  # fmt: skip

HAND_MADE = """\
{ "goal" : 1.0,
\t"tasks" : [
\t\t{"id" : "T1", "description" : "Setup \\u0044B", "x" : [1,2], "started_at" : "2025-10-31 23:46"},

\t\t{ "description" : "Create models", "id" : "T2", "status" : "in_progress" , "dependencies" : null }
\t]
}"""


def said(*tasks: object, **members: object) -> Breakdown:
    return load(json.dumps({"tasks": tasks, **members}), "x.json")


def said_task(**members: object) -> PlanTask:
    return said({"id": "T1", **members}).tasks[0]


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        load(text, "x.json")
    return str(caught.value)


def with_task(breakdown: Breakdown, key: str, **values: Any) -> Breakdown:
    return replace(
        breakdown, tasks=tuple(replace(task, **values) if task.key == key else task for task in breakdown.tasks)
    )


def changed_lines(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


# ------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.requirement("JB-001", "JB-002", "JB-004", "JB-005", "JB-006", "JB-007", "JB-008", "JB-066")
def test_the_file_of_document_000_is_read_with_naive_times_as_utc():
    breakdown = load(DOCUMENT, "x.json")

    assert breakdown == Breakdown((AUTH,), T0)
    assert breakdown.total_tasks == 6


@pytest.mark.requirement("JB-013", "JB-039")
def test_tasks_and_ids_are_enough_and_a_missing_status_is_pending():
    assert said({"id": "T1"}) == Breakdown((PlanTask("T1", ""),))
    assert said() == Breakdown()


def test_null_is_read_as_missing_where_we_have_a_word():
    names = ["description", "status", "priority", "dependencies", "result", "attempts", "notes", "history", "error"]

    assert said_task(**dict.fromkeys(names)) == PlanTask("T1", "")
    assert said_task(module=None).extra == {"module": None}


@pytest.mark.requirement("JB-003", "JB-040")
def test_the_seven_statuses_are_read_and_no_other():
    assert [said_task(status=status).status for status in STATUSES] == list(STATUSES)
    assert refused(json.dumps({"tasks": [{"id": "T1", "status": "Done"}]})) == (
        "x.json:1:35: expected tasks[0].status to be one of pending, in_progress, completed, failed, blocked, skipped, "
        'cancelled, got: "Done"'
    )


@pytest.mark.requirement("JB-066")
@pytest.mark.parametrize(
    "word", ["2025-10-31T23:46:04", "2025-11-01T00:46:04+01:00", "2025-10-31T23:46:04Z", "2025-10-31 23:46:04.000"]
)
def test_times_are_read_naive_and_with_an_offset(word: str):
    assert said_task(started_at=word).started_at == T0


def test_needs_are_read_as_written_whatever_they_name():
    breakdown = said({"id": "T1", "dependencies": ["T1", "T9", "T9"]}, {"id": "T2", "dependencies": ["T1"]})

    assert [task.needs for task in breakdown.tasks] == [("T1", "T9", "T9"), ("T1",)]


@pytest.mark.requirement("JB-040")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.json:1:1: the text ends too early: expected value"),
        ('{"tasks": [', "x.json:1:12: the text ends too early: expected value"),
        ("[]", "x.json:1:1: expected the document to be an object, got: []"),
        ("{}", "x.json:1:1: expected tasks to be given"),
        ('{\n "tasks": {}}', "x.json:2:11: expected tasks to be a list, got: {}"),
        ('{"tasks": ["T1"]}', 'x.json:1:12: expected tasks[0] to be an object, got: "T1"'),
        ('{"tasks": [{}]}', "x.json:1:12: expected tasks[0].id to be given"),
        ('{"tasks": [{"id": 1}]}', "x.json:1:19: expected tasks[0].id to be text, got: 1"),
        (
            '{"total_tasks": "6", "tasks": []}',
            'x.json:1:17: expected total_tasks to be a whole number from 0 to 2147483647, got: "6"',
        ),
        ('{"tasks": [], "tasks": []}', 'x.json:1:15: expected each key once, got: "tasks" again'),
    ],
)
def test_what_is_no_breakdown_is_refused_with_its_place(text: str, message: str):
    assert refused(text) == message


@pytest.mark.requirement("JB-014")
def test_an_id_that_comes_twice_is_refused_where_it_comes_again():
    text = '{"tasks": [\n{"id": "T1"},\n{"id": "T1"}]}'

    assert refused(text) == 'x.json:3:8: expected each id once, got: "T1" again'


@pytest.mark.requirement("JB-014", "JB-040")
def test_all_faults_are_said_at_once():
    text = """\
{"generated_at": "yesterday", "tasks": [
{"id": " T1", "description": ["a"], "priority": "soon"},
{"id": "T2", "dependencies": "T1", "attempts": -1, "result": 7},
{"id": "T3", "dependencies": ["T2", 1], "notes": ["a", {"timestamp": 5}]},
{"id": "T4", "history": [{"from": "new", "timestamp": "2025-10-31"}]}]}"""

    head, *lines = refused(text).splitlines()

    assert head == "x.json cannot be read as a task breakdown: 13 faults"
    assert [line.removeprefix("  - x.json:").partition(", got")[0] for line in lines] == [
        "1:18: expected generated_at to be an ISO 8601 time like 2025-05-19T10:00:00Z",
        "2:8: expected an id to be 1-200 printable characters without a blank at either end",
        "2:30: expected tasks[0].description to be text",
        "2:49: expected tasks[0].priority to be a whole number or one of CRITICAL, HIGH, MEDIUM, LOW",
        "3:30: expected tasks[1].dependencies to be a list",
        "3:48: expected tasks[1].attempts to be a whole number from 0 to 2147483647",
        "3:62: expected tasks[1].result to be text",
        "4:37: expected tasks[2].dependencies[1] to be text",
        "4:51: expected tasks[2].notes[0] to be an object",
        "4:56: expected tasks[2].notes[1].note to be given",
        "4:70: expected tasks[2].notes[1].timestamp to be an ISO 8601 time like 2025-05-19T10:00:00Z",
        "5:26: expected tasks[3].history[0].to to be given",
        "5:35: expected tasks[3].history[0].from to be one of pending, in_progress, completed, "
        "failed, blocked, skipped, cancelled",
    ]


def test_of_many_faults_the_first_twenty_are_named():
    lines = refused(json.dumps({"tasks": [{"id": number} for number in range(21)]})).splitlines()

    assert lines[0] == "x.json cannot be read as a task breakdown: 21 faults"
    assert len(lines) == 21
    assert lines[-1].endswith("expected tasks[19].id to be text, got: 19")


def test_a_breakdown_of_too_many_tasks_is_refused():
    text = json.dumps({"tasks": [{"id": str(number)} for number in range(MAX_TASKS + 1)]})

    assert refused(text) == "x.json:1:11: expected tasks to be at most 20,000, got: 20,001"


def test_the_places_of_tasks_are_found_for_messages():
    assert places(HAND_MADE, load(HAND_MADE, "x.json"), ["T2", "T1"], "x.json") == {
        "T2": "x.json:5:3",
        "T1": "x.json:3:3",
    }


# ------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.requirement("JB-001", "JB-002", "JB-009", "JB-063", "JB-066")
def test_a_new_file_is_as_in_document_000_with_utc_times():
    assert dump(NEW) == NEW_TEXT == write(None, NEW)
    assert load(NEW_TEXT, "x.json") == NEW


def test_what_says_the_same_is_the_very_same_text():
    for text in (DOCUMENT, NEW_TEXT, HAND_MADE):
        assert write(text, load(text, "x.json")) is text


@pytest.mark.requirement("JB-002", "JB-008")
def test_a_mark_changes_the_lines_of_its_task_only():
    now = T0 + 60 * SECOND
    again = with_task(
        load(DOCUMENT, "x.json"), "T1", status="pending", completed_at=None, status_updated_at=now,
        notes=(*AUTH.notes, Note("Reset", now)), history=(Move(now, "completed", "pending"),),
    )  # fmt: skip

    text = write(DOCUMENT, again)

    assert load(text, "x.json") == again
    assert changed_lines(DOCUMENT, text) == [
        '-      "status": "completed",',
        '+      "status": "pending",',
        '-      "completed_at": "2025-10-31T23:46:45",',
        '+      "completed_at": null,',
        "+        },",
        "+        {",
        '+          "timestamp": "2025-10-31T23:47:04.000000+00:00",',
        '+          "note": "Reset"',
        "+        }",
        "+      ],",
        '+      "status_updated_at": "2025-10-31T23:47:04.000000+00:00",',
        '+      "history": [',
        "+        {",
        '+          "timestamp": "2025-10-31T23:47:04.000000+00:00",',
        '+          "from": "completed",',
        '+          "to": "pending"',
    ]


def test_an_edit_of_a_hand_made_file_keeps_its_spelling_and_adds_nothing_it_need_not():
    done = with_task(load(HAND_MADE, "x.json"), "T2", status="completed", result="ok", completed_at=T0)

    assert write(HAND_MADE, done) == HAND_MADE.replace('"in_progress" , "dependencies" : null }', (
        '"completed" , "dependencies" : null, "completed_at" : "2025-10-31T23:46:04.000000+00:00", "result" : "ok" }'
    ))  # fmt: skip


def test_times_that_the_file_leaves_out_are_written_once_the_status_moves_only():
    text = '{"tasks": [{"id": "T1", "status": "completed"}]}'
    stored = with_task(load(text, "x.json"), "T1", created_at=T0, completed_at=T0, status_updated_at=T0)

    assert write(text, stored) is text
    assert json.loads(write(text, with_task(stored, "T1", status="failed")))["tasks"][0] == {
        "id": "T1", "status": "failed",
        "completed_at": "2025-10-31T23:46:04.000000+00:00", "status_updated_at": "2025-10-31T23:46:04.000000+00:00",
    }  # fmt: skip


def test_tasks_come_and_go_and_the_count_with_them_where_there_is_one():
    third = PlanTask("T3", "Deploy", needs=("T2",))
    text = write(NEW_TEXT, replace(NEW, tasks=(NEW.tasks[1], third)))

    assert load(text, "x.json").tasks == (NEW.tasks[1], third)
    assert json.loads(text)["total_tasks"] == 2
    assert json.loads(write(NEW_TEXT, replace(NEW, tasks=(*NEW.tasks, third))))["total_tasks"] == 3
    assert "total_tasks" not in write('{"tasks": []}', NEW)


def test_another_order_is_written_and_members_of_others_stay():
    text = write(HAND_MADE, replace(load(HAND_MADE, "x.json"), tasks=tuple(reversed(load(HAND_MADE, "x.json").tasks))))

    assert load(text, "x.json") == replace(load(HAND_MADE, "x.json"), tasks=load(HAND_MADE, "x.json").tasks[::-1])


def test_notes_are_those_that_are_said_and_the_others_keep_their_place_and_spelling():
    text = write(NEW_TEXT, with_task(NEW, "T1", notes=(Note("one", T0), Note("two", T0), Note("one", T0))))
    text = text.replace('"one"', '"\\u006fne"')

    fewer = write(text, with_task(NEW, "T1", notes=(Note("two", T0), Note("one", T0), Note("new", T0))))

    assert [note.text for note in load(fewer, "x.json").tasks[0].notes] == ["one", "two", "new"]
    assert fewer.count('"\\u006fne"') == 1
    assert write(fewer, with_task(NEW, "T1", notes=load(fewer, "x.json").tasks[0].notes)) is fewer


def test_what_is_said_need_not_be_read_again():
    was = load(NEW_TEXT, "x.json")
    new = with_task(was, "T1", title="Setup")

    assert write(NEW_TEXT, new, said=was) == write(NEW_TEXT, new) == NEW_TEXT.replace("Setup DB", "Setup")


@pytest.mark.parametrize(
    ("breakdown", "message"),
    [
        (Breakdown((PlanTask("", "a"),)), "expected an id to be 1-200 printable characters"),
        (Breakdown((PlanTask("T1", "a"), PlanTask("T1", "b"))), "f.json: task T1 is given 2 times"),
        (Breakdown((PlanTask("T1", "a", extra={"status": 1}),)), "task T1 has a further member status"),
        (Breakdown(extra={"tasks": 1}), "the breakdown has a further member tasks"),
        (Breakdown((PlanTask("T1", "a", extra={"x": float("nan")}),)), "expected a JSON value"),
        (Breakdown((PlanTask("T1", "a"),) * (MAX_TASKS + 1)), "f.json: expected at most 20,000 tasks, got: 20,001"),
    ],
)
def test_what_could_not_be_read_is_not_written(breakdown: Breakdown, message: str):
    for text in (None, '{"tasks": []}'):
        with pytest.raises(BadInput) as caught:
            write(text, breakdown, "f.json")
        assert message in str(caught.value)


# ---------------------------------------------------------------------------------------------------------- properties

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEYS = st.text("abT1 é🎉", min_size=1, max_size=3).filter(lambda key: key == key.strip(" "))
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
)
STATUS = st.sampled_from(STATUSES)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
EXTRA = st.dictionaries(st.sampled_from(["module", "estimated_complexity", "ü", "n", ""]), VALUES, max_size=3)
TASKS = st.builds(
    PlanTask, key=KEYS, title=TEXTS, status=STATUS, priority=st.integers(-(2**63) + 1, 2**63 - 1),
    needs=st.lists(TEXTS, max_size=3).map(tuple),
    result=st.none() | TEXTS, error=st.none() | TEXTS, reason=st.none() | TEXTS, attempts=st.integers(0, 9),
    created_at=st.none() | MOMENTS, updated_at=st.none() | MOMENTS, started_at=st.none() | MOMENTS,
    completed_at=st.none() | MOMENTS, status_updated_at=st.none() | MOMENTS,
    notes=st.lists(st.builds(Note, TEXTS, st.none() | MOMENTS, st.none() | TEXTS), max_size=3).map(tuple),
    history=st.lists(st.builds(Move, MOMENTS, STATUS, STATUS, st.none() | TEXTS), max_size=3).map(tuple),
    extra=EXTRA,
)  # fmt: skip
BREAKDOWNS = st.builds(
    Breakdown,
    tasks=st.lists(TASKS, max_size=4, unique_by=lambda task: task.key).map(tuple),
    generated_at=st.none() | MOMENTS,
    extra=EXTRA,
)


@given(BREAKDOWNS)
def test_what_is_dumped_is_loaded_and_needs_no_edit(breakdown: Breakdown):
    text = dump(breakdown)

    assert load(text, "x.json") == breakdown
    assert write(text, breakdown) is text


@given(BREAKDOWNS, BREAKDOWNS)
def test_an_edited_text_says_the_new_and_editing_it_again_changes_nothing(old: Breakdown, new: Breakdown):
    text = write(dump(old), new)

    loaded = {task.key: task for task in load(text, "x.json").tasks}
    before = {task.key: task for task in old.tasks}
    assert loaded.keys() == {task.key for task in new.tasks}
    for task in new.tasks:
        now, was = loaded[task.key], before.get(task.key, task)
        assert (now.title, now.status, now.priority, now.needs) == (task.title, task.status, task.priority, task.needs)
        assert (now.result, now.error, now.reason) == (task.result, task.error, task.reason)
        assert now.extra == task.extra
        assert Counter(now.notes) == Counter(task.notes)
        assert now.history[: len(was.history)] == was.history
    assert write(text, new) is text


@given(BREAKDOWNS, st.sampled_from([None, 1, 4, "\t"]), st.booleans(), st.data())
def test_an_edit_of_one_task_leaves_the_bytes_of_all_others(
    breakdown: Breakdown, indent: Any, ascii_only: bool, data: st.DataObject
):
    document = json.loads(dump(breakdown))
    document["unknown"] = {"n": 1.0}
    for task in document["tasks"]:
        task["unknown"] = [1, 2]
        if task["status"] == "pending":
            del task["status"]
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    at = data.draw(st.integers(0, len(breakdown.tasks))) - 1
    was = load(text, "x.json")
    if at < 0:
        assert write(text, was) is text
        return
    after = replace(data.draw(TASKS), key=was.tasks[at].key)
    after = replace(after, extra={**after.extra, "unknown": [1, 2]})
    new = replace(was, tasks=(*was.tasks[:at], after, *was.tasks[at + 1 :]))

    edited = write(text, new)

    start, end = task_span(text, at)
    grown = len(edited) - len(text)
    assert edited[:start] == text[:start]
    assert edited[end + grown :] == text[end:]
    assert json.loads(edited)["tasks"][at]["unknown"] == [1, 2]


def task_span(text: str, at: int) -> tuple[int, int]:
    """Return where a task of the list starts and ends, by a way of its own."""
    start = text.index("[", text.index('"tasks"')) + 1
    while True:
        start = text.index("{", start)
        _, end = json.JSONDecoder().raw_decode(text, start)
        if at == 0:
            return start, end
        at, start = at - 1, end
