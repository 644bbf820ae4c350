"""What commands say and do about the cells of a matrix: each is called by its item and its type."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.matrices import begin, begin_pooled
from tests.engine.matrices import sync as sync_items

Sync = Callable[..., None]


@pytest.fixture
def sync() -> Sync:
    """A matrix A of two items, and what lets it have others."""
    ledger, run = begin(["ch01", "ch02"])

    return partial(sync_items, ledger, run)


def test_a_cell_is_moved_by_its_name(sync: Sync, call: Call) -> None:
    assert call("start", "A:ch01/research").out.startswith("A:ch01/research is in_progress\n")
    assert call("complete", "A:ch01/research").out == "A:ch01/research is completed\n"
    assert call("fail", "A:ch02/research", "--error", "none").out == "A:ch02/research is failed\n"
    assert call("retry", "A:ch02/research").out == "A:ch02/research is pending\n"
    assert "ch01/research  complete" in call("history", "A").out
    assert "Needed by:  ch01/content (pending)" in call("show", "A:ch01/research").out


def test_the_history_of_a_matrix_names_the_items_that_came_and_went(sync: Sync, call: Call) -> None:
    sync("ch01", "ch02", "ch03")
    sync("ch01", "ch03")

    lines = [line.split("items", 1)[1].strip() for line in call("history", "A").out.splitlines() if "items" in line]
    assert lines == ["ch01, ch02; “items added”", "ch03; “items added”", "ch02; “items changed”"]
    [changed] = [one["changes"] for one in call("history", "A", "--json").data if one["note"] == "items changed"]
    assert changed == {"items": [{"ch02": {}}, {"ch02": {"removed": True}}]}


def test_a_cell_is_found_by_its_item(sync: Sync, call: Call) -> None:
    assert [one["id"] for one in call("search", "CH01", "--json").data] == ["A:ch01/research", "A:ch01/content"]
    assert [one["id"] for one in call("search", "2/cont", "--json").data] == ["A:ch02/content"]
    assert call("search", "/post", "--json").data == []


def test_what_is_refused_names_the_cell(sync: Sync, call: Call) -> None:
    assert "task ch01/content waits for ch01/research (pending)" in call("start", "A:ch01/content").err
    assert "task ch01/research is pending; reopen needs" in call("reopen", "A:ch01/research").err
    assert "run A has no task research; did you mean ch01/research or ch02/research?" in call("show", "A:research").err
    assert "run A has no task ch01/reserch; did you mean ch01/research" in call("show", "A:ch01/reserch").err
    assert "nothing was ever changed about task ch01/research" in call("undo", "A:ch01/research").err
    assert "run A is a matrix: no command executes it" in call("resume", "A").err


def test_why_a_matrix_stands_is_explained_by_its_cells(sync: Sync, call: Call) -> None:
    call("complete", "A:ch01/research")
    call("fail", "A:ch02/research", "--error", "nothing on it")

    told = call("explain", "A:ch02/content").out
    assert "ch02/content cannot start: ch02/research failed: TaskFailed: nothing on it" in told
    assert "tasktrail retry A:ch02/research" in told


def test_a_cell_is_done_again_with_what_needs_it(sync: Sync, call: Call) -> None:
    for name in ("ch01/research", "ch02/research", "ch01/content", "ch02/content", "post"):
        assert call("complete", f"A:{name}").code == 0

    assert call("retry", "A", "--from", "ch01/research").out == "3 tasks from ch01/research on: to be done again\n"
    statuses = {one["id"]: one["status"] for one in call("status", "A", "--json").data["tasks"]}
    assert [name for name, status in statuses.items() if status == "pending"] == [
        "A:ch01/research", "A:ch01/content", "A:post",
    ]  # fmt: skip
    assert call("retry", "A", "--from", "ch01/reserch").code != 0


def test_what_of_a_removed_item_is_done_again_is_refused(sync: Sync, call: Call) -> None:
    call("complete", "A:ch02/research")
    sync("ch01")

    assert "item ch02 of matrix A was removed; reopen needs one that is there" in call("reopen", "A:ch02/research").err
    assert "item ch02 of matrix A was removed" in call("reopen", "A:ch02/content").err
    assert call("retry", "A", "--from", "research").out == "3 tasks from research on: to be done again\n"
    sync("ch01", "ch02")
    assert call("start", "A:ch02/content").code == 0


def test_a_pooled_matrix_is_resumed_for_its_workers(call: Call) -> None:
    Path("own.py").write_text("def research(): pass\n", "utf-8")
    begin_pooled(["ch01"], "research:own:research")
    call("fail", "A:ch01/research", "--error", "none")
    call("pause", "A")

    answer = call("resume", "A")

    assert (answer.code, answer.out) == (0, "run A goes on\n")
    assert call("status", "A", "--json").data["tasks"][0]["status"] == "pending"
    assert "waits for a worker that serves queue default" in call("explain", "A").out
