"""What is no store, cannot be written or has no room: a clear error through the door, and nothing is changed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tasktrail.dag import DAGRunStatus, StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft
from tasktrail.model.errors import NewerStore, NotAStore, StoreError
from tasktrail.store.opening import open_store
from tests.crash.processes import LONGEST_S, child, environment

pytestmark = pytest.mark.crash

NOBODY = 65534


def picture(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Return mode and content of all that a folder holds, as what may change in it."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the project's store is looked for."""
    (tmp_path / ".tasktrail").mkdir()
    return tmp_path / ".tasktrail" / "tasktrail.db"


def execute() -> None:
    """Use the project's store as a program does."""
    runner = StatefulDAGRunner("etl")
    runner.register_step("a", lambda: 1)
    asyncio.run(runner.execute())


def a_store(path: Path) -> None:
    """Make a whole store there, closed and forgotten, as by a program that has ended."""
    store = open_store(str(path))
    Ledger(store, actor="tester").create_run(RunDraft("dag", "kept", "etl"))
    store.close()
    del store
    gc.collect()


def a_text(path: Path) -> None:
    path.write_text("# Task Cards\n" * 100)


def another_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE task (id); INSERT INTO task VALUES (7);")
    connection.close()


def a_newer_store(path: Path) -> None:
    a_store(path)
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA user_version = 999; PRAGMA journal_mode = DELETE;")
    connection.close()


def a_store_with_another_migration(path: Path) -> None:
    a_store(path)
    connection = sqlite3.connect(path)
    connection.executescript("UPDATE migration SET checksum = 'other'; PRAGMA journal_mode = DELETE;")
    connection.close()


def half_a_store(path: Path) -> None:
    a_store(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 // 4096 * 4096])


def a_folder(path: Path) -> None:
    path.mkdir()


def a_header_alone(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (a_text, NotAStore, "is no Tasktrail store"),
        (another_database, NotAStore, "is a SQLite database of another program"),
        (a_newer_store, NewerStore, "has schema version 999; this Tasktrail knows versions up to"),
        (a_store_with_another_migration, StoreError, "migration 1 is not the one this Tasktrail ships"),
        (a_folder, NotAStore, "is a folder"),
        (a_header_alone, NotAStore, "is no Tasktrail store"),
    ],
)
def test_what_is_no_store_of_this_program_is_refused_and_stays_as_it_was(
    place: Path, make: object, kind: type[StoreError], words: str
) -> None:
    make(place)  # type: ignore[operator]  # one of the functions above
    before = picture(place.parent)

    with pytest.raises(kind, match=words) as error:
        execute()

    assert str(place) in str(error.value)
    assert error.value.hint or make is a_store_with_another_migration
    assert picture(place.parent) == before


def test_a_store_of_which_half_is_lost_is_said_to_be_damaged_and_stays_as_it_was(place: Path) -> None:
    half_a_store(place)
    before = place.read_bytes()

    with pytest.raises(StoreError, match="is damaged") as error:
        execute()

    assert error.value.hint == "tasktrail restore BACKUP"
    assert place.read_bytes() == before


def test_an_empty_file_becomes_a_store(place: Path) -> None:
    place.touch()

    assert StatefulDAGRunner("etl").dag_run.status is DAGRunStatus.CREATED


# --------------------------------------------------------------------------------------------------------- not writable


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into; pytest's own are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="tasktrail-"))
    folder.chmod(0o755)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Root may write anywhere; so be somebody else for a while."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_a_store_that_is_read_only_is_refused_and_stays_as_it_was(open_folder: Path, what: str) -> None:
    path = open_folder / ".tasktrail" / "tasktrail.db"
    path.parent.mkdir()
    a_store(path)
    path.chmod(0o444 if what in ("file", "both") else 0o666)
    path.parent.chmod(0o555 if what in ("folder", "both") else 0o777)
    before = picture(open_folder)

    with without_privileges(), pytest.raises(StoreError) as error:
        StatefulDAGRunner("etl")

    assert str(path) in str(error.value)
    assert error.value.hint
    assert picture(open_folder) == before
    path.chmod(0o666)
    path.parent.chmod(0o777)
    with without_privileges():
        assert StatefulDAGRunner("etl").dag_run.status is DAGRunStatus.CREATED


def test_a_project_folder_that_is_read_only_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o555)

    with without_privileges(), pytest.raises(StoreError, match="cannot make") as error:
        StatefulDAGRunner("etl")

    assert error.value.hint
    assert picture(open_folder) == {}


def test_a_store_that_cannot_be_read_is_refused(open_folder: Path) -> None:
    path = open_folder / ".tasktrail" / "tasktrail.db"
    path.parent.mkdir()
    a_store(path)
    path.chmod(0)
    path.parent.chmod(0o755)

    with without_privileges(), pytest.raises(StoreError, match="cannot be read"):
        StatefulDAGRunner("etl")


# ------------------------------------------------------------------------------------------------------------- no room


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    connections: list[apsw.Connection] = []
    apsw.connection_hooks.append(connections.append)
    try:
        store = open_store(str(tmp_path / "tasks.db"))
    finally:
        apsw.connection_hooks.remove(connections.append)
    ledger, begun = Ledger(store, actor="tester"), list[str]()

    async def step(name: str) -> str:
        begun.append(name)
        if begun == ["a", "b"]:
            (writer,) = connections
            writer.pragma("max_page_count", int(writer.pragma("page_count")))
        return name * 20_000

    def runner() -> StatefulDAGRunner:
        with bound(Binding(ledger)):
            made = StatefulDAGRunner(dag_run_id="full")
        for name in "abc":
            made.register_step(name, lambda name=name: step(name))
        return made

    with pytest.raises(StoreError, match="the disk is full; nothing was changed") as error:
        asyncio.run(runner().execute())
    assert error.value.hint == "free some space, then run it again"
    assert verify(store) == []
    connections[0].pragma("max_page_count", 1_000_000)

    assert asyncio.run(runner().execute()).status is DAGRunStatus.SUCCESS
    assert begun == ["a", "b", "b", "c"]
    assert verify(store) == []
    store.close()


def test_files_that_cannot_grow_are_said_and_the_run_goes_on_when_they_can(tmp_path: Path) -> None:
    """The system itself refuses the write, at some thirty sizes."""
    template = tmp_path / "template.db"
    open_store(str(template)).close()
    with child("full_disk.py", template, cwd=tmp_path) as process:
        out, errors = process.communicate(timeout=LONGEST_S)

    assert process.returncode == 0, errors
    said = json.loads(out)
    assert said["found"] == []
    assert said["felt"] >= 5


# ------------------------------------------------------------------------------------------------- others who hold it


_EXCLUSIVE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("BEGIN EXCLUSIVE")
if "EXCLUSIVE" in sys.argv[2]:
    connection.execute("CREATE TABLE IF NOT EXISTS x (y)")
    connection.execute("DROP TABLE x")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
"""


@contextlib.contextmanager
def held_elsewhere(path: Path, mode: str, seconds: float) -> Iterator[None]:
    """Let another process hold the file against everybody, for a while."""
    command = [sys.executable, "-c", _EXCLUSIVE, str(path), mode]
    holder = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    timer = threading.Timer(seconds, lambda: holder.communicate("\n"))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        holder.kill()
        holder.wait()


def test_opening_waits_for_another_process_that_is_just_making_the_store(tmp_path: Path) -> None:
    """Two programs start at the same time in a new project: neither must see a lock error."""
    with held_elsewhere(tmp_path / "tasks.db", "PRAGMA journal_mode = DELETE", 0.3):
        began = time.monotonic()
        store = open_store(str(tmp_path / "tasks.db"))
        waited_s = time.monotonic() - began

    assert verify(store) == []
    assert waited_s > 0.1
    store.close()


def test_reading_waits_for_another_process_that_holds_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the last one who closes a store does for a moment; a long time after this process has written."""
    path, clock = tmp_path / "tasks.db", time.monotonic
    a_store(path)
    store = open_store(str(path), busy_s=20)
    store.read(lambda tx: tx.rows("run_ids"))
    store.close()
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 1000)
    with held_elsewhere(path, "PRAGMA locking_mode = EXCLUSIVE", 0.3):
        assert len(store.read(lambda tx: tx.rows("run_ids"))) == 1
    store.close()
