"""Readers of the log: no event is lost that commits late, none comes twice, and a place is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import find
from tasktrail.engine.readers import LogEnd, Logged, NamedReader, Reader, Settled, log_end
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Held
from tasktrail.store.opening import open_store
from tasktrail.store.postgres import PostgresStore
from tasktrail.store.transaction import Transaction
from tests.postgres import Server
from tests.processes import hear, say, started
from tests.store.stores import fill, spin

APPEND = "INSERT INTO event (at, actor, run_id, verb) VALUES (1, %s, 1, 'note') RETURNING seq"
WRITER = """
import sys
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store.opening import open_store

ledger = Ledger(open_store(sys.argv[1]), actor=sys.argv[2])
run = ledger.create_run(RunDraft("dag", sys.argv[2], "w", (TaskDraft("a"),)))

def work(tx):
    for _ in range(3):
        tx.record_run(run.id, "note", 1, sys.argv[2])
        tx.row("run_by_id", id=run.id)  # waits for the answer: the others take numbers meanwhile

print("ready", flush=True)
sys.stdin.readline()
for _ in range(100):
    ledger.commit(work)
"""
HOLDER = """
import sys
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.readers import NamedReader
from tasktrail.store.opening import open_store

reader = NamedReader(Ledger(open_store(sys.argv[1]), actor="holder"), "export")
print([one.event.seq for one in reader.page()], flush=True)
sys.stdin.readline()
reader.done()
print("done", flush=True)
sys.stdin.readline()
"""


def seqs(page: list[Logged]) -> list[int]:
    return [one.event.seq for one in page]


# ---------------------------------------------------------------------------------------- late commits, staged by hand


class Stage:
    """A store with run 1, and transactions of others that append to its log."""

    def __init__(self, server: Server, url: str, stack: ExitStack) -> None:
        self.store = stack.enter_context(closing(PostgresStore(url)))
        self.ledger = fill(self.store)
        self.begun = log_end(self.ledger).seq
        self._server, self._schema, self._stack = server, url.rsplit("schema=", 1)[1], stack

    def begin(self) -> psycopg.Connection:
        """A transaction that has its id and nothing else."""
        other = self._stack.enter_context(psycopg.connect(self._server.url()))
        other.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(self._schema)))
        other.commit()
        other.execute("SELECT pg_current_xact_id()")
        return other


@pytest.fixture
def stage(server: Server) -> Iterator[Stage]:
    with server.schema() as url, ExitStack() as stack:
        yield Stage(server, url, stack)


def append(transaction: psycopg.Connection) -> int:
    row = transaction.execute(APPEND, ("other",)).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("late_is", ["older", "newer"])
def test_an_event_that_commits_after_a_higher_one_is_not_lost(stage: Stage, late_is: str) -> None:
    """Whichever transaction began first: one with a newer id than all that ended is in no snapshot."""
    older, newer = stage.begin(), stage.begin()
    late, early = (older, newer) if late_is == "older" else (newer, older)
    reader = Reader(stage.ledger, stage.begun)
    low, high = append(late), append(early)
    early.commit()

    assert log_end(stage.ledger).seq == high, "who goes on from the highest that is visible loses the lower one"
    assert (reader.page(), reader.is_behind) == ([], True)
    late.commit()
    spin(lambda: not log_end(stage.ledger).writers)
    assert (seqs(reader.page()), reader.is_behind) == ([low, high], False)
    assert reader.page() == []


def test_a_rollback_leaves_a_gap_and_readers_go_on(stage: Stage) -> None:
    undone, done = stage.begin(), stage.begin()
    reader = Reader(stage.ledger, stage.begun)
    append(undone)
    high = append(done)
    done.commit()
    assert reader.page() == []

    undone.rollback()
    spin(lambda: not log_end(stage.ledger).writers)
    assert seqs(reader.page()) == [high]


def test_who_appends_nothing_delays_nobody_however_long_it_takes(stage: Stage) -> None:
    """Another program's long transaction in the same database, which writes elsewhere."""
    other, done = stage.begin(), stage.begin()
    other.execute("CREATE TEMPORARY TABLE work (a INT)")
    reader = Reader(stage.ledger, stage.begun)
    seq = append(done)
    done.commit()
    spin(lambda: not log_end(stage.ledger).writers)

    assert seqs(reader.page()) == [seq]


def test_readers_go_on_although_somebody_writes_all_the_time(stage: Stage) -> None:
    """There is no moment without an open transaction; each begins before the one before it ends."""
    reader, read = Reader(stage.ledger, stage.begun), list[int]()
    written = []
    writing = stage.begin()
    for _ in range(5):
        written.append(append(writing))
        following = stage.begin()
        append(following)
        writing.commit()
        spin(lambda: len(log_end(stage.ledger).writers) == 1)
        read += seqs(reader.page())
        following, writing = writing, following
    writing.rollback()

    assert read
    assert read == sorted(set(read))
    assert set(written[:3]) <= set(read)


def test_what_is_settled_is_below_all_who_were_writing() -> None:
    settled = Settled()

    assert settled.see(LogEnd(10, frozenset({"a", "b"}))) == 0
    assert settled.see(LogEnd(20, frozenset({"b", "c"}))) == 0
    assert settled.see(LogEnd(30, frozenset({"c", "d"}))) == 10
    assert settled.see(LogEnd(40, frozenset({"d", "e"}))) == 10
    assert settled.see(LogEnd(50, frozenset({"e"}))) == 30
    assert settled.see(LogEnd(60, frozenset())) == 60


@pytest.mark.crash
def test_a_reader_beside_four_processes_sees_each_event_once_and_in_order(server: Server) -> None:
    with server.schema() as url, closing(PostgresStore(url)) as store, ExitStack() as stack:
        ledger = fill(store, ())
        reader, read = Reader(ledger), list[int]()
        writers = [stack.enter_context(started(WRITER, url, f"w{number}")) for number in range(4)]
        assert [hear(writer) for writer in writers] == ["ready"] * 4
        for writer in writers:
            say(writer)
        while any(writer.poll() is None for writer in writers):
            read += seqs(reader.page())
        while reader.is_behind or log_end(ledger).seq != reader.seq:
            read += seqs(reader.page())

        assert [writer.returncode for writer in writers] == [0] * 4
        with psycopg.connect(server.url()) as boss:
            name = sql.Identifier(url.rsplit("schema=", 1)[1], "event")
            there = boss.execute(sql.SQL("SELECT seq FROM {} ORDER BY seq").format(name)).fetchall()
        assert len(there) == 4 * 301
        assert read == [row[0] for row in there]


# --------------------------------------------------------------------------------------------------- on both databases


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "tasks.db")
        return
    with request.getfixturevalue("server").schema() as url:
        yield url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with closing(open_store(url)) as store:
        yield fill(store, ("one", "two"))


def add(ledger: Ledger, name: str) -> int:
    """Append an event; return its number."""
    ledger.create_run(RunDraft("dag", name, "w", (TaskDraft("a"),)))
    return log_end(ledger).seq


def test_a_reader_of_one_run_gets_no_others(ledger: Ledger) -> None:
    reader = Reader(ledger, 0, find(ledger, "two"))
    ledger.cancel_run(find(ledger, "one").run.id)

    assert {one.run for one in reader.page()} == {"two"}
    assert (reader.page(), reader.seq) == ([], log_end(ledger).seq)


def test_runs_of_several_kinds_with_one_name_are_told_apart(ledger: Ledger) -> None:
    reader = Reader(ledger, log_end(ledger).seq)
    ledger.create_run(RunDraft("plan", "one", "w", (TaskDraft("a"),)))

    assert [one.run for one in reader.page()] == ["plan/one"]


def test_long_logs_come_in_pages(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasktrail.engine.readers._PAGE", 2)
    for number in range(3):
        add(ledger, f"r{number}")
    reader = Reader(ledger)
    pages = [seqs(reader.page()) for _ in range(4)]

    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [*chain(*pages)] == [1, 2, 3, 4, 5]


def test_what_was_not_done_is_given_again_to_who_comes_next(ledger: Ledger) -> None:
    first = NamedReader(ledger, "export")
    handled = seqs(first.page())
    first.done()
    seq = add(ledger, "three")
    assert seqs(first.page()) == [seq]
    first.close()

    again = NamedReader(ledger, "export")
    assert handled
    assert seqs(again.page()) == [seq]
    again.done()
    assert again.page() == []
    again.close()


@pytest.mark.crash
@pytest.mark.platform_only("SIGKILL")
def test_one_process_reads_under_a_name_and_a_dead_one_is_followed(url: str, ledger: Ledger) -> None:
    with started(HOLDER, url) as holder:
        given = hear(holder)
        say(holder)
        assert (given, hear(holder)) == ("[1, 2]", "done")
        with pytest.raises(Held, match=rf"reader export is being read by process {holder.pid} on .* \(holder\)"):
            NamedReader(ledger, "export")
        NamedReader(ledger, "other")
        holder.kill()
        holder.wait()
        seq = add(ledger, "three")

        reader = followed(ledger)
        assert seqs(reader.page()) == [seq]
        reader.close()


def followed(ledger: Ledger) -> NamedReader:
    """Take the name once its dead holder is known to be dead: a server needs a moment, and is new for three seconds."""
    taken: list[NamedReader] = []

    def take() -> bool:
        with contextlib.suppress(Held):
            taken.append(NamedReader(ledger, "export"))
        return bool(taken)

    spin(take)
    return taken[0]


def test_who_lost_the_name_stops_and_moves_no_place(ledger: Ledger) -> None:
    """Its session was cut off, and somebody else took the name meanwhile."""
    reader = NamedReader(ledger, "export")
    reader.page()
    other = {"name": "other", "host": "there", "pid": 7, "boot_id": "b", "lock_name": "l", "at": 1}

    def take(tx: Transaction) -> None:
        row = tx.row("add_worker", **other, queues=None, labels=None)
        assert row is not None
        assert tx.row("take_reader", name="export", worker_id=row[0], was=reader._worker) is not None

    ledger.store.write(take)
    reader.done()
    with pytest.raises(Held, match=r"reader export is being read by process 7 on there \(other\)"):
        reader.page()
    row = ledger.store.read(lambda tx: tx.row("reader_place", name="export"))
    assert row is not None
    assert row[0] == 0


def test_of_two_that_take_a_name_at_once_one_is_refused(ledger: Ledger) -> None:
    """Both saw that nobody has it."""
    reader = NamedReader(ledger, "export")

    assert ledger.commit(lambda tx: tx.row("take_reader", name="export", worker_id=99, was=None)) is None
    reader.page()


def test_numbers_that_are_given_again_are_read(ledger: Ledger) -> None:
    """A SQLite file does so after the newest run was removed."""
    kept, passing = NamedReader(ledger, "export"), Reader(ledger)
    for reader in (kept, passing):
        assert seqs(reader.page()) == [1, 2]
    kept.done()
    ledger.drop_run(find(ledger, "two").run.id)
    assert passing.page() == []
    seq = add(ledger, "three")

    assert seqs(kept.page()) == seqs(passing.page()) == [seq]
    kept.close()
