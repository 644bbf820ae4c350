"""`tracker.yaml` as people keep it: read, changed where it must be, and left alone everywhere else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasktrail.testing import FakeClock, using_clock
from tasktrail.tracker import (
    TaskStatus,
    TrackerAccessError,
    TrackerFileError,
    WeekNotFoundError,
    WeekTracker,
    YAMLTrackerBackend,
    get_tracker,
)
from tests.tracker.weeks import SAMPLE, edit, file_of, known, sound, text_now, written


@pytest.mark.requirement("CN-022", "CN-025", "CN-030")
def test_the_documents_sample_is_read_without_leaving_a_trace() -> None:
    week = written().load_tracker("A")

    research = week.items["ProjectA"]["research"]
    assert (research.status, research.started_at) == (TaskStatus.COMPLETED, datetime(2026, 2, 1, 10))
    assert (research.completed_at, research.output_file) == (datetime(2026, 2, 1, 10, 5), "research/projecta.yaml")
    assert (research.error_message, research.retry_count, research.agent) == (None, 0, "researcher")
    assert "content" not in week.items["ProjectB"]
    assert week.items["ProjectB"]["research"].status == "in_progress"
    assert week.week_tasks["blog_post"].agent == "writer"
    assert week.metadata == {
        "created_at": "2026-02-01T09:00:00", "week_letter": "A", "last_synced": "2026-02-01T10:00:00",
        "etl_item_count": 2,
    }  # fmt: skip
    assert text_now() == SAMPLE
    assert [path.name for path in Path.cwd().rglob("*") if path.is_file()] == ["tracker.yaml"]


@pytest.mark.requirement("CN-025", "CN-032")
def test_one_task_is_moved_and_every_other_byte_stays() -> None:
    with using_clock(FakeClock()):
        tracker = written()
        tracker.update_task("A", "ProjectB", "research", "completed", output_file="research/projectb.yaml")

        assert text_now() == SAMPLE.replace(
            """\
        status: in_progress
        started_at: "2026-02-01T10:10:00"
        agent: researcher
""",
            """\
        status: completed
        started_at: "2026-02-01T10:10:00"
        agent: researcher
        completed_at: "2026-01-01T00:00:00"
        output_file: research/projectb.yaml
""",
        )
        sound(tracker)


@pytest.mark.requirement("CN-022", "CN-025")
def test_a_new_file_has_the_documented_keys_in_their_order() -> None:
    with using_clock(FakeClock()):
        get_tracker().sync_with_etl("B", ["P"])

    record = """\
          status: pending
          started_at: null
          completed_at: null
          output_file: null
          error_message: null
          retry_count: 0
          agent: {}
"""
    expected = f"""\
items:
  P:
    tasks:
      research:
{record.format("researcher").replace("          ", "        ")}\
      content:
{record.format("writer").replace("          ", "        ")}\
    removed: false
week_tasks:
  tasks:
    blog_post:
{record.format("writer").replace("          ", "      ")}\
metadata:
  created_at: "2026-01-01T00:00:00"
  week_letter: B
  last_synced: "2026-01-01T00:00:00"
  etl_item_count: 1
"""
    assert file_of("01-B").read_text() == expected


def test_the_last_week_lies_in_the_folder_of_its_place() -> None:
    get_tracker().sync_with_etl("z", [])

    assert file_of("25-Z").is_file()


@pytest.mark.requirement("CN-032")
def test_what_we_do_not_know_survives_at_every_level() -> None:
    text = (
        "owner: [Ann, Bo]\n"
        "items:\n"
        "  P:\n"
        "    url: https://example.org\n"
        "    tasks:\n"
        "      research: {status: pending, model: large, tokens: 012}\n"
        "      review:\n"
        "        status: failed\n"
        "        verdicts: [no, 1:30, {by: Bo}]\n"
        "week_tasks:\n"
        "  due: 2026-02-03\n"
        "metadata: {tags: [a, b], nested: {x: ~}}\n"
    )
    tracker = written(text)

    tracker.update_task("A", "P", "research", "failed", error_message="x")
    week = tracker.load_tracker("A")

    assert week.items["P"].attributes == {"url": "https://example.org"}
    assert week.items["P"]["research"].model_extra == {"model": "large", "tokens": "012"}
    assert week.items["P"]["review"].model_extra == {"verdicts": ["no", "1:30", {"by": "Bo"}]}
    assert week.metadata == {"tags": ["a", "b"], "nested": {"x": None}}
    kept, now = text.splitlines(), text_now().splitlines()
    assert [line for line in now if "research" not in line] == [line for line in kept if "research" not in line]
    assert "model: large, tokens: 012" in text_now()
    sound(tracker)


@pytest.mark.parametrize("name", ["no", "1:30", "012", "null", "~", "3.10", "2026-02-01", "yes please", "a: b", "#1"])
def test_names_and_values_stay_what_they_are(name: str) -> None:
    tracker = get_tracker()
    tracker.sync_with_etl("A", [name, "other"])
    tracker.update_task("A", name, "research", "failed", output_file=name, error_message=name, agent=name)

    found = YAMLTrackerBackend("data/weeks").load_tracker("A").items[name]["research"]
    assert (found.output_file, found.error_message, found.agent) == (name, name, name)
    assert get_tracker().get_pending_items("A", "research") == ["other"]


def test_plain_words_are_texts_as_they_are_typed() -> None:
    tracker = written(
        "items:\n  no: {tasks: {research: {status: completed, output_file: 1:30, agent: no}}}\n"
        "  012: {tasks: {research: {status: pending}}}\n  1:30:\n    tasks: {research: }\n"
    )
    tracker.update_task("A", "012", "research", "completed")

    week = tracker.load_tracker("A")
    assert [*week.items] == ["no", "012", "1:30"]
    assert (week.items["no"]["research"].output_file, week.items["no"]["research"].agent) == ("1:30", "no")
    assert week.items["1:30"]["research"].status == "pending"
    sound(tracker)


@pytest.mark.requirement("CN-030")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ('"2026-02-01T10:00:00"', datetime(2026, 2, 1, 10)),
        ("'2026-02-01T10:00:00'", datetime(2026, 2, 1, 10)),
        ("2026-02-01T10:00:00", datetime(2026, 2, 1, 10)),
        ("2026-02-01 10:00:00", datetime(2026, 2, 1, 10)),
        ("2026-02-01T10:00:00Z", datetime(2026, 2, 1, 10)),
        ("2026-02-01T12:00:00+02:00", datetime(2026, 2, 1, 10)),
        ("2026-02-01T10:00:00.25", datetime(2026, 2, 1, 10, 0, 0, 250_000)),
        ("2026-02-01", datetime(2026, 2, 1)),
    ],
)
def test_times_are_read_quoted_and_bare(typed: str, meant: datetime) -> None:
    text = SAMPLE.replace('"2026-02-01T10:10:00"', typed)
    tracker = written(text)

    assert tracker.load_tracker("A").items["ProjectB"]["research"].started_at == meant
    tracker.update_task("A", "ProjectB", "research", "failed")
    assert f"started_at: {typed}\n" in text_now()


@pytest.mark.requirement("CN-030")
def test_times_are_written_as_quoted_texts() -> None:
    tracker = written()
    tracker.update_task(
        "A", "ProjectA", "content", "in_progress", started_at=datetime(2026, 3, 1, 8, 30, 0, 5, tzinfo=UTC)
    )

    assert 'started_at: "2026-03-01T08:30:00.000005"\n' in text_now()


@pytest.mark.parametrize(
    "text",
    ["", "# nothing yet\n", "items:\nweek_tasks:\nmetadata:\n", "items: {}\n", "items: ~\nweek_tasks: {tasks: }\n"],
)
def test_what_is_empty_is_a_week_without_items(text: str) -> None:
    tracker = written(text)

    assert tracker.load_tracker("A") == WeekTracker()
    assert tracker.get_progress("A").total == 0
    assert text_now() == text
    tracker.sync_with_etl("A", ["P"])
    assert tracker.get_pending_items("A", "research") == ["P"]
    sound(tracker)


@pytest.mark.parametrize(
    "text", ["items:\n  P:\n", "items:\n  P: {tasks: }\n", "items:\n  P:\n    tasks:\n      research:\n"]
)
def test_what_is_left_empty_can_be_filled(text: str) -> None:
    tracker = written(text)

    tracker.update_task("A", "P", "research", "completed", output_file="x")

    assert tracker.load_tracker("A").items["P"]["research"].output_file == "x"
    sound(tracker)


# the older list


@pytest.mark.requirement("CN-026", "CN-027", "CN-064")
def test_a_list_of_tasks_becomes_a_tracker_and_stays() -> None:
    older = file_of(name="tasks.yaml")
    older.write_text("# ours\n- Beta\n- 012\n- Alpha\n")
    tracker = get_tracker()
    assert not tracker.tracker_exists("A")

    week = tracker.load_tracker("A")

    assert [*week.items] == ["Beta", "012", "Alpha"]
    assert {name: one.agent for name, one in week.items["Beta"].tasks.items()} == {
        "research": "researcher", "content": "writer",
    }  # fmt: skip
    assert week.week_tasks["blog_post"].status == "pending"
    assert week.metadata.keys() == {"created_at", "week_letter"}
    assert tracker.tracker_exists("A")
    assert older.read_text() == "# ours\n- Beta\n- 012\n- Alpha\n"


@pytest.mark.requirement("CN-026")
def test_a_list_of_tasks_is_found_by_every_question() -> None:
    file_of(name="tasks.yaml").write_text("[Alpha]")

    assert [(*one,) for one in get_tracker().get_ready_tasks()] == [("A", "Alpha", "research", "researcher")]


@pytest.mark.requirement("CN-026", "CN-029")
def test_a_list_of_tasks_is_migrated_once_by_all_who_ask_at_once() -> None:
    file_of(name="tasks.yaml").write_text("- Alpha\n")
    gate = threading.Barrier(8)

    def ask(_: int) -> list[str]:
        tracker = YAMLTrackerBackend("data/weeks")
        gate.wait(60)
        return tracker.get_pending_items("A", "research")

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(ask, range(8))] == [["Alpha"]] * 8
    sound(YAMLTrackerBackend("data/weeks"))


@pytest.mark.requirement("CN-026")
@pytest.mark.parametrize("text", ["Alpha", "- {name: Alpha}\n", "- [a]\n", "a: b\n", "- &x a\n", '- ""\n', "- 'a\n"])
def test_a_list_of_tasks_that_is_none_is_refused_and_no_tracker_made(text: str) -> None:
    older = file_of(name="tasks.yaml")
    older.write_text(text)

    with pytest.raises(TrackerFileError, match=r"tasks\.yaml:\d+:\d+"):
        get_tracker().load_tracker("A")

    assert not file_of().exists()
    assert older.read_text() == text


# saved once


@pytest.fixture
def saves(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The weeks of every call of the public method."""
    saves, save = list[str](), YAMLTrackerBackend.save_tracker

    def saving(self: YAMLTrackerBackend, week_letter: str, tracker: WeekTracker) -> None:
        saves.append(week_letter)
        save(self, week_letter, tracker)

    monkeypatch.setattr(YAMLTrackerBackend, "save_tracker", saving)
    return saves


@pytest.mark.requirement("CN-026", "CN-062", "CN-063")
def test_every_write_goes_through_save_tracker_once(saves: list[str]) -> None:
    file_of(name="tasks.yaml").write_text("- Alpha\n")
    tracker = get_tracker()
    for question in (tracker.load_tracker, tracker.get_progress, tracker.load_tracker):
        question("A")
    assert saves == ["A"]
    tracker.update_task("A", "Alpha", "research", "in_progress")
    tracker.update_task("A", "Alpha", "research", "completed")
    tracker.update_task("A", "Alpha", "research", "completed")
    assert saves == ["A"] * 3
    for _ in range(3):
        tracker.sync_with_etl("A", ["Alpha"])
    assert saves == ["A"] * 4

    before = text_now(), file_of().stat()
    tracker.sync_with_etl("A", ["Alpha"])
    tracker.get_ready_tasks()
    assert (text_now(), file_of().stat()) == before


# what goes wrong


BROKEN = {
    "items:\n  P: [\n": 3,
    "items:\n\tP: 1\n": 2,
    "items: &x {}\nmetadata: *x\n": 1,
    "items: !!python/object:os.system {}\n": 1,
    "items:\n  P: {}\n  P: {}\n": 3,
    "items: {}\nitems: {}\n": 2,
    "items: {}\n---\nitems: {}\n": 2,
    "<<<<<<< HEAD\nitems: {}\n": 2,
    "- a\n": 1,
    "items:\n  P:\n    tasks:\n      research: {status: done}\n": 4,
    "items:\n  P:\n    removed: maybe\n": 3,
    "items:\n  P:\n    tasks:\n      research: {retry_count: -1}\n": 4,
    "items:\n  P:\n    tasks:\n      research:\n        started_at: yesterday\n": 5,
    "items:\n  P:\n    tasks: [research]\n": 3,
    'items:\n  "": {}\n': 2,
    "items:\n  P:\n    tasks:\n      a/b: {}\n": 4,
    "week_tasks: 3\n": 1,
    "metadata: text\n": 1,
}


@pytest.mark.requirement("CN-009")
@pytest.mark.parametrize(("text", "line"), BROKEN.items())
def test_a_broken_file_is_named_with_its_line_and_nothing_is_touched(text: str, line: int) -> None:
    tracker = known()
    before = tracker.opened("A")
    file_of().write_text(text)

    for ask in (
        lambda: tracker.load_tracker("A"),
        lambda: tracker.update_task("A", "ProjectA", "content", "completed"),
        lambda: tracker.sync_with_etl("A", ["P"]),
        lambda: tracker.save_tracker("A", WeekTracker()),
    ):
        with pytest.raises(TrackerFileError) as error:
            ask()
        assert f"{file_of().resolve()}:{line}:" in str(error.value)
        assert error.value.details[0].splitlines()[-1].strip(" |") == "^"

    assert text_now() == text
    store = before.ledger.store
    assert store.read(lambda tx: tx.run(before.run.id)) == before.run
    file_of().write_text(SAMPLE)
    assert tracker.load_tracker("A").items["ProjectA"]["research"].status == "completed"
    sound(tracker)


@pytest.mark.requirement("CN-009")
def test_a_bad_status_is_named_with_file_key_and_place() -> None:
    tracker = written(SAMPLE.replace("status: in_progress", "status: doing"))

    with pytest.raises(TrackerFileError) as error:
        tracker.load_tracker("A")

    assert [*error.value.details] == [
        "data/weeks/00-A/tracker.yaml:18:17: expected items.ProjectB.tasks.research.status to be one of pending, "
        "in_progress, completed, failed, skipped, got: \"doing\"\n"
        "18 |         status: doing\n"
        "   |                 ^"
    ]  # fmt: skip


@pytest.mark.requirement("CN-071", "CN-075")
def test_a_missing_week_says_where_it_would_be_and_what_to_do() -> None:
    with pytest.raises(
        WeekNotFoundError, match=r"No tracker or tasks found for week C: .*data/weeks/02-C/tracker\.yaml"
    ) as error:
        get_tracker().load_tracker("c")

    assert "run the ETL pipeline" in str(error.value.hint)
    assert not Path("data").exists()


@pytest.mark.requirement("CN-075")
def test_a_folder_that_cannot_be_written_is_named() -> None:
    Path("data").mkdir()
    Path("data/weeks").write_text("a file where the folder should be")

    with pytest.raises(TrackerAccessError, match="data/weeks"):
        get_tracker().sync_with_etl("A", ["P"])
    assert Path("data/weeks").read_text() == "a file where the folder should be"


@pytest.mark.requirement("CN-028", "CN-075")
def test_a_file_that_cannot_be_replaced_stays_and_its_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = known()

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(
            TrackerAccessError, match=r"data/weeks/00-A/tracker\.yaml cannot be written: Permission denied"
        ):
            tracker.update_task("A", "ProjectA", "content", "completed")

    assert text_now() == SAMPLE
    assert sorted(path.name for path in file_of().parent.iterdir()) == ["tracker.yaml", "tracker.yaml.lock"]
    tracker.update_task("A", "ProjectA", "content", "completed")
    sound(tracker)


def test_a_week_is_edited_while_it_is_known() -> None:
    tracker = known()
    edit("status: in_progress", "status: completed")

    assert tracker.load_tracker("A").items["ProjectB"]["research"].status == "completed"
    sound(tracker)
