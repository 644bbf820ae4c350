"""Several processes on one SQLite file: they wait, they name each other, they die, they fork."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasktrail.engine.verification import verify
from tasktrail.model.errors import Busy
from tasktrail.store.sqlite import SqliteStore
from tests import processes
from tests.processes import hear, say, started
from tests.store.stores import a_closed_store, fill, names_in, spin


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasktrail.db"


HOLDER = """
import sys
from pathlib import Path
from tasktrail.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
def work(tx):
    print("holding")
    sys.stdin.readline()
store.write(work)
print("done")
"""


@pytest.mark.requirement("BL-063")
def test_a_write_that_waits_too_long_names_the_process_that_holds_the_lock(path: Path) -> None:
    store = SqliteStore(a_closed_store(path), busy_s=0.05)
    with started(HOLDER, path) as holder:
        assert hear(holder) == "holding"
        with pytest.raises(Busy, match=rf"was locked for 0.05 s by process {holder.pid} \(") as error:
            fill(store, ("second",))
        assert error.value.hint == "tasktrail doctor"

        assert names_in(store) == ["r"], "reading never waits for a writer"
        say(holder)
        assert hear(holder) == "done"
    fill(store, ("third",))
    assert names_in(store) == ["r", "third"]


def test_a_write_waits_for_another_process_and_then_goes_on(path: Path) -> None:
    store = SqliteStore(a_closed_store(path))
    naps: list[int] = []
    nap = store._patience.nap

    def noted(waited: int) -> bool:
        naps.append(waited)
        return nap(waited)

    store._patience.nap = noted  # type: ignore[method-assign]  # to see that it waits
    store.close()  # the next connection asks the new handler
    with started(HOLDER, path) as holder, ThreadPoolExecutor(1) as other:
        assert hear(holder) == "holding"
        writing = other.submit(fill, store, ("second",))
        spin(lambda: bool(naps))
        say(holder)
        writing.result(60)

    assert names_in(store) == ["r", "second"]


CREATE = """
import sys
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store.sqlite import SqliteStore
path, who = sys.argv[1:]
sys.stdin.readline()
ledger = Ledger(SqliteStore(Path(path)), actor=who)
with ThreadPoolExecutor(4) as threads:
    create = lambda n: ledger.create_run(RunDraft("dag", f"{who}-{n}", "w", (TaskDraft("a"),)))
    list(threads.map(create, range(50)))
print("done")
"""


@pytest.mark.requirement("BL-061", "BL-063")
@pytest.mark.crash
def test_three_processes_that_open_a_new_file_at_once_lose_nothing(path: Path) -> None:
    with started(CREATE, path, "a") as a, started(CREATE, path, "b") as b, started(CREATE, path, "c") as c:
        for child in (a, b, c):
            say(child)
        assert [hear(child) for child in (a, b, c)] == ["done"] * 3

    store = SqliteStore(path)
    assert names_in(store) == sorted(f"{who}-{n}" for who in "abc" for n in range(50))
    assert verify(store) == []
    store.close()


COUNT = """
import sys
from pathlib import Path
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store.sqlite import SqliteStore
ledger = Ledger(SqliteStore(Path(sys.argv[1])), actor="x")
for n in range(100_000):
    ledger.create_run(RunDraft("dag", f"{n:06}", "w", (TaskDraft("a"),)))
    print(n)
"""


@pytest.mark.requirement("BL-062")
@pytest.mark.crash
def test_what_was_acknowledged_survives_a_kill(path: Path) -> None:
    with started(COUNT, path) as child:
        while hear(child) != "40":
            pass
        child.kill()
        told = [int(line) for line in child.stdout or () if line.endswith("\n")]
    last = max(told, default=40)

    store = SqliteStore(path)
    found = names_in(store)
    assert len(found) in (last + 1, last + 2), f"killed after run {last} was acknowledged"
    assert found == [f"{n:06}" for n in range(len(found))]
    assert verify(store) == []


FORK = """
import os, sys
from pathlib import Path
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store.opening import open_store
store = open_store(sys.argv[1])
ledger = Ledger(store, actor="x")
create = lambda name: ledger.create_run(RunDraft("dag", name, "w", (TaskDraft("a"),)))
create("parent-before")
store.read(lambda tx: tx.rows("run_ids"))
child = os.fork()
if child == 0:
    create("child")
    os._exit(0)
create("parent-meanwhile")
assert os.waitpid(child, 0)[1] == 0
create("parent-after")
"""


@pytest.mark.platform_only("fork")
def test_a_forked_child_opens_its_own_connections(path: Path) -> None:
    processes.run(FORK, path)

    store = SqliteStore(path)
    assert names_in(store) == ["child", "parent-after", "parent-before", "parent-meanwhile"]
    assert verify(store) == []


def test_a_token_tells_that_another_process_has_committed(path: Path) -> None:
    store = SqliteStore(a_closed_store(path))
    before = store.changed_token()
    assert store.changed_token() == before

    with started(CREATE, path, "other") as other:
        say(other)
        hear(other)

    assert store.changed_token() != before
