"""Backups of a SQLite file, and what happens when the disk is full."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasktrail.engine.verification import verify
from tasktrail.model.errors import StoreError
from tasktrail.store.sqlite import SqliteStore
from tests import processes
from tests.store.stores import fill, names_in


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasktrail.db"


def test_a_backup_taken_while_others_write_is_one_moment(path: Path, tmp_path: Path) -> None:
    store = SqliteStore(path)
    ledger = fill(store)
    copies = [tmp_path / f"copy-{n}.db" for n in range(4)]
    with ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(fill, store, tuple(f"{who}-{n}" for n in range(150))) for who in "ab"]
        for copy in copies:
            store.backup(copy)
        for one in writing:
            one.result()
    acknowledged = names_in(store)
    last = tmp_path / "last.db"
    store.backup(last)

    sizes = []
    for copy in [*copies, last]:
        assert copy.stat().st_mode & 0o777 == 0o600
        opened = SqliteStore(copy)
        assert verify(opened) == []
        sizes.append(len(names_in(opened)))
        opened.close()
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(acknowledged) == 301
    assert ledger.store is store


def test_a_backup_never_overwrites_and_leaves_no_part_behind(path: Path, tmp_path: Path) -> None:
    store = SqliteStore(path)
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(StoreError, match="exists; a backup never overwrites"):
        store.backup(tmp_path / "mine.txt")
    with pytest.raises((StoreError, OSError)):
        store.backup(tmp_path / "missing" / "copy.db")

    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".*.part"))


# ----------------------------------------------------------------------------------------------------------- full disk

FULL = """
import sys
from pathlib import Path
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import StoreError
from tasktrail.store.sqlite import SqliteStore
how, path = sys.argv[1], Path(sys.argv[2])
if how == "limit":
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(SqliteStore(path), actor="x")
create = lambda n: ledger.create_run(RunDraft("dag", f"{n:06}", "w", tuple(TaskDraft(f"t{i}") for i in range(20))))
create(0)
if how == "limit":
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, was[1]))
acknowledged = 1
try:
    while acknowledged < 10_000:
        create(acknowledged)
        acknowledged += 1
except StoreError as error:
    print(str(error).replace(str(path), "FILE"), "|", error.hint)
assert len(ledger.store.read(lambda tx: tx.rows("run_ids"))) == acknowledged
if how == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, was)
else:
    Path(sys.argv[3]).unlink()
create(acknowledged)
assert verify(ledger.store) == []
print("went on")
"""


@pytest.mark.platform_only("limits of POSIX")
def test_a_file_that_cannot_grow_gives_a_clear_error_and_goes_on_once_it_can(path: Path) -> None:
    error, after = processes.run(FULL, "limit", path).splitlines()

    assert error.startswith("FILE cannot ")
    assert "nothing was changed" in error
    assert after == "went on"


@pytest.mark.platform_only("mount namespaces of Linux")
def test_a_full_disk_gives_a_clear_error_and_goes_on_once_there_is_space(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=2m none "{disk}" && head -c 900000 /dev/zero > "{disk}/ballast" && exec "$@"'
    script = processes.arguments(FULL, "disk", disk / "tasktrail.db", disk / "ballast")

    found = subprocess.run(
        [unshare, "-rm", "sh", "-c", mount, "sh", *script], env=processes.environment(), capture_output=True, text=True
    )

    assert found.returncode == 0, found.stderr
    error, after = found.stdout.splitlines()
    assert error.startswith("FILE cannot grow: the disk is full; nothing was changed")
    assert error.endswith("| free some space, then run it again")
    assert after == "went on"


@pytest.mark.parametrize("put", ["nothing", "another store"])
def test_a_file_that_is_taken_away_is_not_written_to_any_more(path: Path, tmp_path: Path, put: str) -> None:
    store = SqliteStore(path)
    ledger = fill(store)
    path.rename(tmp_path / "away.db")
    if put == "another store":
        SqliteStore(path).close()

    for use in (lambda: names_in(store), lambda: fill(store, ("more",)), lambda: ledger.store.read(lambda tx: None)):
        with pytest.raises(StoreError, match=r"tasktrail\.db was removed or replaced while it was open") as refused:
            use()
        assert refused.value.hint is not None
        assert "start it again" in refused.value.hint


def test_a_store_that_was_closed_opens_what_is_there_now(path: Path, tmp_path: Path) -> None:
    store = SqliteStore(path)
    fill(store)
    store.close()
    path.rename(tmp_path / "away.db")
    SqliteStore(path).close()

    assert names_in(store) == []
