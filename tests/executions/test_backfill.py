"""Result files become experiences: what they tell, what is no result, and each of them once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path

import apsw
import pytest

from tasktrail.executions import BackfillCounts, Experience, RawStore, backfill, create_task_execution_experience
from tasktrail.executions.backfilling import NoResults
from tasktrail.executions.results import MAX_BYTES
from tests.executions.results import BEGIN, FOLDER, write_both, write_result, write_results
from tests.postgres import Server

EVIL = "[" * 100_000


@pytest.fixture
def store() -> Iterator[RawStore]:
    with RawStore("tasks.db") as store:
        yield store


def counted(counts: BackfillCounts) -> tuple[int, int, int, int]:
    return counts.created, counts.duplicates, counts.skipped, counts.errors


def only(store: RawStore) -> Experience:
    """The one execution of the one file that was brought in."""
    counts = backfill(FOLDER, store)
    assert counted(counts) == (1, 0, 0, 0), counts.unread
    return store.list_recent()[0]


# --- what a file tells ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("AX-031", "AX-032", "AX-070", "AX-075")
def test_a_result_file_becomes_an_execution(store: RawStore):
    write_result("2025/daily.json")

    found = only(store)

    told = found.content.structured
    assert found.content.text == "Three things went well"
    assert (told["task_id"], told["task_slug"], told["task_name"]) == ("daily_reflection",) * 2 + ("Daily Reflection",)
    assert (told["started_at_iso"], told["duration_ms"]) == ("2025-11-05T14:15:00+00:00", 2000)
    assert (told["status"], told["error"], told["attempt"]) == ("success", None, 1)
    assert told["backfilled"] is True
    assert told["retrieval"]["backfilled"] is True
    assert told["legacy_result_file"] == "2025/daily.json"
    assert told["metadata"] == {"model": "small"}
    assert store.list_task_executions(backfilled=False) == []


@pytest.mark.requirement("AX-078")
def test_executions_that_were_none_before_are_flagged_afterwards(store: RawStore):
    write_both()
    assert store.count_experiences() == 0

    counts = backfill(FOLDER, store)

    assert counts.tasks == {"daily_reflection", "idea_generation"}
    assert len(store.list_task_executions(backfilled=True)) == 2


@pytest.mark.requirement("AX-076")
@pytest.mark.parametrize(
    ("task_id", "task_type"),
    [
        ("daily_reflection", "self_reflection"),
        ("idea_generation", "capability_exploration"),
        ("memory_consolidation", "memory_consolidation"),
        ("water_the_plants", "custom"),
    ],
)
def test_the_type_of_a_task_is_known_by_its_slug(store: RawStore, task_id: str, task_type: str):
    write_result("one.json", task_id=task_id)

    assert only(store).content.structured["task_type"] == task_type


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (None, "UnknownError", "UnknownError"),
        ("no answer from ann@example.org", "UnknownError", "no answer from [email]"),
        ({"type": "TimeoutError", "message": "no answer"}, "TimeoutError", "no answer"),
        ({"code": 504}, "UnknownError", '{"code":504}'),
        (["one", 2], "UnknownError", '["one",2]'),
    ],
)
def test_a_failure_has_a_type_and_a_message(store: RawStore, error: object, kind: str, message: str):
    write_result("one.json", success=False, error=error, response=None)

    told = only(store).content.structured

    assert told["status"] == "failed"
    assert (told["error"]["type"], told["error"]["message"]) == (kind, message)
    assert "ann@" not in json.dumps(told)


def test_an_answer_that_is_no_text_is_kept_as_json(store: RawStore):
    write_result("one.json", response={"ideas": ["a", "b"]})

    assert only(store).content.text == '{"ideas":["a","b"]}'


def test_without_a_name_a_task_is_called_by_its_id(store: RawStore):
    write_result("one.json", task_name=None)

    assert only(store).content.structured["task_name"] == "daily_reflection"


def test_an_end_before_the_start_is_no_time_at_all(store: RawStore):
    write_result("one.json", completed_at="2025-11-05T14:00:00")

    told = only(store).content.structured

    assert (told["duration_ms"], told["flags"]) == (0, ["ended_before_started"])


# --- what is no result ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("AX-074")
@pytest.mark.parametrize("members", [{"started_at": None}, {"completed_at": None}, {"started_at": ""}])
def test_a_result_without_times_is_skipped(store: RawStore, members: dict[str, object]):
    write_result("one.json", **members)

    counts = backfill(FOLDER, store)

    assert counted(counts) == (0, 0, 1, 0)
    assert counts.unread[0].reason == f"one.json has no {next(iter(members))}"


@pytest.mark.requirement("AX-074")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "one.json:1:1: the text ends too early: expected value"),
        (b"{", "one.json:1:2: the text ends too early"),
        (b"not json", "one.json:1:1: expected value"),
        (b"[]", "one.json:1:1: expected the document to be an object, got: []"),
        (b'"\xff"', "one.json is no UTF-8 text at byte 1"),
        (b'{"task_id": "a", "task_id": "b"}', 'one.json:1:18: expected each key once, got: "task_id" again'),
        (b'{"metadata": NaN}', "one.json:1:14: expected a number, got: NaN"),
        (b'{"metadata": "\\ud800"}', "half of a surrogate pair"),
        (b'{"metadata": ' + b"9" * 5000 + b"}", "expected a number of fewer digits, got: 5,000"),
        (EVIL.encode(), "nest"),
        (b" " * (MAX_BYTES + 1), "one.json: expected at most 16,777,216 bytes, got: 16,777,217"),
    ],
    ids=["empty", "cut", "words", "list", "latin", "twice", "nan", "surrogate", "digits", "deep", "huge"],
)
def test_a_file_that_is_no_result_is_an_error_and_the_rest_goes_on(store: RawStore, content: bytes, reason: str):
    write_result("two.json")
    (FOLDER / "one.json").write_bytes(content)

    counts = backfill(FOLDER, store)

    assert counted(counts) == (1, 0, 0, 1)
    assert counts.unread[0].file == "one.json"
    assert reason in counts.unread[0].reason


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"task_id": None}, "expected task_id to be given"),
        ({"task_id": "  "}, "expected task_id to be given"),
        ({"task_id": 7}, "expected task_id to be text, got: 7"),
        ({"success": None}, "expected success to be given"),
        ({"success": "yes"}, 'expected success to be true or false, got: "yes"'),
        ({"started_at": "yesterday"}, 'expected started_at to be an ISO 8601 time like 2025-05-19T10:00:00Z, got: "y'),
        ({"completed_at": 5}, "expected completed_at to be an ISO 8601 time like 2025-05-19T10:00:00Z, got: 5"),
    ],
)
def test_a_member_that_cannot_be_used_is_an_error(store: RawStore, members: dict[str, object], reason: str):
    write_result("one.json", **members)

    counts = backfill(FOLDER, store)

    assert counted(counts) == (0, 0, 0, 1)
    assert reason in counts.unread[0].reason


def test_all_that_is_wrong_with_a_file_is_said_at_once(store: RawStore):
    write_result("one.json", task_id=7, success=8)

    (one,) = backfill(FOLDER, store).unread

    assert "task_id" in one.reason
    assert "success" in one.reason


def test_whatever_lies_in_the_folder_is_named(store: RawStore):
    write_result("good.json")
    write_result("x.json/inner.json", task_id="inner")
    (FOLDER / "notes.txt").write_text("no result")
    (FOLDER / "loop.json").symlink_to("loop.json")
    (FOLDER / "circle").symlink_to(".", target_is_directory=True)
    (FOLDER / "nowhere.json").symlink_to("gone.json")
    os.mkfifo(FOLDER / "pipe.json")

    counts = backfill(FOLDER, store)

    assert counted(counts) == (2, 0, 3, 3)
    assert {one.file: one.reason for one in counts.unread} == {
        "circle": "circle is a link to a folder, and not followed",
        "loop.json": "loop.json cannot be read: Too many levels of symbolic links",
        "notes.txt": "notes.txt is no .json file",
        "nowhere.json": "nowhere.json cannot be read: No such file or directory",
        "pipe.json": "pipe.json is no ordinary file",
        "x.json": "x.json is a folder; what is in it is read",
    }
    assert counts.files == counts.total == 8


@pytest.mark.parametrize("gone", ["folder", "file"])
def test_what_vanishes_meanwhile_is_named(store: RawStore, monkeypatch: pytest.MonkeyPatch, gone: str):
    write_result("a.json")
    path = write_result("b/b.json", task_id="b")
    real = os.scandir

    def scandir(folder: Path) -> object:
        if gone == "folder" and folder == FOLDER / "b":
            path.unlink()
            path.parent.rmdir()
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    if gone == "file":
        monkeypatch.setattr("tasktrail.executions.backfilling.names_in", lambda _: ["a.json", "b/c.json"])

    counts = backfill(FOLDER, store)

    assert counted(counts) == (1, 0, 0, 1)
    assert counts.unread[0].reason.endswith("cannot be read: No such file or directory")


@pytest.mark.platform_only("names that are no text exist on Linux")
def test_a_name_that_is_no_text_is_stored_as_one(store: RawStore):
    write_result("one.json")
    try:
        (FOLDER / "one.json").rename(os.fsdecode(b"results/\xff\x1b.json"))
    except OSError:
        pytest.skip("this file system has none")

    assert only(store).content.structured["legacy_result_file"] == "\\udcff\x1b.json"


def test_without_a_folder_nothing_is_done(store: RawStore):
    with pytest.raises(NoResults, match="there is no folder results with results"):
        backfill(FOLDER, store)

    assert store.count_experiences() == 0


# --- each once --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("AX-010")
def test_the_second_time_all_are_duplicates(store: RawStore):
    write_results(1201)

    assert counted(backfill(FOLDER, store)) == (1201, 0, 0, 0)
    assert counted(backfill(FOLDER, store)) == (0, 1201, 0, 0)
    assert store.count_experiences() == 1201


@pytest.mark.requirement("AX-010")
def test_what_was_recorded_while_it_ran_is_a_duplicate(store: RawStore):
    at = BEGIN.replace(tzinfo=UTC)
    live = create_task_execution_experience(
        "daily_reflection", "daily_reflection", "Daily", "self_reflection", "scheduled", at, at, "success", attempt=2
    )
    store.append_experience(live)
    write_result("first.json")
    write_result("second.json", metadata={"attempt": 2}, started_at="2025-11-05T15:15:00+01:00")

    assert counted(backfill(FOLDER, store)) == (1, 1, 0, 0)
    assert store.get_experience(live.id).content.structured["attempt"] == 2  # type: ignore[union-attr]  # it is there
    assert len(store.list_task_executions(backfilled=True)) == 1


@pytest.mark.requirement("AX-071", "AX-074")
def test_a_dry_run_counts_what_would_be_and_writes_nothing(store: RawStore):
    write_results(3)
    write_result("again.json")
    write_result("timeless.json", started_at=None)
    (FOLDER / "broken.json").write_text("{")

    would = backfill(FOLDER, store, dry_run=True)

    assert counted(would) == (3, 1, 1, 1)
    assert store.count_experiences() == 0
    assert counted(backfill(FOLDER, store)) == (3, 1, 1, 1)
    assert counted(backfill(FOLDER, store, dry_run=True)) == (0, 4, 1, 1)


def test_an_id_that_is_taken_is_no_duplicate(store: RawStore, monkeypatch: pytest.MonkeyPatch):
    """More may begin in one second than the four digits of an id can tell apart."""
    monkeypatch.setattr("tasktrail.executions.factory._counted", iter([7] * 9))
    for index in range(3):
        write_result(f"{index}.json", started_at=(BEGIN + timedelta(microseconds=index)).isoformat())

    assert counted(backfill(FOLDER, store)) == (3, 0, 0, 0)
    assert counted(backfill(FOLDER, store)) == (0, 3, 0, 0)


def test_progress_is_told_after_each_batch(store: RawStore):
    write_results(1001)
    seen: list[tuple[int, int]] = []

    backfill(FOLDER, store, watch=lambda counts: seen.append((counts.total, counts.files)))

    assert seen == [(500, 1001), (1000, 1001), (1001, 1001)]


def test_a_backfill_that_is_stopped_keeps_what_is_stored(store: RawStore):
    write_results(1100)

    def stop(_: BackfillCounts) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(FOLDER, store, watch=stop)

    assert store.count_experiences() == 500
    assert counted(backfill(FOLDER, store)) == (600, 500, 0, 0)


KILLED = """
import os, signal
from tasktrail.engine import recording
from tasktrail.executions import RawStore, backfill
note, told = recording._note, []

def die_in_the_second_transaction(*given):
    note(*given)
    told.append(given)
    if len(told) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

recording._note = die_in_the_second_transaction
backfill("results", RawStore("tasks.db"))
"""


@pytest.mark.crash
@pytest.mark.requirement("AX-010")
def test_after_a_kill_the_next_one_brings_exactly_the_rest(store: RawStore):
    write_results(1100)
    died = subprocess.run([sys.executable, "-c", KILLED], env=os.environ, timeout=60, check=False)

    assert died.returncode == -signal.SIGKILL
    assert store.count_experiences() == 500
    assert counted(backfill(FOLDER, store)) == (600, 500, 0, 0)
    assert store.count_experiences() == 1100


@pytest.mark.crash
@pytest.mark.requirement("AX-009", "AX-010")
def test_two_backfills_at_once_bring_each_result_once(store: RawStore):
    write_results(1500)
    command = [sys.executable, "-m", "tasktrail", "backfill", "results", "--db-path", "tasks.db", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) for _ in range(2)]
    told = [json.loads(one.communicate(timeout=60)[0])["data"] for one in both]

    assert [one.returncode for one in both] == [0, 0]
    assert sum(one["created"] for one in told) == 1500 == store.count_experiences()
    assert [one["created"] + one["duplicate"] for one in told] == [1500, 1500]


def test_a_server_keeps_them_as_a_file_does(server: Server):
    write_results(600)
    write_result("again.json")
    write_result("failed.json", task_id="bad", success=False, error="no answer")
    with server.schema() as url, RawStore(url) as store:
        assert counted(backfill(FOLDER, store, dry_run=True)) == (601, 1, 0, 0)
        assert counted(backfill(FOLDER, store)) == (601, 1, 0, 0)
        assert counted(backfill(FOLDER, store)) == (0, 602, 0, 0)
        assert counted(backfill(FOLDER, store, dry_run=True)) == (0, 602, 0, 0)
        assert len(store.list_task_executions(status="failed")) == 1


def test_a_failure_that_is_told_again_counts_once_and_leaves_no_event(store: RawStore):
    write_result("failed.json", success=False, error="no answer")
    for _ in range(2):
        backfill(FOLDER, store)
    store.close()

    with closing(apsw.Connection("tasks.db")) as connection:
        assert connection.execute("SELECT verb FROM event").fetchall() == [("recorded",)]
        assert connection.execute("SELECT occurrences FROM error").fetchall() == [(1,)]
