"""The store of experiences: appended once, read back whole, never changed. On a file and on a server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import step
from tasktrail.engine.verification import verify
from tasktrail.executions import (
    Content,
    DuplicateExperience,
    Experience,
    ExperienceType,
    ImmutabilityViolation,
    RawStore,
    RawStoreError,
)
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.testing import FakeClock
from tests.executions.told import START, raised, told
from tests.postgres import Server


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield str(tmp_path / "raw.db")
        return
    server: Server = request.getfixturevalue("server")
    with server.schema() as schema:
        yield schema


@pytest.fixture
def store(url: str) -> Iterator[RawStore]:
    with RawStore(url) as store:
        yield store


def events(store: RawStore) -> list[tuple[str, dict[str, Any]]]:
    """Verb and changes of all events."""
    query = {"after": 0, "until": 1_000_000, "run_id": None, "task_id": None, "limit": 100}
    rows = store._ledger.store.read(lambda tx: tx.rows("events_between", **query))
    return [(str(row[3]), json.loads(str(row[7]))) for row in rows]


def at(seconds: float, **given: Any) -> Experience:
    return told(started_at=START + timedelta(seconds=seconds), **given)


# ------------------------------------------------------------------------------------------------------------ appending


@pytest.mark.requirement("AX-034", "AX-050", "AX-049", "AX-051", "AX-045", "AX-062", "AX-088")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"status": "failed", "error": ValueError("no")},
        {"status": "aborted", "response_text": "", "attempt": 3, "retry_of": "s2", "trace_id": "t", "span_id": "s3"},
        {"parent_experience_ids": ["a", "b"], "retrieval_metadata": {"source": ["x"]}, "files_written": ["ä.md"]},
        {"ended_at": START - timedelta(1), "tool_calls": [{"deep": {"list": [1, 2.5, None, True]}}]},
        {"more": {"inputs": {"a": 1}, "output": ["x" * 5000], "usage": {"input_tokens": 7}}},
        {"started_at": START + timedelta(microseconds=123_456), "scheduled_vs_manual": "manual"},
    ],
)
def test_what_is_read_back_is_what_was_stored(store: RawStore, given: dict[str, Any]) -> None:
    experience = told(**given)
    assert store.get_experience(experience.id) is None

    assert store.append_experience(experience) == experience.id

    assert store.get_experience(experience.id) == experience
    assert store.get_by_trace_id(experience.content.structured["trace_id"]) == [experience]
    assert store.list_task_executions(task_id="daily") == [experience]
    assert store.list_by_session(str(experience.session_id)) == [experience]


@pytest.mark.requirement("AX-016", "AX-024", "AX-087")
def test_no_byte_of_an_address_reaches_the_file(tmp_path: Path) -> None:
    path = tmp_path / "raw.db"
    with RawStore(path) as store:
        error = raised(ValueError("cannot mail ann.somebody@example.org"))
        kept = store.append_experience_idempotent(told(status="failed", error=error, trace_id="t-1"))

        (found,) = store.get_by_trace_id("t-1")
        assert found.id == kept
        assert found.content.structured["error"]["message"] == "cannot mail [email]"
        for file in tmp_path.iterdir():
            assert b"somebody" not in (file.read_bytes() if file.is_file() else b"")


def test_an_experience_made_by_hand_is_scrubbed_when_it_is_stored(store: RawStore) -> None:
    """And so is one of the factory's that was changed since: what was scrubbed is known by identity."""
    one = told(status="failed", error=ValueError("no"))
    one.content.structured["error"]["message"] = "mail ann@example.org"
    by_hand = replace(told(), content=Content("mail ann@example.org", {"task_id": "hand", "status": "success"}))
    for experience in (one, by_hand):
        store.append_experience(experience)

    found = store.get_experience(one.id)
    assert found is not None
    assert found.content.structured["error"]["message"] == "mail [email]"
    (found,) = store.list_task_executions("hand")
    assert found.content.text == "mail [email]"


@pytest.mark.requirement("AX-008", "AX-010", "AX-087")
def test_a_known_key_returns_the_first_id_and_leaves_one_row(store: RawStore) -> None:
    first, again = told(), told(response_text="another answer")

    assert store.append_experience_idempotent(first) == first.id
    assert store.append_experience_idempotent(again) == first.id
    assert store.append_experience_idempotent(told(), "a key of my own") != first.id

    assert store.count_experiences() == 2
    found = store.get_experience(first.id)
    assert found is not None
    assert found.content.text == "Daily reflection: success", "a replay returns the original"


@pytest.mark.requirement("AX-009")
def test_of_many_that_bring_one_key_at_once_one_leaves_a_row_and_all_get_its_id(url: str) -> None:
    barrier = threading.Barrier(8)

    def bring(number: int) -> str:
        with RawStore(f"{url}&application_name=w{number}" if "://" in url else url) as store:
            barrier.wait()
            return store.append_experience_idempotent(told(response_text=str(number)))

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(bring, range(8)))

    with RawStore(url) as store:
        assert store.count_experiences() == 1
        assert ids == {store.list_recent()[0].id}


@pytest.mark.requirement("AX-011")
def test_a_known_id_is_refused(store: RawStore) -> None:
    one = told()
    store.append_experience(one)

    with pytest.raises(RawStoreError, match="already exists"):
        store.append_experience(one)
    with pytest.raises(DuplicateExperience, match=f"record {one.id} already exists"):
        store.append_experience_idempotent(one, "another key")
    assert store.count_experiences() == 1


def test_a_second_record_of_one_key_is_kept_where_it_is_appended(store: RawStore) -> None:
    first, second = told(), told()
    store.append_experience(first)
    store.append_experience(second)

    assert store.get_experience(second.id) == second, "its key, too"
    assert store.append_experience_idempotent(told()) == first.id


def test_one_call_is_one_event_and_a_replay_is_none(store: RawStore) -> None:
    one, *more = [at(second) for second in range(5)]
    store.append_experience(one)
    ids = store.append_many(more)
    store.append_many(more)

    assert events(store) == [
        ("recorded", {"id": [None, one.id]}),
        ("recorded", {"records": [0, 4], "id": [ids[0], ids[3]]}),
    ]


def test_of_a_batch_with_a_fault_nothing_is_stored(store: RawStore) -> None:
    bad = replace(at(2), content=Content("x", {"status": "done"}))

    with pytest.raises(BadInput, match="expected status to be success, failed, aborted, got: 'done'"):
        store.append_many([at(1), bad])
    with pytest.raises(BadInput, match="to have an idempotency key, got none"):
        store.append_many([at(1), replace(at(3), content=Content("x", {"status": "success"}))])

    assert store.count_experiences() == 0
    assert events(store) == []


@pytest.mark.requirement("AX-043")
def test_records_are_neither_changed_nor_deleted(store: RawStore) -> None:
    one = told()
    store.append_experience(one)

    with pytest.raises(ImmutabilityViolation, match="Cannot update"):
        store.update_experience(one.id, content="x")
    with pytest.raises(ImmutabilityViolation, match="Cannot delete"):
        store.delete_experience(one.id)
    with pytest.raises(FrozenInstanceError):
        one.id = "another"  # type: ignore[misc]  # that it is refused is what is shown
    assert store.tombstone_experience(one.id) is False
    assert store.get_experience(one.id) == one


@pytest.mark.requirement("AX-048", "AX-047", "AX-046")
def test_observations_are_kept_beside_executions(store: RawStore) -> None:
    one = told()
    store.append_experience(one)

    drawn = store.append_observation("it rained; ask ann@example.org", [one.id])
    named = store.append_observation("it did not", [one.id, drawn], experience_id="obs-2", structured={"mood": 3})

    found = store.get_experience(named)
    assert found is not None
    assert (found.type, found.parents, found.content.structured) == (
        ExperienceType.OBSERVATION, [one.id, drawn], {"mood": 3},
    )  # fmt: skip
    assert {each.content.text for each in store.list_recent(experience_type="observation")} == {
        "it rained; ask [email]", "it did not",
    }  # fmt: skip
    assert [store.count_experiences(), store.count_experiences("observation")] == [3, 2]
    assert store.list_task_executions() == [one]
    with pytest.raises(RawStoreError, match="already exists"):
        store.append_observation("again", experience_id="obs-2")


# ---------------------------------------------------------------------------------------------------------------- lists


@pytest.mark.requirement("AX-054", "AX-055", "AX-056", "AX-057", "AX-087")
def test_lists_are_filtered_and_the_newest_comes_first(store: RawStore) -> None:
    for second in range(6):
        experience = at(second, task_id="odd" if second % 2 else "even", status="failed" if second > 3 else "success")
        if second in (1, 2):
            experience.content.structured["backfilled"] = second == 1
        store.append_experience(experience)

    def seconds(**given: Any) -> list[float]:
        return [(one.created_at - START).total_seconds() for one in store.list_task_executions(**given)]

    assert seconds() == [5, 4, 3, 2, 1, 0]
    assert seconds(task_id="odd") == [5, 3, 1]
    assert seconds(status="failed") == [5, 4]
    assert seconds(task_id="even", status="success", limit=1) == [2]
    assert seconds(since=START + timedelta(seconds=4)) == [5, 4], "the bound is included"
    assert seconds(since="2025-11-05T14:15:04") == [5, 4], "naive is UTC"
    assert seconds(backfilled=True) == [1]
    assert seconds(backfilled=False) == [5, 4, 3, 2, 0], "what says nothing of it was not"
    assert seconds(task_id="nobody") == []
    assert store.list_task_executions(backfilled=True)[0].content.structured["backfilled"] is True


@pytest.mark.requirement("AX-059")
def test_limits_are_moved_to_what_can_be(store: RawStore) -> None:
    store.append_many([at(second) for second in range(150)])

    lengths = [len(store.list_task_executions(limit=limit)) for limit in (-5, 0, 1, 100, 101, 1000)]
    assert lengths == [1, 1, 1, 100, 101, 101]
    assert len(store.list_task_executions()) == 20
    assert len(store.list_recent()) == 10


@pytest.mark.parametrize(
    ("given", "message"),
    [({"status": "done"}, "expected status to be"), ({"since": "soon"}, "expected since to be an ISO 8601 time")],
)
def test_a_filter_that_cannot_be_is_refused(store: RawStore, given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        store.list_task_executions(**given)


@pytest.mark.requirement("AX-046", "AX-045")
def test_an_empty_store_has_nothing(store: RawStore) -> None:
    assert store.list_recent() == store.list_task_executions() == store.get_by_trace_id("t") == []
    assert store.get_experience("nobody") is None
    assert store.get_experience("nobody@1") is None
    assert store.list_by_session("task:x") == []
    assert store.count_experiences() == 0


@pytest.mark.requirement("AX-058", "AX-001", "AX-004", "AX-087")
def test_a_trace_has_all_its_attempts_in_order(store: RawStore) -> None:
    for number in (3, 1, 2):
        store.append_experience(at(number, trace_id="t", span_id=f"s{number}", attempt=number,
                                   retry_of=f"s{number - 1}" if number > 1 else None))  # fmt: skip
    store.append_experience(at(9, trace_id="another"))

    attempts = store.get_by_trace_id("t")

    assert [one.content.structured["attempt"] for one in attempts] == [1, 2, 3]
    assert [one.content.structured["retry_of"] for one in attempts] == [None, "s1", "s2"]


def test_what_tasktrail_executed_is_listed_with_what_was_told(store: RawStore) -> None:
    flaw = ["first"]

    async def load() -> str:
        if flaw:
            flaw.pop()
            raise ValueError("no file of ann@example.org")
        return "rows"

    ledger = Ledger(store._ledger.store, actor="tester", clock=FakeClock())
    run = ledger.create_run(RunDraft("dag", "etl-1", "etl", (TaskDraft("load", max_retries=1),)))
    asyncio.run(Runner(ledger, run.id, Plan({"load": step("load", load)})).execute())
    store.append_experience(told(started_at=datetime(1999, 1, 1)))

    (failed,) = store.list_task_executions(status="failed")
    (passed,) = store.list_task_executions("etl-1:load", status="success")
    assert failed.id == "dag/etl-1:load@1"
    assert failed.content.structured["error"]["message"] == "no file of [email]"
    assert failed.content.structured["trace_id"] == passed.content.structured["trace_id"]
    assert passed.content.structured["retry_of"] == failed.content.structured["span_id"]
    assert passed.content.structured["output"] == "rows"
    assert store.get_by_trace_id(failed.content.structured["trace_id"]) == [failed, passed]
    assert store.get_experience(passed.id) == passed
    assert [one.content.structured["task_id"] for one in store.list_task_executions()] == [
        "etl-1:load", "etl-1:load", "daily",
    ]  # fmt: skip
    assert store.list_task_executions(backfilled=True) == []
    assert store.count_experiences() == 3
    assert len(store.list_recent()) == 3
    assert verify(ledger.store) == []
