"""SIGKILL at random instants: nothing acknowledged is lost, nothing finished is done again, the history folds."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasktrail.engine.values import decode
from tasktrail.engine.verification import verify
from tasktrail.model.task import Task
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tests.crash import mixed_run
from tests.crash.processes import LONGEST_S, child

STORE = Path(".tasktrail") / "tasktrail.db"

pytestmark = pytest.mark.crash


@dataclass(frozen=True)
class Deed:
    """One line of the journal."""

    what: str
    step: str = ""
    attempt: int = 0


@dataclass
class Story:
    """What happened to one run: the folder, when it was killed, and what was completed then."""

    folder: Path
    seed: int
    kills: list[str] = field(default_factory=list)
    completed: list[tuple[int, set[str]]] = field(default_factory=list)
    """Length of the journal at each kill, and the steps that the store then said were completed."""

    def journal(self) -> list[Deed]:
        """Return all whole lines of the journal."""
        path = self.folder / mixed_run.JOURNAL
        lines = path.read_text().splitlines() if path.exists() else []
        return [_deed(line) for line in lines]

    def told(self) -> str:
        """Say when it was killed."""
        return f"seed {self.seed}: " + "; ".join(self.kills)


def _deed(line: str) -> Deed:
    what, *rest = line.split()
    return Deed(what, rest[0] if rest else "", int(rest[1]) if len(rest) > 1 else 0)


def wait_until(process: subprocess.Popen[str], enough: Callable[[], bool]) -> None:
    """Return as soon as it is enough, or the process has ended."""
    deadline = time.monotonic() + LONGEST_S
    while process.poll() is None and not enough():
        assert time.monotonic() < deadline, "the run neither goes on nor ends"
        time.sleep(0.0003)


def execute_and_kill(story: Story, rng: random.Random) -> None:
    """Start the run, or go on with it, and kill it: some milliseconds after its start, or after some lines."""
    begun, before = time.monotonic(), len(story.journal())
    more, pause_s = rng.randint(0, 25), rng.random() * 0.004
    life_s = rng.random() * 0.35 if rng.random() < 0.3 else None
    with child("mixed_run.py", story.seed, cwd=story.folder) as process:
        if life_s is None:
            wait_until(process, lambda: len(story.journal()) > before + more)
            until = time.monotonic() + pause_s
            wait_until(process, lambda: time.monotonic() > until)
        else:
            wait_until(process, lambda: time.monotonic() > begun + life_s)
        alive = process.poll() is None
        process.kill()
        process.wait(LONGEST_S)
    lines, after_ms = len(story.journal()), (time.monotonic() - begun) * 1000
    word = "killed" if alive else f"had ended with {process.returncode} before the kill"
    story.kills.append(f"{word} after {after_ms:.0f} ms and {lines - before} lines (line {lines})")


def look_at_what_is_left(story: Story) -> None:
    """Verify a copy of the files, as the dead process left them: the next one shall recover them by itself."""
    if not (story.folder / STORE).exists():
        return
    copy = story.folder / f"copy-{len(story.kills)}"
    copy.mkdir()
    for path in story.folder.glob(f"{STORE}*"):
        if path.is_file() and not path.name.endswith("-shm"):
            shutil.copy(path, copy / path.name)
    store = open_store(str(copy / STORE.name))
    assert verify(store) == [], story.told()
    tasks = tasks_of(store)
    store.close()
    story.completed.append((len(story.journal()), {task.key for task in tasks if task.status == "completed"}))


def tasks_of(store: Store) -> list[Task]:
    """Return the tasks of the run, none when it was not created yet."""
    runs = store.read(lambda tx: tx.runs("runs_by_name", name=mixed_run.RUN_ID, kind="dag"))
    return store.read(lambda tx: tx.tasks("tasks_of_run", run_id=runs[0].id)) if runs else []


def execute_to_the_end(story: Story) -> None:
    """Go on with the run and let it live."""
    with child("mixed_run.py", story.seed, cwd=story.folder) as process:
        _, errors = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, f"{story.told()}: {errors}"


# ------------------------------------------------------------------------------------------------- what must have held


def check_journal(story: Story) -> None:
    """Nothing that was acknowledged, or stood completed in the store, was begun again."""
    deeds = story.journal()
    finished_at = {deed.step: line for line, deed in reversed([*enumerate(deeds)]) if deed.what == "ack"}
    for line, completed in story.completed:
        for key in completed:
            finished_at[key] = min(line, finished_at.get(key, line))
        acknowledged = {deed.step for deed in deeds[:line] if deed.what == "ack"}
        assert acknowledged <= completed, f"{story.told()}: lost {acknowledged - completed}"
    again = [deed for line, deed in enumerate(deeds) if deed.what == "begin" and line >= finished_at[deed.step]]
    assert again == [], f"{story.told()}: executed again although finished: {again}"


def check_store(story: Story) -> None:
    """All is recorded: each step's result, exactly one good attempt, no try used up by a kill."""
    store = open_store(str(story.folder / STORE))
    assert verify(store) == [], story.told()
    deeds = story.journal()
    for task in tasks_of(store):
        attempts = store.read(lambda tx, task=task: tx.attempts("attempts_of_task", task_id=task.id))  # type: ignore[misc]
        outcomes = [attempt.outcome for attempt in attempts]
        begun = {deed.attempt for deed in deeds if (deed.what, deed.step) == ("begin", task.key)}
        assert store.read(lambda tx, task=task: decode(task.output, tx)) == mixed_run.result_of(task.key)  # type: ignore[misc]
        assert outcomes.count("ok") == 1
        assert begun <= set(range(1, task.attempts + 1)), f"{story.told()}: {task.key} was begun before it was counted"
        assert task.tries <= mixed_run.is_flaky(task.key), f"{story.told()}: {task.key} has used up {outcomes}"
        assert set(outcomes) <= {"ok", "lost", "error"}
    store.close()


def survive(folder: Path, seed: int) -> Story:
    """Execute a run that is killed several times, look at it after each kill, and let it end."""
    story, rng = Story(folder, seed), random.Random(f"kill {seed}")
    for _ in range(rng.randint(2, 4)):
        execute_and_kill(story, rng)
        look_at_what_is_left(story)
    execute_to_the_end(story)
    check_journal(story)
    check_store(story)
    print(story.told())
    return story


@pytest.mark.requirement("BL-075", "BL-078", "BL-079")
@pytest.mark.parametrize("seed", range(20))
def test_a_run_survives_being_killed_at_random_instants(tmp_path: Path, seed: int) -> None:
    story = survive(tmp_path, seed)

    assert len(story.journal()) >= 3 * mixed_run.STEPS


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20, 220))
def test_a_run_survives_being_killed_at_200_random_instants(tmp_path: Path, seed: int) -> None:
    survive(tmp_path, seed)
