"""Migrations: numbered, checksummed, forward only, and a copy of the file before an upgrade."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import apsw
import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plans import read_plan, task_in
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import NewerStore, StoreError
from tasktrail.model.lifecycle import Ask
from tasktrail.store import migrate
from tasktrail.store.migrate import Migration, migrations
from tasktrail.store.sqlite import SqliteStore

NEXT = Migration(migrate.latest("sqlite") + 1, "shelf", "CREATE TABLE shelf (a INTEGER) STRICT;")
KIND = Migration(NEXT.number, "shelf", f"-- oldest: {migrate.latest('sqlite')}\n{NEXT.text}")
BROKEN = Migration(NEXT.number + 1, "broken", "CREATE TABLE half (a); CREATE TABLE half (a);")


def know(monkeypatch: pytest.MonkeyPatch, *more: Migration) -> None:
    """Let the program be a later one that ships these migrations too."""
    known = (*migrations("sqlite"), *more)
    monkeypatch.setattr(migrate, "migrations", lambda _: known)


def a_store(path: Path) -> None:
    store = SqliteStore(path)
    Ledger(store, actor="tester").create_run(RunDraft("dag", "r", "r", (TaskDraft("a"),)))
    store.close()


def schema(path: Path) -> list[object]:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    found: list[object] = [*connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name")]
    connection.close()
    return found


def table_names(path: Path) -> set[object]:
    return {row[1] for row in schema(path)}  # type: ignore[index]  # rows of three


def version(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[60:64], "big")


def test_numbers_count_from_one_without_gaps() -> None:
    numbers = [migration.number for migration in migrations("sqlite")]

    assert numbers == list(range(1, len(numbers) + 1))
    assert migrate.latest("sqlite") == numbers[-1]


def test_a_checksum_is_that_of_the_text() -> None:
    assert Migration(1, "x", "").checksum == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert NEXT.checksum != Migration(NEXT.number, NEXT.name, NEXT.text + " ").checksum


def test_a_new_store_has_all_migrations_and_remembers_them(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    a_store(path)
    connection = apsw.Connection(str(path))
    applied = connection.execute("SELECT number, name, checksum FROM migration ORDER BY number").fetchall()
    connection.close()

    assert applied == [(one.number, one.name, one.checksum) for one in migrations("sqlite")]
    assert version(path) == migrate.latest("sqlite")


def test_what_is_pending() -> None:
    assert migrate.pending("sqlite", 0) == migrations("sqlite")
    assert migrate.pending("sqlite", migrate.latest("sqlite")) == ()
    assert migrate.pending("sqlite", 99) == ()


def test_a_program_may_go_on_after_a_migration_that_says_so() -> None:
    newest = migrate.latest("sqlite")
    assert (NEXT.oldest, KIND.oldest) == (NEXT.number, newest)

    migrate.refuse_newer("sqlite", 99, newest, "x.db")
    with pytest.raises(NewerStore, match=r"x\.db has schema version 99; this Tasktrail knows versions up to \d+"):
        migrate.refuse_newer("sqlite", 99, newest + 1, "x.db")


def test_a_changed_or_unknown_migration_is_refused() -> None:
    applied = [(one.number, one.checksum) for one in migrations("sqlite")]
    migrate.check("sqlite", applied, "x.db")

    with pytest.raises(StoreError, match=r"x\.db: migration 1 is not the one this Tasktrail ships"):
        migrate.check("sqlite", [(1, "other")], "x.db")


def test_an_upgrade_keeps_a_copy_of_the_file_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    a_store(path)
    old = schema(path)
    know(monkeypatch, NEXT)

    store = SqliteStore(path)
    assert [run.name for run in store.read(lambda tx: tx.runs("runs_of_workflow", workflow="r", limit=9))] == ["r"]
    store.close()

    assert version(path) == NEXT.number
    assert "shelf" in table_names(path)
    copy = tmp_path / f"old.db.before-version-{NEXT.number}-from-{NEXT.number - 1}"
    assert schema(copy) == old
    assert version(copy) == NEXT.number - 1
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_store_grown_step_by_step_equals_a_fresh_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_store(tmp_path / "grown.db")
    know(monkeypatch, NEXT)
    a_store(tmp_path / "fresh.db")
    SqliteStore(tmp_path / "grown.db").close()

    assert schema(tmp_path / "grown.db") == schema(tmp_path / "fresh.db")


def test_a_store_of_the_first_version_is_the_same_store_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are those that a program of that version wrote."""
    path = tmp_path / "old.db"
    first = migrations("sqlite")[:1]
    with monkeypatch.context() as then:
        then.setattr(migrate, "migrations", lambda _: first)
        SqliteStore(path).close()
    connection = apsw.Connection(str(path))
    connection.execute(Path(__file__).with_name("version_1.sql").read_text(encoding="utf-8"))
    connection.close()
    assert version(path) == 1

    store = SqliteStore(path)
    ledger = Ledger(store, actor="tester")
    plan = read_plan(ledger, "shop")
    assert plan is not None
    assert [(task.key, task.status) for task in plan.tasks] == [
        ("T1", "completed"), ("T2", "failed"), ("T3", "pending"),
    ]  # fmt: skip
    ledger.ask(store.read(lambda tx: task_in(tx, plan.run, "T2")).id, Ask("complete"))

    assert store.read(lambda tx: task_in(tx, plan.run, "T3")).unmet == 0
    assert verify(store) == []
    store.close()
    a_store(tmp_path / "fresh.db")
    assert schema(path) == schema(tmp_path / "fresh.db")


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    a_store(path)
    before = schema(path)
    know(monkeypatch, NEXT, BROKEN)

    with pytest.raises(StoreError, match="table half already exists"):
        SqliteStore(path)

    assert schema(path) == before
    assert version(path) == NEXT.number - 1
    know(monkeypatch)
    SqliteStore(path).close()


def test_an_older_program_refuses_what_a_newer_one_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.db"
    with monkeypatch.context() as later:
        know(later, NEXT)
        a_store(path)
    before = path.read_bytes()

    with pytest.raises(NewerStore, match=f"has schema version {NEXT.number}; this Tasktrail knows versions up to"):
        SqliteStore(path)

    assert path.read_bytes() == before


@pytest.mark.platform_only("the other processes know the later program by being forked from this one")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_several_that_upgrade_at_once_upgrade_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes, not threads: closing a file here would drop the locks of every store object of this process."""
    path = tmp_path / "old.db"
    a_store(path)
    know(monkeypatch, NEXT)
    forked = multiprocessing.get_context("fork")
    at_once = forked.Barrier(4)

    def upgrade() -> None:
        at_once.wait(60)
        SqliteStore(path).close()

    processes = [forked.Process(target=upgrade) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * 4
    assert version(path) == NEXT.number


def test_migrations_that_stores_have_never_change() -> None:
    """Stores of the versions that wrote them would be refused."""
    known = {
        ("sqlite", 1): "afb604042f55",
        ("sqlite", 2): "400f665e348f",
        ("postgres", 1): "7f397ca05f35",
        ("postgres", 2): "5a731ebd3a90",
    }

    assert {key: migrations(key[0])[key[1] - 1].checksum[:12] for key in known} == known
