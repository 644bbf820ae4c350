"""The codec of run files: what they say, and what an edit does to them."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.formats import codec
from tasktrail.formats.moment import format_moment, parse_moment
from tasktrail.formats.picture import MAX_TASKS, Codec, Picture, TaskChange, TaskPicture, differences
from tasktrail.formats.run_json import RUN_JSON, RUN_WORDS, STEP_WORDS
from tasktrail.model.errors import BadInput
from tasktrail.model.run import RUN_FIELDS, RUN_STATUSES, Run
from tasktrail.model.task import FIELDS, STATUSES, Task

T0 = 1_747_648_800_000_000  # 2025-05-19T10:00:00Z
SECOND = 1_000_000

SAMPLE = Picture(
    "my-dag-123", "nightly", "running",
    metadata='{"owner":"CC"}', created_at=T0, updated_at=T0 + 3 * SECOND, started_at=T0 + SECOND,
    tasks=(
        TaskPicture(
            "fetch", "completed",
            {"max_retries": 3, "tries": 1, "started_at": T0 + SECOND, "completed_at": T0 + 2_500_000,
             "output": '{"rows":7}'},
        ),
        TaskPicture("load", "in_progress", {"max_retries": 2, "tries": 0, "started_at": T0 + 3 * SECOND}),
        TaskPicture("save", "pending", {"max_retries": 3, "tries": 0}),
    ),
)  # fmt: skip

SAMPLE_TEXT = """\
{
  "run_id": "my-dag-123",
  "dag_id": "nightly",
  "status": "running",
  "created_at": "2025-05-19T10:00:00.000000+00:00",
  "updated_at": "2025-05-19T10:00:03.000000+00:00",
  "start_time": "2025-05-19T10:00:01.000000+00:00",
  "end_time": null,
  "duration_seconds": null,
  "error": null,
  "metadata": {
    "owner": "CC"
  },
  "steps": {
    "fetch": {
      "step_id": "fetch",
      "status": "success",
      "start_time": "2025-05-19T10:00:01.000000+00:00",
      "end_time": "2025-05-19T10:00:02.500000+00:00",
      "duration_seconds": 1.5,
      "retry_count": 1,
      "max_retries": 3,
      "error": null,
      "result": {
        "rows": 7
      },
      "metadata": {}
    },
    "load": {
      "step_id": "load",
      "status": "running",
      "start_time": "2025-05-19T10:00:03.000000+00:00",
      "end_time": null,
      "duration_seconds": null,
      "retry_count": 0,
      "max_retries": 2,
      "error": null,
      "result": null,
      "metadata": {}
    },
    "save": {
      "step_id": "save",
      "status": "pending",
      "start_time": null,
      "end_time": null,
      "duration_seconds": null,
      "retry_count": 0,
      "max_retries": 3,
      "error": null,
      "result": null,
      "metadata": {}
    }
  }
}
"""

HAND_MADE = '{"run_id": "r1", "note": 1.0, "steps": {"a": {"status": "success", "x": [1,2]}, "b": {}}}'


def changed_lines(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def with_task(picture: Picture, key: str, **values: Any) -> Picture:
    return replace(picture, tasks=tuple(replace(t, **values) if t.key == key else t for t in picture.tasks))


def load(**members: object) -> Picture:
    return RUN_JSON.load(json.dumps({"run_id": "r1", **members}), "x.json")


def loaded_step(**members: object) -> TaskPicture:
    return load(steps={"a": members}).tasks[0]


def step_in(text: str, key: str) -> dict[str, Any]:
    step: dict[str, Any] = json.loads(text)["steps"][key]
    return step


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        RUN_JSON.load(text, "x.json")
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.requirement("BL-065")
def test_a_new_run_file_is_readable_json_with_the_keys_of_document_003():
    assert RUN_JSON.write(None, SAMPLE).text == SAMPLE_TEXT


@pytest.mark.requirement("BL-065")
def test_what_a_run_file_says_is_read_as_it_was_written():
    assert RUN_JSON.load(SAMPLE_TEXT, "x.json") == SAMPLE == RUN_JSON.write(None, SAMPLE).picture


def test_a_finished_step_changes_its_own_lines_only():
    done = with_task(
        replace(SAMPLE, updated_at=T0 + 5 * SECOND), "load", status="completed",
        values={"max_retries": 2, "tries": 0, "started_at": T0 + 3 * SECOND, "completed_at": T0 + 5 * SECOND,
                "output": "[1]"},
    )  # fmt: skip

    writing = RUN_JSON.write(SAMPLE_TEXT, done)

    assert writing.picture == done == RUN_JSON.load(writing.text, "x.json")
    assert changed_lines(SAMPLE_TEXT, writing.text) == [
        '-  "updated_at": "2025-05-19T10:00:03.000000+00:00",',
        '+  "updated_at": "2025-05-19T10:00:05.000000+00:00",',
        '-      "status": "running",',
        '+      "status": "success",',
        '-      "end_time": null,',
        '-      "duration_seconds": null,',
        '+      "end_time": "2025-05-19T10:00:05.000000+00:00",',
        '+      "duration_seconds": 2.0,',
        '-      "result": null,',
        '+      "result": [',
        "+        1",
        "+      ],",
    ]


def test_an_edit_of_a_hand_made_file_keeps_what_it_does_not_know_and_adds_nothing_it_need_not():
    picture = RUN_JSON.load(HAND_MADE, "x.json")
    stored = with_task(
        replace(picture, status="running", created_at=T0, started_at=T0), "a",
        values={"tries": 0, "max_retries": 3, "completed_at": T0},
    )  # fmt: skip
    stored = with_task(stored, "b", status="failed", values={"tries": 1, "max_retries": 3, "error": "no"})

    text = RUN_JSON.write(HAND_MADE, stored).text

    assert text == HAND_MADE.replace('"b": {}', '"b": {"status": "failed", "retry_count": 1, "error": "no"}').replace(
        "}}}", '}}, "status": "running", "start_time": "2025-05-19T10:00:00.000000+00:00"}'
    )


def test_a_step_that_is_new_or_gone_in_the_picture_is_added_or_removed():
    picture = replace(SAMPLE, tasks=(*SAMPLE.tasks[:2], TaskPicture("last", "pending", {"max_retries": 0})))

    writing = RUN_JSON.write(SAMPLE_TEXT, picture)

    assert list(json.loads(writing.text)["steps"]) == ["fetch", "load", "last"]
    assert writing.text.startswith(SAMPLE_TEXT[: SAMPLE_TEXT.index(',\n    "save"')])
    assert step_in(writing.text, "last")["max_retries"] == 0


def test_a_file_without_steps_gets_them():
    picture = Picture("r1", "r1", tasks=(TaskPicture("a", "pending"),))

    assert list(json.loads(RUN_JSON.write('{"run_id": "r1"}', picture).text)["steps"]) == ["a"]


def test_a_picture_with_too_many_tasks_is_refused():
    picture = Picture("r1", "r1", tasks=tuple(TaskPicture(str(n), "pending") for n in range(MAX_TASKS + 1)))

    with pytest.raises(BadInput, match="expected at most 20,000 steps, got: 20,001"):
        RUN_JSON.write(None, picture)


# --------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("word", STEP_WORDS)
def test_every_word_of_a_step_is_read_and_written(word: str):
    writing = RUN_JSON.write(None, load(steps={"a": {"status": word}}))

    assert step_in(writing.text, "a")["status"] == word


@pytest.mark.parametrize("word", RUN_WORDS)
def test_every_word_of_a_run_is_read_and_written(word: str):
    writing = RUN_JSON.write(None, load(status=word, steps={"a": {"status": "retry", "start_time": format_moment(T0)}}))

    assert json.loads(writing.text)["status"] == ("retry" if word == "running" else word)


@pytest.mark.parametrize(
    ("status", "last_outcome", "word"),
    [
        ("pending", None, "pending"),
        ("pending", "error", "retry"),
        ("pending", "timeout", "retry"),
        ("pending", "lost", "pending"),
        ("pending", "released", "pending"),
        ("failed", "error", "failed"),
        ("blocked", None, "pending"),
    ],
)
def test_retry_is_pending_after_an_error_of_this_budget(status: Any, last_outcome: str | None, word: str):
    task = TaskPicture("a", status, {"last_outcome": last_outcome})

    assert step_in(RUN_JSON.write(None, Picture("r", "r", "running", tasks=(task,))).text, "a")["status"] == word


def test_a_run_in_which_only_a_retry_waits_is_shown_retry_until_something_is_in_progress():
    waiting = TaskPicture("a", "pending", {"last_outcome": "error", "started_at": T0})
    picture = Picture("r", "r", "running", tasks=(waiting, TaskPicture("b", "pending")))
    busy = with_task(picture, "b", status="in_progress")

    text = RUN_JSON.write(None, picture).text
    later = RUN_JSON.write(text, busy).text

    assert [json.loads(each)["status"] for each in (text, later)] == ["retry", "running"]
    assert RUN_JSON.load(text, "x.json").status == "running"


def test_never_started_steps_of_a_run_that_is_over_are_shown_skipped_and_pending_again_once_it_goes_on():
    failed = with_task(replace(SAMPLE, status="failed"), "load", status="failed")

    over = RUN_JSON.write(SAMPLE_TEXT, failed)
    again = RUN_JSON.write(over.text, with_task(SAMPLE, "load", status="pending"))

    assert (step_in(over.text, "save")["status"], step_in(again.text, "save")["status"]) == ("skipped", "pending")
    assert json.loads(over.text)["error"] == "1 step(s) failed"
    assert json.loads(again.text)["error"] is None


@pytest.mark.parametrize(
    ("run", "step", "standing"),
    [
        ("failed", {}, "pending"),
        ("partial_success", {"max_retries": 9, "metadata": {"a": 1}}, "pending"),
        ("cancelled", {}, "pending"),
        ("failed", {"metadata": {"skip_reason": ""}}, "skipped"),
        ("failed", {"start_time": "2025-05-19T10:00:00Z"}, "skipped"),
        ("failed", {"end_time": "2025-05-19T10:00:00Z"}, "skipped"),
        ("failed", {"error": "gone"}, "skipped"),
        ("success", {}, "skipped"),
        ("running", {}, "skipped"),
        (None, {}, "skipped"),
    ],
)
def test_a_skipped_step_of_which_nothing_else_is_known_never_started_where_the_run_did_not_succeed(
    run: str | None, step: dict[str, object], standing: str
):
    picture = load(status=run, steps={"a": {"status": "skipped", **step}})

    assert picture.tasks[0].status == "skipped"
    assert RUN_JSON.standing(picture).tasks[0].status == standing


def test_what_has_been_dealt_with_is_never_shown_as_if_it_had_not():
    waiting = with_task(replace(SAMPLE, status="failed"), "save", values={"last_outcome": "error"})

    assert step_in(RUN_JSON.write(None, waiting).text, "save")["status"] == "retry"


def test_a_step_that_was_skipped_by_hand_gets_its_time_once_only_that_tells_it_from_one_that_never_started():
    text = '{"run_id": "r1", "status": "running", "steps": {"a": {"status": "skipped"}, "b": {"status": "running"}}}'
    stored = with_task(load(status="running", steps=json.loads(text)["steps"]), "a", values={"completed_at": T0})

    goes_on = RUN_JSON.write(text, stored).text
    over = RUN_JSON.write(text, with_task(replace(stored, status="failed"), "b", status="failed"))

    assert goes_on is text
    assert "end_time" in step_in(over.text, "a")
    assert RUN_JSON.standing(over.picture).tasks[0].status == "skipped"


def test_only_a_step_that_is_not_critical_says_so():
    lax = with_task(SAMPLE, "load", values={**SAMPLE.tasks[1].values, "critical": 0})
    usual = with_task(SAMPLE, "load", values={**SAMPLE.tasks[1].values, "critical": 1})

    new, edited = RUN_JSON.write(None, lax), RUN_JSON.write(SAMPLE_TEXT, lax)

    assert {key: step.get("critical") for key, step in json.loads(new.text)["steps"].items()} == {
        "fetch": None, "load": False, "save": None,
    }  # fmt: skip
    assert changed_lines(SAMPLE_TEXT, edited.text) == [
        '-      "metadata": {}', '+      "metadata": {},', '+      "critical": false',
    ]  # fmt: skip
    assert new.picture == edited.picture == lax
    assert step_in(RUN_JSON.write(new.text, usual).text, "load")["critical"] is True
    assert RUN_JSON.write(None, usual).text == SAMPLE_TEXT


def test_a_step_is_critical_unless_the_file_says_that_it_is_not():
    assert [loaded_step(**said).values for said in ({}, {"critical": True}, {"critical": None})] == [{}] * 3
    assert loaded_step(critical=False).values == {"critical": 0}


def test_a_hand_made_run_that_is_over_keeps_its_pending_steps():
    text = '{"run_id": "r", "status": "failed", "steps": {"a": {"status": "pending"}}}'

    assert RUN_JSON.load(text, "x.json").tasks[0].status == "pending"
    assert RUN_JSON.write(text, RUN_JSON.load(text, "x.json")).text is text


def test_a_step_that_was_reset_by_hand_in_a_run_that_is_over_is_left_as_it_was():
    text = '{"run_id": "r", "status": "failed", "steps": {"a": {"status": "pending"}}}'
    started = Picture("r", "r", "failed", tasks=(TaskPicture("a", "pending", {"started_at": T0}),))

    assert RUN_JSON.write(text, started).text is text


def test_the_retry_count_never_exceeds_the_retries_there_are():
    task = TaskPicture("a", "failed", {"tries": 3, "max_retries": 2})

    assert step_in(RUN_JSON.write(None, Picture("r", "r", tasks=(task,))).text, "a")["retry_count"] == 2


def test_the_reason_of_a_skip_stands_in_the_metadata_while_it_is_skipped():
    text = RUN_JSON.write(None, with_task(SAMPLE, "save", status="skipped", values={"reason": "not today"})).text
    again = RUN_JSON.write(text, SAMPLE).text

    assert step_in(text, "save")["metadata"] == {"skip_reason": "not today"}
    assert RUN_JSON.load(text, "x.json").tasks[2].values["reason"] == "not today"
    assert step_in(again, "save")["metadata"] == {}


# --------------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    "text",
    [
        "2025-05-19T10:00:00Z",
        "2025-05-19T10:00:00",
        "2025-05-19 12:00:00.000000+02:00",
        "2025-05-19T10:00:00.000000+00:00",
    ],
)
def test_times_are_read_with_any_offset_and_without(text: str):
    assert parse_moment(text) == T0


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "1747648800", "0001-01-01T00:00:00+10:00"])
def test_what_is_no_time_is_none(text: str):
    assert parse_moment(text) is None


@given(st.datetimes())
def test_a_time_is_read_as_it_was_written(moment: Any):
    at = parse_moment(moment.isoformat())

    assert at is not None
    assert parse_moment(format_moment(at)) == at
    assert format_moment(at) == moment.isoformat(timespec="microseconds") + "+00:00"


def test_a_time_in_another_spelling_stays_as_it_is():
    text = SAMPLE_TEXT.replace("2025-05-19T10:00:01.000000+00:00", "2025-05-19T12:00:01+02:00")

    assert RUN_JSON.write(text, SAMPLE).text is text


def test_the_duration_is_for_readers_and_is_never_taken_over():
    text = SAMPLE_TEXT.replace("1.5", "99")

    assert RUN_JSON.load(text, "x.json") == SAMPLE


# -------------------------------------------------------------------------------------------------------- broken files


def test_only_the_run_id_is_needed():
    assert load() == Picture("r1", "r1")
    assert loaded_step() == TaskPicture("a", "pending")
    assert loaded_step(metadata=None, result=None, error=None) == TaskPicture("a", "pending")


def test_an_end_time_of_a_step_that_is_not_over_is_no_fact():
    assert loaded_step(status="pending", end_time="2025-05-19T10:00:00Z").values == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "x.json:1:1: expected a run file to be an object"),
        ("{}", "x.json:1:1: expected run_id to be given"),
        ('{"run_id": 1}', "x.json:1:12: expected run_id to be text, got: 1"),
        ('{"run_id": "../x"}', "x.json:1:12: expected a run id to be 1-128 characters"),
        ('{"run_id": "r", "dag_id": " "}', "x.json:1:27: expected a dag_id to be 1-200 printable characters"),
        ('{"run_id": "r", "status": "done"}', "x.json:1:27: expected status to be one of created, running, success,"),
        ('{"run_id": "r",\n "steps": []}', "x.json:2:11: expected steps to be an object, got: []"),
        ('{"run_id": "r", "metadata": 3}', "x.json:1:29: expected metadata to be an object, got: 3"),
        ('{"run_id": "r", "steps": {"a": 1}}', "x.json:1:32: expected steps.a to be an object, got: 1"),
        ('{"run_id": "r", "steps": {"": {}}}', "x.json:1:31: expected a step_id to be 1-200 printable characters"),
        ('{"run_id": "r", "steps": {"a": {"step_id": "b"}}}', 'x.json:1:44: expected steps.a.step_id to be "a" as its'),
        ('{"run_id": "r", "steps": {"a": {"retry_count": true}}}', "x.json:1:48: expected steps.a.retry_count to be a"),
        ('{"run_id": "r", "steps": {"a": {"max_retries": -1}}}', "x.json:1:48: expected steps.a.max_retries to be a w"),
        ('{"run_id": "r", "steps": {"a": {"end_time": "soon"}}}', "x.json:1:45: expected steps.a.end_time to be an IS"),
        ('{"run_id": "r", "steps": {"a": {"critical": 0}}}', "x.json:1:45: expected steps.a.critical to be true or f"),
        ('{"run_id": "r", "steps": {"a": {"error": {}}}}', "x.json:1:42: expected steps.a.error to be text, got: {}"),
    ],
)
def test_what_a_run_file_cannot_say_is_refused_with_its_line_and_column(text: str, message: str):
    assert refused(text).startswith(message)


def test_all_faults_are_named_at_once():
    text = '{"run_id": "r",\n "status": "ok",\n "steps": {"a": {"status": 1, "start_time": ""}}}'

    lines = refused(text).splitlines()

    assert lines[0] == "x.json cannot be read as a run file: 3 faults"
    assert [line.split(" to be ")[0] for line in lines[1:]] == [
        "  - x.json:2:12: expected status",
        "  - x.json:3:28: expected steps.a.status",
        "  - x.json:3:45: expected steps.a.start_time",
    ]


def test_a_file_with_too_many_steps_is_refused():
    steps: dict[str, object] = {str(n): {} for n in range(MAX_TASKS + 1)}

    assert "expected steps to be at most 20,000, got: 20,001" in refused(json.dumps({"run_id": "r", "steps": steps}))


@pytest.mark.parametrize("length", range(len(HAND_MADE)))
def test_a_truncated_file_is_refused_with_its_position(length: int):
    assert re.match(r"x\.json:1:\d+: ", refused(HAND_MADE[:length]))


@given(st.integers(0, len(HAND_MADE)), st.text('{}[]",:\\u0e-.1 n', max_size=3))
def test_a_spoilt_file_is_read_or_refused_and_nothing_else(at: int, noise: str):
    text = HAND_MADE[:at] + noise + HAND_MADE[at:]
    for work in (lambda: RUN_JSON.load(text, "x.json"), lambda: RUN_JSON.write(text, SAMPLE)):
        try:
            work()
        except BadInput:
            continue


# ---------------------------------------------------------------------------------------------------- all codecs must

VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=4) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
JSON_TEXTS = VALUES.map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
METADATA = st.dictionaries(st.sampled_from(["x", "y", "ä"]), VALUES, min_size=1, max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
)
TIMES = st.integers(T0, T0 + 10 * SECOND)
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "priority": st.integers(1, 4),
    "max_retries": st.integers(0, 5),
    "critical": st.integers(0, 1),
    "tries": st.integers(0, 5),
    "last_outcome": st.sampled_from(["ok", "error", "timeout", "lost"]),
    "started_at": TIMES,
    "completed_at": TIMES,
    "error": st.text(max_size=5),
    "reason": st.text(max_size=5),
    "output": JSON_TEXTS,
}


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    keys = draw(st.lists(st.sampled_from(["a", "b", "c", "step 4", "5:ü"]), unique=True))
    tasks = [
        TaskPicture(
            key,
            draw(st.sampled_from(STATUSES)),
            draw(st.fixed_dictionaries({}, optional=COLUMNS)),
            draw(st.none() | METADATA),
        )
        for key in keys
    ]
    times = st.none() | TIMES
    return Picture(
        draw(st.sampled_from(["r1", "r2"])),
        "nightly",
        draw(st.none() | st.sampled_from(RUN_STATUSES)),
        draw(st.none() | st.text(max_size=5)),
        draw(st.none() | METADATA),
        draw(times),
        draw(times),
        draw(times),
        draw(times),
        tuple(tasks),
    )


CODECS = pytest.mark.parametrize("codec", [RUN_JSON], ids=lambda codec: codec.name)


@CODECS
@given(picture=pictures())
def test_a_new_document_says_the_picture_and_saying_it_again_changes_nothing(codec: Codec, picture: Picture):
    writing = codec.write(None, picture)

    assert codec.load(writing.text, "x") == writing.picture
    assert codec.write(writing.text, picture).text is writing.text
    assert codec.write(writing.text, writing.picture).text is writing.text


@CODECS
@given(old=pictures(), new=pictures())
def test_an_edited_document_says_the_new_picture(codec: Codec, old: Picture, new: Picture):
    writing = codec.write(codec.write(None, old).text, new)

    assert codec.load(writing.text, "x") == writing.picture
    assert codec.write(writing.text, new).text is writing.text
    assert codec.write(writing.text, writing.picture).text is writing.text
    assert [task.key for task in writing.picture.tasks] == [
        *(task.key for task in old.tasks if task.key in new.by_name()),
        *(task.key for task in new.tasks if task.key not in old.by_name()),
    ]
    fresh = codec.write(None, new).picture.by_name()
    assert [(task.status, task.metadata and json.loads(task.metadata)) for task in writing.picture.tasks] == [
        (fresh[task.key].status, (metadata := fresh[task.key].metadata) and json.loads(metadata))
        for task in writing.picture.tasks
    ]


@CODECS
@given(old=pictures(), new=pictures())
def test_where_tasks_stand_survives_being_shown(codec: Codec, old: Picture, new: Picture):
    """Blocked has no word; a run that is declared completed shows what never started as skipped for good."""
    for writing in (codec.write(None, new), codec.write(codec.write(None, old).text, new)):
        found = codec.standing(writing.picture).by_name()
        for task in new.tasks if new.status != "completed" else ():
            stands = "pending" if task.status == "blocked" else task.status
            telling = task.values.keys() & {"started_at", "completed_at", "error", "reason"}
            assert found[task.key].status == stands or (stands == "skipped" and not telling)


@CODECS
@given(old=pictures(), new=pictures())
def test_members_that_the_codec_does_not_know_survive(codec: Codec, old: Picture, new: Picture):
    document = json.loads(codec.write(None, old).text)
    document["unknown"] = {"n": 1}
    for step in document["steps"].values():
        step["unknown"] = [1, 2]

    edited = json.loads(codec.write(json.dumps(document, indent=1), new).text)

    assert edited["unknown"] == {"n": 1}
    kept = old.by_name().keys() & new.by_name().keys()
    assert {key for key, step in edited["steps"].items() if step.get("unknown") == [1, 2]} == kept


# ------------------------------------------------------------------------------------------------------------ pictures


@given(pictures())
def test_a_picture_survives_the_store(picture: Picture):
    assert Picture.from_json(picture.to_json()) == picture


@given(pictures())
def test_a_picture_does_not_differ_from_itself(picture: Picture):
    assert not differences(picture, picture)


def test_differences_name_what_was_added_removed_and_changed():
    new = with_task(SAMPLE, "load", status="failed", values={"error": "boom"})
    new = replace(new, status="cancelled", error="stop", tasks=(*new.tasks[:2], TaskPicture("last", "pending")))

    found = differences(SAMPLE, new)

    assert found
    assert [task.key for task in (*found.added, *found.removed)] == ["last", "save"]
    assert [(change.name, change.moved, change.values) for change in found.changed] == [
        ("load", True, {"error": "boom", "max_retries": None, "tries": None})
    ]
    assert found.run == {"status": "cancelled", "error": "stop"}


def test_a_time_that_a_document_leaves_out_is_no_difference():
    silent = with_task(replace(SAMPLE, created_at=None), "fetch", values={"max_retries": 3, "tries": 1, "output": "1"})

    found = differences(SAMPLE, silent)

    assert [change.values for change in found.changed] == [{"output": "1"}]
    assert found.run == {}


def test_metadata_are_a_change_of_their_own():
    (change,) = differences(SAMPLE, with_task(SAMPLE, "save", metadata='{"a":1}')).changed

    assert (change.metadata_changed, change.moved, change.values) == (True, False, {})
    assert change == TaskChange(SAMPLE.tasks[2], replace(SAMPLE.tasks[2], metadata='{"a":1}'), {})


def test_a_picture_of_the_store_has_the_values_of_its_rows():
    row: dict[str, Any] = dict.fromkeys(FIELDS)
    row.update(key="a", item="", status="completed", tries=1, max_retries=3, completed_at=T0, output="@hash")
    run_row: dict[str, Any] = dict.fromkeys(RUN_FIELDS)
    run_row.update(name="r1", workflow="w", status="running", created_at=1)

    picture = Picture.of(Run(**run_row), [TaskPicture.of(Task(**row), '{"n":1}', None)])

    assert picture == Picture(
        "r1", "w", "running", created_at=1,
        tasks=(
            TaskPicture("a", "completed", {"max_retries": 3, "tries": 1, "completed_at": T0, "output": '{"n":1}'}),
        ),
    )  # fmt: skip


def test_codecs_are_found_by_name():
    assert codec("run-json@1") is RUN_JSON
    with pytest.raises(BadInput, match=r"expected a codec to be run-json@1 or plan-json@1 or .*, got: 'run-json@9'"):
        codec("run-json@9")
