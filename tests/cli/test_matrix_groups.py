"""`matrix run` of several groups, or of all: here, one after the other, or left to workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktrail.tracker import get_tracker
from tests.cli.conftest import Call


@pytest.fixture(autouse=True)
def weeks() -> None:
    """Weeks A, B and C of one item each; that of week B has nothing to find."""
    Path("tasktrail.toml").write_text('[tracker.types.find]\nrun = ["test", "-e", "{item}"]\n', encoding="utf-8")
    for letter in "ABC":
        get_tracker().sync_with_etl(letter, [f"{letter}.txt"])
    for name in ("A.txt", "C.txt"):
        Path(name).touch()


def done() -> list[int]:
    return [get_tracker().get_progress(letter).completed for letter in "ABC"]


def test_groups_are_executed_one_after_the_other_and_one_that_fails_stops_no_other(call: Call) -> None:
    some = call("matrix", "run", "B", "C")
    assert (some.code, done()) == (5, [0, 0, 1])
    assert [line for line in some.out.splitlines() if len(line) == 1 or ".txt" in line] == [
        "B", "B.txt  failed", "C", "C.txt  completed",
    ]  # fmt: skip

    Path("B.txt").touch()
    every = call("matrix", "run", "--all", "--json")
    assert (every.code, every.document["schema"], done()) == (0, "tasktrail/run-list@1", [1, 1, 1])
    assert [run["id"] for run in every.data] == ["A", "B", "C"]


def test_all_groups_are_left_to_workers(call: Call) -> None:
    assert call("matrix", "run", "--all", "--pooled").out == "A\nB\nC\n"
    assert call("worker", "--drain").code == 0
    assert done() == [1, 0, 1]


def test_one_group_is_one_run_in_json(call: Call) -> None:
    assert call("matrix", "run", "A", "--pooled", "--json").data["id"] == "A"


@pytest.mark.parametrize(
    ("words", "said"), [([], "give GROUP, or --all"), (["A", "--all"], "give one of GROUP and --all, not both")]
)
def test_it_is_said_which_groups_are_meant(call: Call, words: list[str], said: str) -> None:
    answer = call("matrix", "run", *words)
    assert (answer.code, done()) == (2, [0, 0, 0])
    assert said in answer.err


def test_where_there_are_no_groups_nothing_is_done(call: Call) -> None:
    Path("tasktrail.toml").write_text('[tracker]\nweeks_dir = "other"\n', encoding="utf-8")
    answer = call("matrix", "run", "--all", "--json")
    assert (answer.code, answer.data) == (0, [])
    assert "no weeks here; to begin one: tasktrail matrix sync FILE --group NAME" in answer.err
