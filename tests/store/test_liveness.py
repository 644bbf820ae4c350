"""Who is alive: the system frees a lock when its process dies, whatever way it dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktrail.store.liveness import LifeLock, clear, is_held
from tests import processes
from tests.processes import hear, started

HOLD = """
import sys
from pathlib import Path
from tasktrail.store.liveness import LifeLock
lock = LifeLock(Path(sys.argv[1]))
print(lock.name)
sys.stdin.readline()
"""

FORK = """
import os, sys
from pathlib import Path
from tasktrail.store.liveness import LifeLock
lock = LifeLock(Path(sys.argv[1]))
ready, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, b"x")
    sys.stdin.readline()
    os._exit(0)
os.read(ready, 1)
print(lock.name, child)
os.kill(os.getpid(), 9)
"""

CHECK = """
import sys
from pathlib import Path
from tasktrail.store.liveness import is_held
print(is_held(Path(sys.argv[1]), sys.argv[2]))
"""


def held_elsewhere(folder: Path, name: str) -> str:
    """What another process finds."""
    return processes.run(CHECK, folder, name).strip()


def test_a_lock_is_held_until_it_is_freed(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    lock = LifeLock(folder)

    assert is_held(folder, lock.name)
    assert held_elsewhere(folder, lock.name) == "True"

    lock.free()
    lock.free()
    assert not is_held(folder, lock.name)
    assert held_elsewhere(folder, lock.name) == "False"
    assert list(folder.iterdir()) == []


def test_asking_about_ones_own_lock_does_not_free_it(tmp_path: Path) -> None:
    lock = LifeLock(tmp_path)
    for _ in range(3):
        assert is_held(tmp_path, lock.name)

    assert held_elsewhere(tmp_path, lock.name) == "True"
    lock.free()


@pytest.mark.crash
def test_the_system_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    with started(HOLD, tmp_path) as child:
        name = hear(child)
        assert is_held(tmp_path, name)
        child.kill()
        child.wait(60)

        assert not is_held(tmp_path, name)
        assert (tmp_path / name).exists()
        clear(tmp_path, name)
        clear(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.crash
@pytest.mark.platform_only("fork")
def test_a_forked_child_does_not_keep_its_dead_parents_lock(tmp_path: Path) -> None:
    with started(FORK, tmp_path) as parent:
        name, child = hear(parent).split()
        parent.wait(60)

        assert Path(f"/proc/{child}").exists() or not Path("/proc").exists(), "the child outlives its parent"
        assert not is_held(tmp_path, name)


def test_names_are_never_the_same(tmp_path: Path) -> None:
    locks = [LifeLock(tmp_path) for _ in range(20)]

    assert len({lock.name for lock in locks}) == 20
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}
    for lock in locks:
        lock.free()


def test_a_lock_that_was_never_there_is_not_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "nowhere", "x.lock")
