"""The store in PostgreSQL: the contract, and what only a server can do to it."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tasktrail.engine.execution import Answer, Execution
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.picking import InOrder
from tasktrail.engine.plan import Plan
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import NewerStore, StoreError, Unreachable
from tasktrail.model.lifecycle import Ask
from tasktrail.store.postgres import _NUMBERED, PostgresStore
from tasktrail.store.queries import queries
from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore
from tasktrail.store.together import many
from tasktrail.store.transaction import Transaction
from tasktrail.store.wire import Wire, statement
from tasktrail.testing import StoreContract
from tasktrail.testing.stored import task_of
from tests.postgres import Server
from tests.proxy import Fate, Proxy
from tests.store.stores import fill, names_in, spin


class TestPostgres(StoreContract):
    database = "postgres"
    examples = 10

    def await_queued(self, store: Store, callers: int) -> None:
        assert isinstance(store, PostgresStore)
        spin(lambda: len(store._group._waiting) == callers)

    def await_writer(self, store: Store, written: Callable[[], bool]) -> None:
        spin(written)

    @pytest.fixture
    def store(self, server: Server) -> Iterator[PostgresStore]:
        with server.schema() as url:
            store = PostgresStore(url, busy_s=10)
            yield store
            store.close()


def test_both_databases_have_the_same_tables_and_columns(server: Server) -> None:
    """What PostgreSQL has besides are functions."""
    of_sqlite = (
        "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c "
        "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%'"
    )
    with server.schema() as url:
        PostgresStore(url).close()
        with psycopg.connect(server.url()) as connection:
            found = connection.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s",
                (url.rsplit("schema=", 1)[1],),
            ).fetchall()

    assert set(found) == {(str(row[0]), str(row[1])) for row in SqliteStore(None)._connection().execute(of_sqlite)}


def test_a_step_of_a_run_that_is_owned_takes_two_trips(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One says all, one commits. Nothing waits for what nobody else changes."""
    with server.schema() as url, closing(PostgresStore(url)) as store:
        ledger = Ledger(store, actor="tester")
        run = ledger.create_run(RunDraft("dag", "r", "r", tuple(TaskDraft(key) for key in "abc")))
        execution, picker = Execution(ledger, run.id), InOrder(ledger, run.id, Plan({}, order=("a", "b", "c")))
        (claim,) = execution.begin(["a", "b", "c"], lambda tx: picker.pick(tx, 0)).claims
        trips, collect = count(), Wire._collect
        monkeypatch.setattr(Wire, "_collect", lambda wire: collect(wire) if next(trips) >= 0 else None)

        answer = Answer(claim, Ask("complete"))
        picker.ended(answer)
        turn = execution.advance([answer], lambda tx: picker.pick(tx, 0))

        assert [claim.task.key for claim in turn.claims] == ["b"]
        assert next(trips) == 2
        execution.end()


@pytest.mark.parametrize("name", ["move_task", "close_attempt"])
def test_what_moves_many_never_reads_a_whole_table(server: Server, name: str) -> None:
    """A plan is kept for as long as a session lives, and made while there is hardly a row."""
    together = many(name, queries("postgres")[name])
    assert together is not None
    one = statement(together.text)
    with server.schema() as url, psycopg.connect(server.url()) as connection:
        PostgresStore(url).close()
        connection.execute(SQL("SET search_path = {}").format(Identifier(url.rsplit("schema=", 1)[1])))
        connection.execute(_NUMBERED.replace(":patience_ms", "'1000'").replace(":known", "99"))
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(b"PREPARE moving AS " + one.text)
        nulls = ", ".join("'[]'" if word == "many" else "NULL" for word in one.names)
        plan = "\n".join(str(row[0]) for row in connection.execute(f"EXPLAIN EXECUTE moving({nulls})".encode()))

    assert "Index Scan using" in plan
    assert "Seq Scan" not in plan


# ------------------------------------------------------------------------------------------------- connections get lost


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="px-", dir="/tmp") as folder:
        proxy = Proxy.of_postgres(Path(folder), server.folder)
        yield proxy
        proxy.close()


@pytest.fixture
def remote(server: Server, proxy: Proxy) -> Iterator[PostgresStore]:
    """A store whose connections pass the proxy."""
    with server.schema() as url:
        store = PostgresStore(url.replace(str(server.folder), str(proxy.folder)), busy_s=10)
        yield store
        store.close()


@pytest.mark.parametrize("fate", ["lose the request", "lose the answer"])
def test_a_write_whose_commit_is_lost_is_done_exactly_once(remote: PostgresStore, proxy: Proxy, fate: Fate) -> None:
    """Whether the server got the commit, or only its answer is lost, is found out."""
    ledger = fill(remote)
    run = remote.read(lambda tx: tx.runs("runs_by_name", name="r", kind="dag"))[0]
    remote.close()  # a new connection says COMMIT in full
    proxy.fate = fate

    ledger.note(task_of(remote, run, "a"), "once")

    assert proxy.fate == "pass"
    notes = [row[8] for row in remote.read(lambda tx: tx.rows("events_of_run", run_id=run.id, after=0, limit=99))]
    assert notes.count("once") == 1
    assert verify(remote) == []


def test_what_became_of_a_commit_is_found_out_even_by_who_has_no_patience(remote: PostgresStore, proxy: Proxy) -> None:
    """A caller that was told to try again would do it twice."""
    fill(remote)
    remote.close()
    proxy.fate = "lose the answer"

    def work(tx: Transaction) -> int:
        tx.execute("stop_worker", {"id": 0, "at": 0, "died": False})
        proxy.refuse()
        return 7

    with ThreadPoolExecutor(1) as other:
        writing = other.submit(remote.write, work, patience_s=0.001)
        spin(lambda: proxy.refused > 3 or writing.done())
        proxy.mend()
        assert writing.result(30) == 7


def test_writes_and_reads_go_on_when_the_link_is_back(remote: PostgresStore, proxy: Proxy) -> None:
    """Both wait for the server; who only polls is told that it is away."""
    ledger = fill(remote)
    proxy.cut()
    with pytest.raises(Unreachable):
        remote.changed_token()

    with ThreadPoolExecutor(2) as other:
        creating = other.submit(ledger.create_run, RunDraft("dag", "later", "w", (TaskDraft("a"),)))
        reading = other.submit(remote.read, lambda tx: tx.rows("run_ids"))
        spin(lambda: remote._writer is not None and remote._writer.is_broken)
        proxy.mend()
        creating.result(30)
        assert len(reading.result(30)) >= 1

    assert names_in(remote) == ["later", "r"]


def test_a_write_gives_up_when_the_server_stays_away(remote: PostgresStore, proxy: Proxy) -> None:
    fill(remote)
    proxy.cut()

    with pytest.raises(StoreError, match="cannot be reached"):
        remote.write(lambda tx: tx.rows("run_ids"), patience_s=0.2)


@pytest.mark.parametrize("fate", ["lose the request", "lose the answer"])
def test_a_commit_that_is_lost_with_its_server_is_done_exactly_once(fate: Fate) -> None:
    """The server that starts again may give the transaction's number to another one."""
    with own_server() as server, tempfile.TemporaryDirectory(prefix="px-", dir="/tmp") as folder:
        proxy = Proxy.of_postgres(Path(folder), server.folder)
        store = PostgresStore(server.url().replace(str(server.folder), folder), busy_s=60)
        ledger = fill(store)
        run = store.read(lambda tx: tx.runs("runs_by_name", name="r", kind="dag"))[0]
        task = task_of(store, run, "a")
        store.close()
        proxy.fate = fate
        with ThreadPoolExecutor(1) as other:
            noting = other.submit(ledger.note, task, "once")
            spin(lambda: proxy.fate == "pass")
            proxy.cut()
            server.crash()
            server.start()
            proxy.mend()
            noting.result(60)

        notes = [row[8] for row in store.read(lambda tx: tx.rows("events_of_run", run_id=run.id, after=0, limit=99))]
        assert notes.count("once") == 1
        store.close()
        proxy.close()


def test_a_server_that_crashes_and_starts_again_loses_nothing_acknowledged() -> None:
    """Four threads write through a crash; each run that was acknowledged is there, and none twice."""
    with own_server() as server:
        store = PostgresStore(server.url(), busy_s=60)
        ledger = fill(store)
        with ThreadPoolExecutor(4) as threads:
            creating = [threads.submit(_create_many, ledger, str(number)) for number in range(4)]
            spin(lambda: len(names_in(store)) > 20)
            server.crash()
            server.start()
            made = [name for one in creating for name in one.result(120)]

        assert sorted(names_in(store)) == sorted([*made, "r"])
        assert verify(store) == []
        store.close()


@contextlib.contextmanager
def own_server() -> Iterator[Server]:
    """Give a server that the test may kill."""
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.close()


def _create_many(ledger: Ledger, prefix: str) -> list[str]:
    drafts = [RunDraft("dag", f"{prefix}-{number}", "w", (TaskDraft("a"),)) for number in range(60)]
    return [ledger.create_run(draft).name for draft in drafts]


# ------------------------------------------------------------------------------------------------- others write as well


def resume(run_id: int, tx: Transaction) -> None:
    tx.set_run(run_id, resumes=tx.run(run_id).resumes + 1)


def test_stores_that_change_the_same_runs_in_opposite_order_wait_for_nobody_long(server: Server) -> None:
    """Commits that are shared between runs are a chance for deadlocks: 8 threads of two stores, ten runs."""
    with server.schema() as url:
        stores = [PostgresStore(url, busy_s=30) for _ in range(2)]
        fill(stores[0], tuple(f"r{number}" for number in range(10)))
        runs = stores[0].read(lambda tx: tx.runs("runs_of_workflow", workflow="w", limit=99))

        def bump(number: int) -> None:
            order = runs if number % 2 else runs[::-1]
            for run in order * 5:
                stores[number % 2].write(partial(resume, run.id))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(bump, range(8)))

        assert {
            run.resumes for run in stores[1].read(lambda tx: tx.runs("runs_of_workflow", workflow="w", limit=99))
        } == {40}
        for store in stores:
            store.close()


def test_a_write_that_touches_several_runs_survives_a_deadlock(server: Server) -> None:
    """The server ends one of the two; it is done again."""
    with server.schema() as url:
        stores = [PostgresStore(url, busy_s=30) for _ in range(2)]
        fill(stores[0], ("a", "b"))
        ids = [run.id for run in stores[0].read(lambda tx: tx.runs("runs_of_workflow", workflow="w", limit=9))]
        both = threading.Barrier(2)

        def bump(tx: Transaction, order: list[int], *, waits: list[bool]) -> None:
            for run_id in order:
                resume(run_id, tx)
                if waits:
                    waits.clear()
                    both.wait(30)

        with ThreadPoolExecutor(2) as threads:
            done = [
                threads.submit(stores[n].write, partial(bump, order=ids[:: -1 if n else 1], waits=[True]))
                for n in (0, 1)
            ]
            for one in done:
                one.result(60)

        found = stores[0].read(lambda tx: tx.runs("runs_of_workflow", workflow="w", limit=9))
        assert [run.resumes for run in found] == [2, 2]
        for store in stores:
            store.close()


# ------------------------------------------------------------------------------------------------------ who is alive


def test_a_life_ends_with_its_session_and_begins_again_when_it_was_lost(server: Server) -> None:
    with server.schema() as url:
        one, other = PostgresStore(url), PostgresStore(url)
        life = one.begin_life()
        assert other.is_held(life.name)
        assert one.is_held(life.name)

        with psycopg.connect(server.url(), autocommit=True) as boss:
            boss.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        spin(lambda: not other.is_held(life.name))
        one.changed_token()
        assert other.is_held(life.name)

        life.free()
        spin(lambda: not other.is_held(life.name))
        one.close()
        other.close()


# ----------------------------------------------------------------------------------------- servers that cannot be used


def test_a_server_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"postgresql://.*/x cannot be reached: .*") as refused:
        PostgresStore(f"postgresql://me:secret@/x?host={tmp_path}")

    assert "secret" not in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://postgres@/nowhere?host={host}", 'database "nowhere" does not exist'),
        ("postgresql://nobody@/postgres?host={host}", 'role "nobody" does not exist'),
        ("postgresql://postgres@/postgres?host={host}&colour=red", "colour"),
    ],
)
def test_what_the_server_refuses_is_one_line(server: Server, url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as refused:
        PostgresStore(url.format(host=server.folder))

    assert "\n" not in str(refused.value)


def test_a_role_that_may_not_make_tables_is_told_which_right_is_missing(server: Server) -> None:
    with psycopg.connect(server.url(), autocommit=True) as boss:
        boss.execute("DROP ROLE IF EXISTS guest")
        boss.execute("CREATE ROLE guest LOGIN")

    with pytest.raises(StoreError, match="permission denied") as refused:
        PostgresStore(server.url(schema="not_mine").replace("postgres@", "guest@"))

    assert "GRANT" in str(refused.value.hint)


def test_a_newer_schema_is_refused_with_both_versions(server: Server) -> None:
    with server.schema() as url:
        store = PostgresStore(url)
        store.write(lambda tx: None)
        store.close()
        with psycopg.connect(server.url(), autocommit=True) as boss:
            schema = url.rsplit("schema=", 1)[1]
            boss.execute(f"INSERT INTO {schema}.migration VALUES (99, 'later', 'x', 0, 99)")

        with pytest.raises(NewerStore, match="has schema version 99"):
            PostgresStore(url)


def test_eight_stores_that_open_a_new_schema_at_once_make_it_once(server: Server) -> None:
    with server.schema() as url:
        with ThreadPoolExecutor(8) as threads:
            stores = list(threads.map(lambda _: PostgresStore(url), range(8)))

        assert stores[3].read(lambda tx: tx.rows("run_ids")) == []
        for store in stores:
            store.close()


def test_events_of_many_changes_are_kept_as_one_by_one(server: Server) -> None:
    with server.schema() as url, closing(PostgresStore(url)) as store:
        wanted = [(f"note\0 {number} \\u0000 é", number) for number in range(3)]

        def work(tx: Transaction) -> None:
            tx.execute_many("add_event", (event(note=note, at=at) for note, at in wanted))

        store.write(work)
        rows = store.read(lambda tx: tx.rows("events_of_run", run_id=1, after=0, limit=9))
    assert [(row[8], row[1]) for row in rows] == [(note.replace("\0", "␀"), at) for note, at in wanted]


def event(**values: object) -> dict[str, object]:
    names = ("at", "actor", "run_id", "task_id", "verb", "from_status", "to_status", "attempt", "changes", "note")
    return {**dict.fromkeys(names), "actor": "tester", "run_id": 1, "verb": "note", **values}


def test_a_life_that_has_ended_is_gone_though_the_server_has_not_noticed(server: Server, proxy: Proxy) -> None:
    with (
        server.schema() as url,
        closing(PostgresStore(url.replace(str(server.folder), str(proxy.folder)))) as remote,
        closing(PostgresStore(url)) as other,
    ):
        life = remote.begin_life()
        assert other.is_held(life.name)
        proxy.word, proxy.fate = b"X\0\0\0\4", "keep the server"  # the farewell of a session

        life.free()

        spin(lambda: proxy.fate == "pass")
        assert not other.is_held(life.name)


def test_all_lives_are_asked_for_at_once(server: Server) -> None:
    with server.schema() as url, closing(PostgresStore(url)) as one, closing(PostgresStore(url)) as two:
        lives = [one.begin_life(), two.begin_life()]
        assert one.held([*(life.name for life in lives), "nobody"]) == {life.name for life in lives}
        for life in lives:
            life.free()
