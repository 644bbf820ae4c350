"""Our own death: no command outlives it, whatever it ignores, and its private files go with it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import step
from tasktrail.engine.watchdog import Watchdog
from tasktrail.store.opening import open_store
from tests.crash.processes import child
from tests.engine.executing import one

pytestmark = pytest.mark.crash

LONG_S = 60
SOON_S = 8.0
"""TERM at once, KILL after two seconds; the rest is for a machine that has other things to do."""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def becomes(condition: Callable[[], bool]) -> bool:
    """Look until it holds, or never will."""
    deadline = time.monotonic() + SOON_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def pid_in(path: Path) -> int:
    assert becomes(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


POLITE = f"echo $$ > pid; exec sleep {LONG_S}"
DEAF = f"trap '' TERM; sh -c 'echo $$ > child; sleep {LONG_S}; sleep {LONG_S}' & echo $$ > pid; wait; wait"


@pytest.mark.parametrize(("line", "names"), [(POLITE, ["pid"]), (DEAF, ["pid", "child"])])
async def test_a_killed_process_leaves_no_command_running(tmp_path: Path, line: str, names: list[str]):
    with child("commanding.py", tmp_path, line, cwd=tmp_path) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        pids = [pid_in(tmp_path / name) for name in names]
        assert all(map(is_running, pids))
        assert list(folder.iterdir()) != []  # noqa: ASYNC240 - tests may
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert becomes(lambda: not any(map(is_running, pids)))
    assert becomes(lambda: not folder.exists())
    ledger = Ledger(open_store(str(tmp_path / "tasks.db")), actor="tester")
    run = await Runner(ledger, 1, Plan({"a": step("a", one)})).execute()
    assert run.status == "completed"


@pytest.mark.parametrize("line", [POLITE, f"trap '' TERM; echo $$ > pid; sleep {LONG_S}; sleep {LONG_S}"])
@pytest.mark.platform_only("/proc")
def test_a_killed_process_leaves_nothing_running_that_fled_its_group(tmp_path: Path, line: str):
    fleeing = f"{shlex.join(['setsid', 'sh', '-c', line])} >/dev/null 2>&1 & sleep {LONG_S}"
    with child("commanding.py", tmp_path, fleeing, cwd=tmp_path) as process:
        pid = pid_in(tmp_path / "pid")
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert becomes(lambda: not is_running(pid))


@pytest.mark.platform_only("/proc")
def test_what_was_started_in_the_moment_of_our_death_is_found_though_nobody_told(tmp_path: Path):
    """Between its start and `watch`; what somebody else's attempt started is left alone."""
    dog = Watchdog()
    ours, others = (sleeper(TASKTRAIL_INPUT=f"{path}/input.json") for path in (dog.new_folder(), tmp_path))
    dog.end()

    assert ours.wait(SOON_S) == -signal.SIGTERM
    assert others.poll() is None
    others.kill()
    others.wait()


def test_who_is_of_a_group_is_told_to_end_once(tmp_path: Path):
    """Though it is found as one of our attempt too: many a program takes a second SIGTERM for impatience."""
    dog = Watchdog()
    told, env = tmp_path / "told", {**os.environ, "TASKTRAIL_INPUT": f"{dog.new_folder()}/input.json"}
    script = f"""
import signal
signal.signal(signal.SIGTERM, lambda *_: open({str(told)!r}, "a").write("x"))
open({str(told)!r}, "w").close()
while True:
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-S", "-c", script], env=env, start_new_session=True) as deaf:
        assert becomes(told.exists)
        dog.watch(deaf.pid)
        dog.end()

        assert deaf.wait(SOON_S) == -signal.SIGKILL
    assert told.read_text() == "x"


def test_what_ends_our_group_does_not_reach_the_watchdog():
    """A terminal that closes, Ctrl-C, and who kills the whole group of processes."""
    dog, watched = Watchdog(), sleeper()
    dog.watch(watched.pid)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        dog._shell.send_signal(number)
    assert os.getpgid(dog._shell.pid) == dog._shell.pid
    dog.end()

    assert watched.wait(SOON_S) == -signal.SIGTERM


def sleeper(**variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", str(LONG_S)], env=os.environ | variables, start_new_session=True)


def test_it_ends_what_it_watches_and_not_what_it_forgot():
    dog, watched, forgotten = Watchdog(), sleeper(), sleeper()
    for process in (forgotten, watched):
        dog.watch(process.pid)
    dog.forget(forgotten.pid)
    dog.end()

    assert watched.wait(SOON_S) == -signal.SIGTERM
    assert forgotten.poll() is None
    assert becomes(lambda: not dog.folder.exists())
    forgotten.kill()
    forgotten.wait()


def test_a_killed_watchdog_is_replaced_and_knows_all():
    dog, first, second = Watchdog(), sleeper(), sleeper()
    dog.watch(first.pid)
    dog._shell.kill()
    dog._shell.wait()
    dog.watch(second.pid)
    dog.end()

    assert [process.wait(SOON_S) for process in (first, second)] == [-signal.SIGTERM] * 2


def test_a_forked_child_neither_keeps_nor_ends_the_commands_of_its_parent(tmp_path: Path):
    script = f"""
import os, subprocess, sys, time
from tasktrail.engine.watchdog import watchdog
sleeper = subprocess.Popen(["sleep", "{LONG_S}"], start_new_session=True)
watchdog().watch(sleeper.pid)
child = os.fork()
if not child:
    time.sleep({LONG_S})
print(sleeper.pid, child, flush=True)
if sys.argv[1] == "child ends":
    os.kill(child, 15)
    os.waitpid(child, 0)
    print(sleeper.poll(), flush=True)
    watchdog().end()
    print(sleeper.wait(), flush=True)
else:
    os.kill(os.getpid(), 9)
"""
    (tmp_path / "forks.py").write_text(script)
    for what, said in (("child ends", ["None", "-15"]), ("parent is killed", [])):
        with child(str(tmp_path / "forks.py"), what, cwd=tmp_path) as process:
            assert process.stdout is not None
            sleeping, forked = map(int, process.stdout.readline().split())
            process.wait(SOON_S)
            assert becomes(lambda sleeping=sleeping: not is_running(sleeping)), what  # type: ignore[misc]
            if said:
                assert process.stdout.read().split() == said
            else:
                os.kill(forked, signal.SIGKILL)
