"""`reopen --stale`: all that stands on what is another one now, and what says that it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasktrail.engine.cells import CellMove
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import move_cell
from tasktrail.model.matrix import Wanted
from tasktrail.store.opening import open_store
from tests.cli.conftest import Call
from tests.engine.matrices import sync, week


@pytest.fixture
def changed() -> Iterator[str]:
    """A week of which research of two items is completed; one of the items changed since."""
    Path(".tasktrail").mkdir()
    with closing(open_store(".tasktrail/tasktrail.db")) as store:
        ledger = Ledger(store, actor="ann")
        run = week(ledger, "A", Wanted("a b", content_hash="1"), Wanted("c", content_hash="1"))
        for item in ("a b", "c"):
            move_cell(ledger, run, (item, "research"), CellMove("completed"))
        sync(ledger, run, Wanted("a b", content_hash="2"), Wanted("c", content_hash="1"))
        yield "A"


def test_stale_tasks_are_named_and_taken_up_again(changed: str, call: Call) -> None:
    assert "a b/research is completed, but stale: item a b became another one" in call("explain", changed).out
    assert "completed, stale" in call("show", "A:a b/research").out
    assert "reopen --stale A" in call("explain", changed).out

    dry = call("reopen", "--stale", changed, "--dry-run")
    assert (dry.code, dry.out) == (0, "A:a b/research\n")
    assert "nothing was changed" in dry.err
    assert call("show", "A:a b/research", "--json").data["stale"] is True

    answer = call("reopen", "--stale", changed, "--json")
    assert answer.document["schema"] == "tasktrail/reopened@1"
    assert answer.data == {"run": "A", "dry_run": False, "tasks": ["A:a b/research"]}
    assert call("show", "A:a b/research", "--json").data["status"] == "pending"

    again = call("reopen", "--stale", changed)
    assert (again.code, again.out) == (0, "")
    assert "nothing of matrix A is stale" in again.err


def test_why_they_are_taken_up_is_in_their_history(changed: str, call: Call) -> None:
    answer = call("reopen", "--stale", changed, "--note", "new sources")
    assert "1 task of matrix A to do again" in answer.err
    assert "“new sources”" in call("history", "A:a b/research").out


def test_a_rehearsal_goes_with_stale_alone(changed: str, call: Call) -> None:
    answer = call("reopen", "A:c/research", "--dry-run")
    assert answer.code == 2
    assert "--dry-run goes with --stale" in answer.err
    assert call("show", "A:c/research", "--json").data["status"] == "completed"
