"""A store is copied into another one: all of it, proven, in one transaction; or nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import apsw
import psycopg
import pytest
from psycopg import sql

from tasktrail.config import find_store, load
from tasktrail.dag import DAGRunStore, StatefulDAGRunner
from tasktrail.engine import copying
from tasktrail.engine.copying import Proof, copy_store
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import worker_of
from tasktrail.engine.project import ledger_of
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import (
    BadInput,
    Busy,
    Conflict,
    Held,
    NotFound,
    StoreError,
    TasktrailError,
    VerificationFailed,
)
from tasktrail.store import migrate
from tasktrail.store.copying import Digest
from tasktrail.store.opening import open_store
from tasktrail.store.postgres import PostgresStore
from tasktrail.store.transaction import Row
from tests.postgres import Server

Dump = dict[str, list[dict[str, Any]]]
PAIRS: Final = [("file", "file"), ("file", "schema"), ("schema", "file"), ("schema", "schema")]
REST: Final = """
INSERT INTO item VALUES (7, 1, 'an item', 0, '{"a":1}', 'hash', 5, 4);
INSERT INTO job VALUES (3, 'nightly', NULL, 'q', '{}', 1, 2, 3, 4);
INSERT INTO output VALUES (4, 1, 1, 0, 9, 12, '1fetching \N{ROCKET}');
INSERT INTO slot VALUES ('limit', 1), ('another', 1);
INSERT INTO reuse VALUES ('key', 1, 1);
INSERT INTO error VALUES ('print', 'E', 'words', 2, 3, 4, 5, 6, 'said');
INSERT INTO reader VALUES ('hooks', 4, 1);
INSERT INTO delivery VALUES (9, 4, 'hooks', 'url', 1, 2, NULL, 'refused');
INSERT INTO definition VALUES (5, 'workflow', 'w', '1', '{}', 'hash', 6);
INSERT INTO worker VALUES (8, 'ann', 'far', 99, 'boot', 'gone.lock', '["q"]', '["gpu"]', 12, 11, NULL, 0);
"""
"""Rows of tables that the sample's run has none in."""


SAMPLE: Final = """
import asyncio
from pathlib import Path
from tasktrail.dag import DAGRunStore, ParallelStatefulDAGRunner

tries = []

def fetch():
    return "x" * 5000

def load(fetch):
    tries.append(1)
    if len(tries) < 3:
        raise ConnectionError("not there\\tyet")

runner = ParallelStatefulDAGRunner("etl", DAGRunStore(Path("runs")), dag_run_id="monday", retry_delay=0.001)
runner.register_step("fetch", fetch)
runner.register_step("load", load, dependencies=["fetch"])
asyncio.run(runner.execute())
"""
"""A run whose rows are of many kinds: tries, errors, payloads, output, a run file."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a row in every table; whoever worked on it has ended."""
    folder = tmp_path_factory.mktemp("project")
    subprocess.run([sys.executable, "-c", SAMPLE], cwd=folder, check=True, env=os.environ)
    connection = apsw.Connection(str(folder / ".tasktrail/tasktrail.db"))
    connection.execute(REST)
    connection.close()
    return folder


@pytest.fixture
def origin(project: Path) -> Path:
    """The store of such a project, in the working folder."""
    shutil.copytree(project, Path(), dirs_exist_ok=True)
    return Path(".tasktrail/tasktrail.db").resolve()


@pytest.fixture
def new(server: Server) -> Iterator[Callable[[str], str]]:
    """Give URLs of stores that are not there yet, each another one."""
    with ExitStack() as stack:
        numbers = iter(range(99))
        yield lambda kind: f"new-{next(numbers)}.db" if kind == "file" else stack.enter_context(server.schema())


def move(origin: str | Path, target: str) -> Proof:
    return copy_store(find_store(flag=str(origin)), find_store(flag=target), load())


def dump(url: str | Path) -> Dump:
    """Return all rows of all tables, read past our own code."""
    if str(url).startswith("postgresql:"):
        return _dump_schema(*str(url).split("&schema="))
    file = apsw.Connection(str(url))
    tables = [row[0] for row in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {}
    for name in tables:
        columns = [row[0] for row in file.execute("SELECT name FROM pragma_table_info(?)", (name,))]
        found[name] = _records(columns, file.execute(f'SELECT * FROM "{name}"'))
    file.close()
    found.pop("migration", None)
    return found


def _dump_schema(base: str, schema: str) -> Dump:
    with psycopg.connect(base) as connection:
        names = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
        found = {}
        for (name,) in connection.execute(names, (schema,)).fetchall():
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name)))
            found[name] = _records([column.name for column in rows.description or ()], rows)
    found.pop("migration", None)
    return found


def _records(columns: list[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    return sorted((dict(sorted(zip(columns, row, strict=True))) for row in rows), key=repr)


def rows_in(url: str | Path) -> int:
    return sum(map(len, dump(url).values()))


# ------------------------------------------------------------------------------------------------------------ the copy


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_every_row_of_every_table_is_copied_with_its_ids(
    origin: Path, new: Callable[[str], str], source: str, target: str
):
    before = dump(origin)
    assert all(before.values()), "a table without a row shows nothing"
    first: str | Path = origin
    if source == "schema":
        first = new("schema")
        move(origin, first)
    there = new(target)

    proof = move(first, there)

    found = dump(there)
    stopped = [row.pop("stopped_at") for row in found["worker"]]
    assert all(stopped)
    for row in before["worker"]:
        del row["stopped_at"]
    assert found.pop("document")[0]["path"] == (
        "runs/run_monday.json" if target == "file" else str(Path("runs/run_monday.json").resolve())
    )
    del before["document"]
    assert found == before
    assert proof.rows == {name: len(rows) for name, rows in dump(there).items()}
    assert (proof.runs, proof.history[0]) == ((1, 1), proof.history[1])


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_the_source_stays_as_it_was(origin: Path, new: Callable[[str], str], source: str, target: str):
    first: str | Path = origin
    if source == "schema":
        first = new("schema")
        move(origin, first)
    before = dump(first)

    move(first, new(target))

    assert dump(first) == before


@pytest.mark.parametrize("kind", ["file", "schema"])
def test_work_goes_on_in_the_copy_with_new_ids_behind_the_old_ones(
    origin: Path, new: Callable[[str], str], kind: str, monkeypatch: pytest.MonkeyPatch
):
    there = new(kind)
    move(origin, there)
    before = dump(there)
    monkeypatch.setenv("TASKTRAIL_STORE", there)

    runner = StatefulDAGRunner("next", dag_run_id="tuesday")
    runner.register_step("say", lambda: "y" * 5000)
    asyncio.run(runner.execute())

    after = dump(there)
    for table, key in {"event": "seq", "run": "id", "task": "id", "attempt": "id", "worker": "id"}.items():
        old = {row[key] for row in before[table]}
        added = {row[key] for row in after[table]} - old
        assert added, table
        assert min(added) > max(old), table
    store = open_store(there)
    assert verify(store) == []
    store.close()


def test_a_run_file_is_known_to_the_copy_there_and_back(
    origin: Path, new: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    """A server belongs to no project alone, so it has the whole path; a file has the path from its project."""
    there, back = new("schema"), "back.db"
    move(origin, there)
    monkeypatch.setenv("TASKTRAIL_STORE", there)

    assert [run["run_id"] for run in DAGRunStore(Path("runs")).list_runs()] == ["monday"]
    assert len(dump(there)["run"]) == 1

    move(there, back)
    assert dump(back)["document"][0]["path"] == "runs/run_monday.json"


def test_the_character_0_is_kept_as_the_sign_for_it_where_the_server_has_none(origin: Path, new: Callable[[str], str]):
    connection = apsw.Connection(str(origin))
    connection.execute("UPDATE output SET lines = '1a' || char(0) || 'b'")
    connection.close()
    there = new("schema")

    move(origin, there)

    assert {row["lines"] for row in dump(there)["output"]} == {"1a\N{SYMBOL FOR NULL}b"}


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("kind", ["file", "schema"])
def test_a_target_that_is_not_empty_is_refused_and_what_it_has_is_named(
    origin: Path, new: Callable[[str], str], kind: str
):
    there = new(kind)
    ledger = ledger_of(find_store(flag=there), load())
    ledger.create_run(RunDraft("dag", "mine", "w", (TaskDraft("a"),)))
    before = dump(there)

    with pytest.raises(Conflict, match=r"is not empty; rows it has: event 1, run 1, task 1"):
        move(origin, there)

    assert dump(there) == before


def test_a_store_is_not_moved_to_itself_whatever_it_is_called(origin: Path, new: Callable[[str], str], server: Server):
    os.link(origin, "other-name.db")
    there = new("schema")
    move(origin, there)
    other_way = there.replace("@/postgres?host=", "@/?dbname=postgres&host=")

    for source, target in ((str(origin), "other-name.db"), (str(origin), str(origin)), (there, other_way)):
        with pytest.raises(BadInput, match="cannot be moved to itself"):
            move(source, target)


def test_another_schema_of_the_same_name_in_another_database_is_another_store(
    origin: Path, new: Callable[[str], str], server: Server
):
    there = new("schema")
    move(origin, there)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")

    move(there, there.replace("/postgres?", "/another?"))


@pytest.mark.parametrize("url", ["nowhere.db", "postgresql"])
def test_a_source_that_is_not_there_is_told_and_nothing_is_made(new: Callable[[str], str], url: str, server: Server):
    source = new("schema") if url == "postgresql" else url

    with pytest.raises(NotFound, match="there is no store to move"):
        move(source, "target.db")

    assert list(Path().iterdir()) == []
    if url == "postgresql":
        assert dump(source) == {}


@pytest.mark.parametrize(("source", "target"), [("memory:", "x.db"), ("origin", "memory:")])
def test_a_store_in_memory_cannot_be_moved(origin: Path, source: str, target: str):
    with pytest.raises(BadInput, match="in memory"):
        move(origin if source == "origin" else source, target)


@pytest.mark.parametrize("kind", ["file", "schema"])
@pytest.mark.parametrize("who", ["source", "target"])
def test_a_store_that_a_living_worker_uses_is_refused(origin: Path, new: Callable[[str], str], kind: str, who: str):
    source, target = new(kind), new(kind)
    move(origin, source)
    ledger = ledger_of(find_store(flag=source if who == "source" else target), load())
    worker = worker_of(ledger)

    with pytest.raises(Held, match=f"is in use by process {os.getpid()} on "):
        move(source, target)

    worker.life.free()
    if who == "source":
        move(source, target)


def test_stores_of_an_older_schema_are_refused_and_stay_so(
    origin: Path, new: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    old, target = new("schema"), new("schema")
    move(shutil.copy(origin, "copy.db"), old)
    newest = migrate.latest("sqlite")
    monkeypatch.setattr(migrate, "latest", lambda database: newest + 1)

    for one in (f"{old}&connect_timeout=9", origin):  # else this process has it open
        with pytest.raises(StoreError, match=f"has schema version {newest}, this Tasktrail has {newest + 1}"):
            move(one, target)
    assert dump(target) == {}


def test_a_source_that_contradicts_itself_is_not_copied(origin: Path, new: Callable[[str], str]):
    connection = apsw.Connection(str(origin))
    connection.execute("UPDATE task SET attempts = 7 WHERE key = 'load'")
    connection.close()
    there = new("schema")

    with pytest.raises(VerificationFailed, match="contradicts itself; nothing was copied") as refused:
        move(origin, there)

    assert "has attempts 7, but its history says 3" in str(refused.value)
    assert rows_in(there) == 0


def test_a_target_that_does_not_keep_what_it_is_given_is_found_out(origin: Path):
    open_store("liar.db").close()
    connection = apsw.Connection("liar.db")
    connection.execute(
        "CREATE TRIGGER lie AFTER INSERT ON reader BEGIN UPDATE reader SET seq = 0 WHERE name = new.name; END"
    )
    connection.close()

    with pytest.raises(StoreError, match="does not give the rows of reader back as they were stored"):
        move(origin, "liar.db")

    assert rows_in("liar.db") == 0


@pytest.mark.parametrize("kind", ["file", "schema"])
def test_what_somebody_does_to_the_source_meanwhile_makes_it_void(
    origin: Path, new: Callable[[str], str], kind: str, monkeypatch: pytest.MonkeyPatch
):
    source, target = new(kind), new(kind)
    move(origin, source)
    ledger = ledger_of(find_store(flag=source), load())
    real = copying._digest

    def digest(rows: Iterator[Row]) -> object:
        ledger.create_run(RunDraft("dag", "late", "w", (TaskDraft("a"),)))
        monkeypatch.setattr(copying, "_digest", real)
        return real(rows)

    monkeypatch.setattr(copying, "_digest", digest)

    with pytest.raises(Conflict, match="was changed meanwhile; nothing was copied"):
        move(source, target)

    assert rows_in(target) == 0


def test_nobody_writes_to_the_target_before_all_is_there(
    origin: Path, new: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    there, real = new("schema"), copying._digest
    refused: list[bool] = []

    def digest(rows: Iterator[Row]) -> object:
        if not refused:
            other = PostgresStore(there, busy_s=0.1)
            with pytest.raises(Busy):
                Ledger(other, actor="other").create_run(RunDraft("dag", "mine", "w", (TaskDraft("a"),)))
            refused.append(True)
            other.close()
        return real(rows)

    monkeypatch.setattr(copying, "_digest", digest)

    move(origin, there)

    assert refused
    assert [row["name"] for row in dump(there)["run"]] == ["monday"]


@pytest.mark.parametrize("kind", ["file", "schema"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Conflict("a fault")])
def test_an_interruption_leaves_the_target_empty(
    origin: Path, new: Callable[[str], str], kind: str, error: type[BaseException] | TasktrailError
):
    """In the middle of the rows, then at the end: nothing is there; afterwards it is done again."""
    there = new(kind)
    for n in (1, 10, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            _interrupt_after(n, error, patch)
            with pytest.raises((KeyboardInterrupt, Conflict)):
                move(origin, there)
        assert rows_in(there) == 0

    move(origin, there)


def _interrupt_after(n: int, error: type[BaseException] | TasktrailError, patch: pytest.MonkeyPatch) -> None:
    """Raise when the n-th row is read; where there are fewer, when all is copied and proven but for the last look."""
    rows = iter(range(n))

    real = Digest.add

    def add(digest: Digest, row: Row) -> None:
        if next(rows, None) is None:
            raise error
        real(digest, row)

    patch.setattr(Digest, "add", add)
    if n > 1000:
        patch.setattr(copying, "_refuse_changed", lambda *_: (_ for _ in ()).throw(error))


@pytest.mark.crash
@pytest.mark.parametrize("kind", ["file", "schema"])
def test_a_kill_in_the_middle_leaves_the_target_empty(origin: Path, new: Callable[[str], str], kind: str):
    connection = apsw.Connection(str(origin))
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000)"
    connection.execute(f"{numbers} INSERT INTO payload SELECT 'hash ' || i, hex(randomblob(50)), i FROM n")
    connection.close()
    there = new(kind)
    before = dump(origin)
    command = [sys.executable, "-m", "tasktrail", "move", "--to", there]

    with subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE) as process:
        while _written(there) < 2_000_000:
            assert process.poll() is None, "it was faster than we"
        process.kill()

    assert process.returncode == -signal.SIGKILL
    assert rows_in(there) == 0
    assert dump(origin) == before
    assert subprocess.run(command, env=os.environ, check=False, capture_output=True).returncode == 0
    assert len(dump(there)["payload"]) == len(before["payload"])


def _written(url: str) -> int:
    """Return how many bytes of the table of payloads somebody who did not commit yet has written."""
    if not url.startswith("postgresql:"):
        journal = Path(f"{url}-wal")
        return journal.stat().st_size if journal.exists() else 0
    base, _, schema = url.partition("&schema=")
    with psycopg.connect(base) as connection:
        row = connection.execute("SELECT pg_relation_size(to_regclass(%s))", (f"{schema}.payload",)).fetchone()
    return row[0] or 0 if row else 0
