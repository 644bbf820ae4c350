"""Lists, figures and the index of run files; the index is made from the files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import DAGRunStatus, DAGRunStore
from tasktrail.engine.verification import verify
from tasktrail.model.errors import BadInput
from tasktrail.testing import FakeClock
from tests.dag.run_files import (
    everything,
    got,
    index,
    made,
    names,
    new_run,
    path_of,
    said,
)


@pytest.fixture
def five(store: DAGRunStore) -> DAGRunStore:
    """Runs a to e, changed in this order, an hour apart: success, success, failed, partial success, created."""
    clock = FakeClock()
    store.ledger.clock = clock
    for name, ends in (("a", "ss"), ("b", "ss"), ("c", "ff"), ("d", "sf"), ("e", "")):
        clock.advance(3600)
        run = new_run(name, "nightly" if name in "bd" else "etl", ("one", "two"))
        for key, end in zip(("one", "two"), ends, strict=False):
            run.steps[key].start()
            run.steps[key].complete() if end == "s" else run.steps[key].fail("boom")
            run.steps[key].metadata["critical"] = False
        store.create(run)
    return store


@pytest.mark.requirement("BL-056")
def test_runs_are_listed_last_change_first_with_filters_and_a_limit(five: DAGRunStore) -> None:
    def ids(**options: Any) -> list[str]:
        return [one["run_id"] for one in five.list_runs(**options)]

    assert ids() == ["e", "d", "c", "b", "a"]
    assert ids(limit=2) == ["e", "d"]
    assert (ids(limit=0), ids(limit=-1)) == ([], [])
    assert ids(dag_id="nightly") == ["d", "b"]
    assert ids(status="success") == ids(status=DAGRunStatus.SUCCESS) == ["b", "a"]
    assert ids(dag_id="nightly", status="success", limit=1) == ["b"]
    assert ids(dag_id="none") == []
    assert five.list_runs()[1] == {
        "run_id": "d", "dag_id": "nightly", "status": "partial_success",
        "created_at": said(five, "d")["created_at"], "updated_at": "2026-01-01T04:00:00+00:00",
    }  # fmt: skip
    with pytest.raises(ValueError, match="done"):
        five.list_runs(status="done")


@pytest.mark.requirement("BL-056")
def test_a_change_brings_a_run_to_the_front(five: DAGRunStore) -> None:
    assert isinstance(five.ledger.clock, FakeClock)
    five.ledger.clock.advance(60)
    run = got(five, "a")
    run.metadata["note"] = "looked at"
    five.update(run)

    assert [one["run_id"] for one in five.list_runs()] == ["a", "e", "d", "c", "b"]


@pytest.mark.requirement("BL-057")
def test_active_runs_are_those_that_are_not_over(five: DAGRunStore) -> None:
    run = new_run("f")
    run.steps["fetch"].start()
    run.steps["fetch"].fail("once")
    run.steps["fetch"].retry()
    five.create(run)

    assert {one["run_id"]: one["status"] for one in five.get_active_runs()} == {"e": "created", "f": "retry"}


@pytest.mark.requirement("BL-058")
def test_statistics_count_per_status_and_give_the_rate_in_percent(five: DAGRunStore) -> None:
    five.delete("d")
    five.delete("e")

    assert five.get_statistics() == {
        "total_runs": 3, "by_status": {"success": 2, "failed": 1}, "success_rate": 66.67,
    }  # fmt: skip
    assert five.get_statistics("nightly") == {"total_runs": 1, "by_status": {"success": 1}, "success_rate": 100.0}
    assert five.get_statistics("none") == {"total_runs": 0, "by_status": {}, "success_rate": 0.0}


@pytest.mark.requirement("BL-059")
def test_old_runs_that_are_over_are_removed_whatever_their_end(five: DAGRunStore) -> None:
    assert isinstance(five.ledger.clock, FakeClock)
    five.ledger.clock.advance(30 * 86_400 - 2.5 * 3600)  # b is 30 days and half an hour old, c half an hour less
    assert five.cleanup_old_runs() == 2
    assert [one["run_id"] for one in five.list_runs()] == ["e", "d", "c"]

    five.ledger.clock.advance(86_400)
    assert five.cleanup_old_runs(days=30) == 2
    assert five.cleanup_old_runs(days=0) == 0
    assert [one["run_id"] for one in five.list_runs()] == ["e"]
    assert names(five) == ["e"]
    assert sorted(path.name for path in five.storage_path.glob("run_*.json")) == ["run_e.json"]


# ------------------------------------------------------------------------------------------------------------ the index


@pytest.mark.requirement("BL-060")
def test_the_index_says_of_each_run_what_the_list_says(five: DAGRunStore) -> None:
    assert {one["run_id"]: one for one in five.list_runs()} == index(five)

    run = got(five, "e")
    run.steps["one"].start()
    five.update(run)
    five.delete("a")

    assert index(five)["e"]["status"] == "running"
    assert sorted(index(five)) == ["b", "c", "d", "e"]


@pytest.mark.requirement("BL-062")
@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe\0", b'{"gone": {"run_id": "gone"}}', b"<<<<<<< HEAD\n{}\n"],
    ids=ascii,
)
def test_an_index_that_is_lost_or_broken_is_made_from_the_files(five: DAGRunStore, content: bytes | None) -> None:
    before, path = index(five), five.storage_path / "dag_runs_index.json"

    def spoil() -> None:
        path.unlink() if content is None else path.write_bytes(content)

    spoil()
    assert [one["run_id"] for one in five.list_runs()] == ["e", "d", "c", "b", "a"]
    assert index(five) == before
    spoil()
    made(five, "new")
    assert index(five)["new"]["status"] == "created"
    assert [one["run_id"] for one in five.list_runs()] == ["e", "new", "d", "c", "b", "a"]


@pytest.mark.requirement("BL-062")
def test_index_and_store_are_made_again_from_the_files_alone(
    five: DAGRunStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for path in five.storage_path.glob("run_*.json"):
        shutil.copy(path, elsewhere)
    again = DAGRunStore(elsewhere)
    assert again.ledger.store.path is not None

    assert again.get_statistics() == five.get_statistics()
    assert index(again).keys() == index(five).keys()
    for name in "abcde":
        assert (index(again)[name]["dag_id"], index(again)[name]["status"]) == (
            index(five)[name]["dag_id"], index(five)[name]["status"],
        )  # fmt: skip
        assert path_of(again, name).read_bytes() == path_of(five, name).read_bytes()
    assert verify(again.ledger.store) == []


def test_a_right_index_is_not_written_again(five: DAGRunStore) -> None:
    five.list_runs()
    before = everything(Path("runs"))

    five.list_runs()
    five.get_statistics()

    assert everything(Path("runs")) == before


def test_files_that_are_no_run_files_are_let_alone(five: DAGRunStore) -> None:
    for name in ("run_.json", "run_a b.json", "run_x.json.bak", "other.json", "run_a.txt"):
        (five.storage_path / name).write_text("{")
    (five.storage_path / "run_folder.json").mkdir()

    assert len(five.list_runs()) == 5


@pytest.mark.requirement("BL-062")
def test_one_broken_file_does_not_hide_the_others(five: DAGRunStore, caplog: pytest.LogCaptureFixture) -> None:
    path_of(five, "b").write_text('{"run_id": "b",\n  "steps": [}')
    path_of(five, "new").write_text("{")

    assert [one["run_id"] for one in five.list_runs()] == ["e", "d", "c", "b", "a"]

    assert "run_b.json:2:13" in caplog.text
    assert "run_new.json:1:2" in caplog.text
    with pytest.raises(BadInput, match=r"run_b\.json:2:13"):
        five.get("b")
    with pytest.raises(BadInput, match=r"run_b\.json:2:13"):
        five.delete("b")
    assert five.delete("a")
