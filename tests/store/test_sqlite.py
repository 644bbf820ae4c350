"""The store in one SQLite file and in memory: the contract, and which files it takes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasktrail.engine.verification import verify
from tasktrail.model.errors import NewerStore, NotAStore, StoreError
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore
from tasktrail.store.sqlite_file import APPLICATION_ID
from tasktrail.testing import StoreContract
from tests import processes
from tests.store.stores import a_closed_store, digest, fill, names_in, spin, sql


class _OneWriter(StoreContract):
    def await_queued(self, store: Store, callers: int) -> None:
        assert isinstance(store, SqliteStore)
        spin(lambda: len(store._group._waiting) == callers)


class TestFile(_OneWriter):
    examples = 30

    @pytest.fixture
    def store(self, path: Path) -> Iterator[SqliteStore]:
        store = SqliteStore(path)
        yield store
        store.close()

    def await_writer(self, store: Store, written: Callable[[], bool]) -> None:
        spin(written)


class TestMemory(_OneWriter):
    @pytest.fixture
    def store(self) -> Iterator[SqliteStore]:
        store = SqliteStore(None)
        yield store
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasktrail.db"


# ---------------------------------------------------------------------------------------- files that are not our store


@pytest.mark.parametrize(
    "content",
    [b"just a text\n" * 30, b"\x89PNG\r\n", b"SQLite format 3\0", b"SQLite format 3\0" + b"\0" * 60, b"x"],
    ids=["text", "picture", "header alone", "truncated header", "one byte"],
)
def test_a_file_that_is_no_database_is_refused_and_stays_as_it_was(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(NotAStore, match=re.escape(f"{path} is no Tasktrail store")):
        SqliteStore(path)

    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_database_with_a_broken_body_is_refused_and_stays_as_it_was(path: Path) -> None:
    content = b"SQLite format 3\0" + b"\x10\0\1\1\0\x40\x20\x20" + b"\xff" * 4000
    path.write_bytes(content)

    with pytest.raises(StoreError):
        SqliteStore(path)

    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "marks",
    [("PRAGMA application_id = 252006673",), (), ("PRAGMA user_version = 99",)],
    ids=["another application", "no application", "a version of its own"],
)
def test_a_database_of_another_program_is_refused_and_stays_as_it_was(path: Path, marks: tuple[str, ...]) -> None:
    sql(path, "CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)", *marks)
    before = digest(path)

    with pytest.raises(NotAStore, match="is a SQLite database of another program"):
        SqliteStore(path)

    assert digest(path) == before


def test_a_newer_store_is_refused_with_both_versions_and_stays_as_it_was(path: Path) -> None:
    sql(a_closed_store(path), "PRAGMA user_version = 99")
    before = digest(path)

    with pytest.raises(NewerStore, match=r"has schema version 99; this Tasktrail knows versions up to \d+") as error:
        SqliteStore(path)

    assert error.value.hint == "pip install --upgrade tasktrail"
    assert digest(path) == before


def test_a_store_whose_migrations_are_not_ours_is_refused_and_stays_as_it_was(path: Path) -> None:
    sql(a_closed_store(path), "UPDATE migration SET checksum = 'other' WHERE number = 1")
    before = digest(path)

    with pytest.raises(StoreError, match="migration 1 is not the one this Tasktrail ships"):
        SqliteStore(path)

    assert digest(path) == before


def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAStore, match="is a folder"):
        SqliteStore(tmp_path)
    with pytest.raises(StoreError, match="cannot be created: No such file or directory"):
        SqliteStore(tmp_path / "missing" / "tasktrail.db")


READ_ONLY = """
import os, stat, sys, tempfile
from pathlib import Path
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft
from tasktrail.model.errors import StoreError
from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    old = folder / "old.db"
    store = SqliteStore(old)
    Ledger(store, actor="x").create_run(RunDraft("dag", "r", "r"))
    store.close()
    before = old.read_bytes()
    old.chmod(0o444)
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    for path in (folder / "new.db", old):
        try:
            store = SqliteStore(path)
            Ledger(store, actor="x").create_run(RunDraft("dag", "second", "r"))
        except StoreError as error:
            print(path.name, type(error).__name__, str(error).replace(str(folder), "FOLDER"), "|", error.hint)
    if os.geteuid() == 65534:
        os.seteuid(0)
    folder.chmod(0o755)
    assert old.read_bytes() == before
    print(sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.platform_only("POSIX permissions")
def test_in_a_read_only_folder_the_error_is_typed_and_nothing_changes() -> None:
    new, old, left = processes.run(READ_ONLY).splitlines()

    assert new == "new.db StoreError FOLDER/new.db cannot be created: Permission denied | tasktrail --store FILE"
    assert old.startswith("old.db StoreError FOLDER/old.db cannot be ")
    assert left == "['old.db']"


# ------------------------------------------------------------------------------------------------------------- opening


def test_a_new_file_is_marked_as_ours_and_private(path: Path) -> None:
    old = os.umask(0o022)
    try:
        store = SqliteStore(path)
        fill(store)
    finally:
        os.umask(old)

    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir() if file.is_file()}
    assert modes == {"tasktrail.db": "0o600", "tasktrail.db-shm": "0o600", "tasktrail.db-wal": "0o600"}
    store.close()
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION_ID


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    assert verify(SqliteStore(path)) == []


def test_a_process_has_one_store_per_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(path)
    store = open_store(str(path))

    assert open_store(f"sqlite:///{path}") is store
    assert open_store(str(tmp_path / "link.db")) is store
    assert open_store("memory:") is not open_store("memory:")


def test_everything_acknowledged_is_there_after_opening_again(path: Path) -> None:
    store = SqliteStore(a_closed_store(path))

    assert names_in(store) == ["r"]
    assert store.integrity() == []


def test_readers_of_many_threads_share_connections(path: Path) -> None:
    store = SqliteStore(path)
    fill(store)

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: names_in(store), range(800)))

    assert found == [["r"]] * 800
    store.close()
