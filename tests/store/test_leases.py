"""The store in PostgreSQL without sessions: what a pooler in transaction mode leaves of them, and leases."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import dead_workers, retire, worker_of
from tasktrail.model.errors import NotAStore
from tasktrail.store.address import address, refuse_backup
from tasktrail.store.lives import LeasedLife
from tasktrail.store.postgres import PostgresStore
from tasktrail.store.session import PooledWire
from tasktrail.store.wire import Wire
from tasktrail.testing import StoreContract
from tests import processes
from tests.postgres import Server
from tests.store.stores import fill, names_in, spin
from tests.store.test_postgres import own_server

POOLED = {"pooler": "transaction"}


class TestWithoutSessions(StoreContract):
    """The whole contract on an ordinary server, with all that belongs to a session switched off."""

    database = "postgres"
    examples = 10

    @pytest.fixture
    def store(self, server: Server) -> Iterator[PostgresStore]:
        with server.schema(**POOLED) as url, closing(PostgresStore(url, busy_s=10)) as store:
            yield store


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """Of a server that is no longer so new that nobody counts as dead."""
    with server.schema(**POOLED) as url:
        with closing(PostgresStore(url.replace("&pooler=transaction", ""))) as store:
            spin(lambda: not store.is_held("nobody"))
        yield url


# ----------------------------------------------------------------------------------------------------- without sessions


def test_nothing_stays_in_the_session(url: str) -> None:
    """Neither what was set, nor a statement by name, nor a lock; the next transaction may be somebody else's."""
    with closing(PostgresStore(url)) as store:
        ledger = fill(store)
        worker_of(ledger)
        store.changed_token()
        wires = [store._writer, *store._idle]
        seen = set()
        for wire in wires:
            assert isinstance(wire, PooledWire)
            for name in ("search_path", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                seen.add((name, bare(wire, f"SHOW {name}")))
            assert bare(wire, "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
            assert bare(wire, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
        retire(ledger)

    assert len(wires) > 1
    assert seen == {
        ("search_path", '"$user", public'),
        ("lock_timeout", "0"),
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
    }


def bare(wire: Wire, text: str) -> object:
    """Ask without what each transaction is told."""
    row = Wire.ask(wire, text).fetchone()
    assert row is not None
    return row[0]


def test_each_transaction_has_what_a_session_would_have(url: str) -> None:
    schema = address(url).schema
    with closing(PostgresStore(url, busy_s=7)) as store:
        fill(store)
        assert store._writer is not None
        for begin, end in (("BEGIN", "COMMIT"), ("BEGIN ISOLATION LEVEL REPEATABLE READ", "ROLLBACK")):
            store._writer.ask(begin)
            names = ("search_path", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
            said = [bare(store._writer, f"SHOW {name}") for name in names]
            store._writer.ask(end)
            store._writer.settle()
            assert said == [f'"{schema}"' if '"' in str(said[0]) else schema, "7s", "37s", "1min"]
        assert store._asking(lambda wire: wire.ask("SHOW lock_timeout").fetchall()) == [("7s",)]
        assert names_in(store) == ["r"]


def test_one_server_is_the_same_store_by_either_way(url: str, server: Server) -> None:
    with closing(PostgresStore(url)) as pooled, closing(PostgresStore(url.replace("&pooler=transaction", ""))) as plain:
        assert pooled.is_same(plain)
        assert plain.is_same(pooled)
        with own_server() as another, closing(PostgresStore(f"{another.url()}&schema={address(url).schema}")) as other:
            assert not plain.is_same(other)


@pytest.mark.parametrize("value", ["session", "Transaction", "s3cret"])
def test_another_kind_of_pooler_is_refused_with_what_to_write(value: str) -> None:
    with pytest.raises(NotAStore, match=r"expected pooler .* to be transaction") as refused:
        address(f"postgresql://db/x?pooler={value}")
    assert "s3cret" not in str(refused.value)
    assert "session" in str(refused.value.hint)


def test_the_servers_own_tools_are_not_told_of_a_pooler() -> None:
    url = "postgresql://db/work?pooler=transaction&sslmode=require"

    assert address(url).conninfo.count("pooler") == 0
    assert str(refuse_backup(url, Path("x")).hint).endswith("--dbname='postgresql://db/work?sslmode=require'")
    assert "past the pooler" in str(refuse_backup(url, Path("x")))


# ------------------------------------------------------------------------------------------------------ who is alive


def lease_of(store: PostgresStore, url: str, worker_id: int) -> int:
    with psycopg.connect(url.replace("&pooler=transaction", "").partition("&schema")[0]) as connection:
        query = f'SELECT lease_until FROM "{address(url).schema}".worker WHERE id = %s'
        row = connection.execute(query, (worker_id,)).fetchone()
    assert row is not None
    return int(row[0])


def test_a_life_is_renewed_while_its_process_is_busy_and_ends_when_it_says_so(url: str) -> None:
    with closing(PostgresStore(url)) as one, closing(PostgresStore(url)) as other:
        ledger = Ledger(one, actor="tester")
        worker = worker_of(ledger, lease_s=1.0)
        assert isinstance(worker.life, LeasedLife)
        begun = lease_of(one, url, worker.id)
        spin(lambda: lease_of(one, url, worker.id) > begun + 1_500_000)
        assert other.held([worker.life.name, "nobody"]) >= {worker.life.name}
        assert dead_workers(Ledger(other, actor="tester")) == ([], 1)

        retire(ledger)
        spin(lambda: not other.is_held(worker.life.name))
        worker.life.free()


def test_who_has_a_lock_and_who_has_a_lease_see_each_other(url: str) -> None:
    """Some processes may connect through the pooler and others past it."""
    with closing(PostgresStore(url)) as leased, closing(PostgresStore(url.replace("&pooler=transaction", ""))) as plain:
        ledgers = [Ledger(store, actor="tester") for store in (leased, plain)]
        names = {worker_of(ledger).life.name for ledger in ledgers}
        for ledger in ledgers:
            assert dead_workers(ledger) == ([], 2)
            assert ledger.store.held([*names, "nobody", "lease-nobody"]) == names
        retire(ledgers[1])
        spin(lambda: len(leased.held([*names])) == 1)
        retire(ledgers[0])
        assert plain.held([*names]) == set()


def test_who_was_taken_for_dead_is_seen_alive_again(url: str) -> None:
    """As with a session: an owner that was cut off goes on with its run, and nobody takes that up a second time."""
    with closing(PostgresStore(url)) as one, closing(PostgresStore(url)) as other:
        ledger = Ledger(one, actor="tester")
        worker = worker_of(ledger, lease_s=1.0)
        other.write(lambda tx: tx.execute("stop_worker", {"id": worker.id, "at": 1, "died": True}))
        other.write(lambda tx: tx.execute("renew_life", {"lock_name": worker.life.name, "lease_us": -1}))

        ran_out = lease_of(one, url, worker.id)
        spin(lambda: lease_of(one, url, worker.id) > ran_out)
        assert other.is_held(worker.life.name)
        retire(ledger)


OWNER = """
import sys
from tasktrail.engine.ownership import worker_of
from tasktrail.engine.ledger import Ledger
from tasktrail.store.postgres import PostgresStore
store = PostgresStore(sys.argv[1])
worker = worker_of(Ledger(store, actor="tester"), lease_s=float(sys.argv[2]))
print(worker.id, worker.life.name)
sys.stdin.readline()
"""


@pytest.mark.crash
@pytest.mark.platform_only("SIGKILL")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_who_says_nothing_any_more_is_dead_after_its_lease(url: str, how: signal.Signals) -> None:
    with closing(PostgresStore(url)) as store, processes.started(OWNER, url, 1.0) as owner:
        number, name = processes.hear(owner).split()
        begun = lease_of(store, url, int(number))
        spin(lambda: lease_of(store, url, int(number)) > begun + 1_500_000)  # though its only loop waits for a line
        assert dead_workers(Ledger(store, actor="tester")) == ([], 1)

        owner.send_signal(how)
        spin(lambda: not store.is_held(name))
        assert dead_workers(Ledger(store, actor="tester")) == ([int(number)], 0)


def test_a_process_that_ends_by_itself_gives_its_lease_back(url: str) -> None:
    """Also one that nobody told to: others need not wait for its lease to run out."""
    with closing(PostgresStore(url)) as store, processes.started(OWNER, url, 600.0) as owner:
        name = processes.hear(owner).split()[1]
        assert store.is_held(name)
        processes.say(owner)
        assert owner.wait(60) == 0
        assert not store.is_held(name)


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: the lease is renewed by a thread
from tasktrail.engine.ownership import worker_of
from tasktrail.engine.ledger import Ledger
from tasktrail.store.postgres import PostgresStore
store = PostgresStore(sys.argv[1])
life = worker_of(Ledger(store, actor="tester")).life
child = os.fork()
if child == 0:
    sys.exit(0 if store.is_held(life.name) else 1)
assert os.waitpid(child, 0)[1] == 0
print(life.name)
sys.stdin.readline()
"""


@pytest.mark.crash
@pytest.mark.platform_only("fork")
@pytest.mark.parametrize("key", ["&pooler=transaction", ""], ids=["lease", "session"])
def test_a_forked_child_that_ends_does_not_end_the_life_of_its_parent(url: str, key: str) -> None:
    url = url.replace("&pooler=transaction", key)
    with closing(PostgresStore(url)) as store, processes.started(FORK, url) as parent:
        name = processes.hear(parent)
        for _ in range(20):  # a farewell of the child's would have arrived by now
            assert store.is_held(name)


def test_a_server_that_is_new_counts_nobody_as_dead() -> None:
    """Leases ran out while it was away; those who live come back within the first seconds."""
    with own_server() as server, closing(PostgresStore(f"{server.url()}&pooler=transaction")) as store:
        row = {"name": "n", "host": "h", "pid": 1, "boot_id": "b", "queues": None, "labels": None, "at": 1}
        store.write(lambda tx: tx.execute("add_worker", {**row, "lock_name": "gone"}))
        store.write(lambda tx: tx.execute("renew_life", {"lock_name": "gone", "lease_us": -1}))
        server.stop()
        server.start()

        early: list[tuple[int, bool]] = []
        with psycopg.connect(server.url(), autocommit=True) as clock:
            while not early or early[-1][1]:
                found = len(dead_workers(Ledger(store, actor="tester"))[0])
                age = clock.execute("SELECT clock_timestamp() - pg_postmaster_start_time() < INTERVAL '3 s'").fetchone()
                assert age is not None
                early.append((found, age[0]))
        assert {found for found, is_early in early if is_early} == {0}
        spin(lambda: dead_workers(Ledger(store, actor="tester"))[0] == [1])
