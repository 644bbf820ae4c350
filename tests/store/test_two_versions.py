"""Two versions of the program on one store: the older one is refused, or goes on where the migration says so."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import NewerStore
from tasktrail.store import migrate
from tasktrail.store.opening import open_store
from tasktrail.store.postgres import PostgresStore
from tasktrail.store.transaction import Transaction
from tests.postgres import Server
from tests.processes import environment, hear, run, started
from tests.store.stores import fill, names_in, spin

NEWER = """
import sys
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store import migrate
from tasktrail.store.opening import open_store

shipped = migrate.migrations
migrate.migrations = lambda name: (*shipped(name), migrate.Migration(len(shipped(name)) + 1, "shelf", sys.argv[2]))
store = open_store(sys.argv[1])
Ledger(store, actor="newer").create_run(RunDraft("dag", "by-the-newer", "w", (TaskDraft("a"),)))
print(store.read(lambda tx: len(tx.rows("store_columns"))))
"""
NEWEST = migrate.latest("sqlite")
SHELF = "CREATE TABLE shelf (a BIGINT);"
KIND_SHELF = f"-- oldest: {NEWEST}\n{SHELF}"
REFUSAL = rf"has schema version {NEWEST + 1}; this Tasktrail knows versions up to {NEWEST}$"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "tasks.db")
        return
    with request.getfixturevalue("server").schema() as url:
        yield url


def list_runs(url: str) -> subprocess.CompletedProcess[str]:
    """What this version says of the store from a process of its own."""
    command = [sys.executable, "-m", "tasktrail", "--store", url, "list-runs"]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)


def begin(ledger: Ledger, name: str) -> None:
    ledger.create_run(RunDraft("dag", name, "w", (TaskDraft("a"),)))


def test_an_older_program_does_not_open_what_a_newer_one_upgraded(url: str) -> None:
    with closing(open_store(url)) as store:
        fill(store)
    del store
    run(NEWER, url, SHELF)

    refused = list_runs(url)
    error, hint = refused.stderr.splitlines()
    assert (refused.returncode, hint) == (6, "hint: pip install --upgrade tasktrail")
    assert re.search(REFUSAL, error)


def test_a_running_program_is_refused_at_its_next_write_and_writes_nothing(url: str) -> None:
    with closing(open_store(url)) as store:
        ledger = fill(store)
        run(NEWER, url, SHELF)

        for _ in range(2):
            with pytest.raises(NewerStore, match=REFUSAL) as refused:
                begin(ledger, "by-the-older")
            assert "\n" not in refused.value.message
            assert refused.value.hint == "pip install --upgrade tasktrail"
        assert names_in(store) == ["by-the-newer", "r"], "it may still look"
        assert verify(store) == []


def test_a_program_goes_on_where_the_migration_says_that_it_may(url: str) -> None:
    with closing(open_store(url)) as store:
        ledger = fill(store)
        run(NEWER, url, KIND_SHELF)
        begin(ledger, "by-the-older")
        assert names_in(store) == ["by-the-newer", "by-the-older", "r"]
        assert verify(store) == []
    del store, ledger
    listed = list_runs(url)
    assert (listed.returncode, listed.stderr) == (0, "")


# --------------------------------------------------------------------------------- while somebody migrates, on a server


def waits_for_migrations(server: Server) -> bool:
    with psycopg.connect(server.url()) as boss:
        found = boss.execute("SELECT 1 FROM pg_locks WHERE relation::regclass::text LIKE '%migration' AND NOT granted")
        return found.fetchone() is not None


def test_who_migrates_waits_for_a_write_that_has_begun(server: Server) -> None:
    with server.schema() as url, closing(PostgresStore(url)) as store, ThreadPoolExecutor(1) as other:
        fill(store)
        inside, go = threading.Event(), threading.Event()

        def work(tx: Transaction) -> None:
            tx.row("last_event")
            inside.set()
            assert go.wait(60)
            tx.set_run(1, resumes=7)

        writing = other.submit(store.write, work)
        assert inside.wait(60)
        with started(NEWER, url, SHELF) as newer:
            spin(lambda: waits_for_migrations(server))
            go.set()
            writing.result(60)
            assert int(hear(newer)) > 0
        assert store.read(lambda tx: tx.run(1)).resumes == 7


def test_who_writes_while_another_migrates_waits_and_is_refused(server: Server) -> None:
    """One that waits in its transaction, and four that wait for it and share the next: each hears the same."""
    with server.schema() as url, closing(PostgresStore(url)) as store, ThreadPoolExecutor(5) as others:
        ledger = fill(store)
        begin(ledger, "before")  # its statements are prepared
        with psycopg.connect(server.url()) as boss:
            name = sql.Identifier(url.rsplit("schema=", 1)[1], "migration")
            boss.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(name))
            writing = [others.submit(begin, ledger, "during")]
            spin(lambda: waits_for_migrations(server))
            writing += [others.submit(begin, ledger, f"after-{number}") for number in range(4)]
            spin(lambda: len(store._group._waiting) == 4)
            row = (NEWEST + 1, NEWEST + 1)
            boss.execute(sql.SQL("INSERT INTO {} VALUES (%s, 'shelf', 'x', 0, %s)").format(name), row)
            boss.commit()
        for one in writing:
            with pytest.raises(NewerStore, match=REFUSAL):
                one.result(60)
        assert names_in(store) == ["before", "r"]
