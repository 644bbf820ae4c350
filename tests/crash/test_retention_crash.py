"""SIGKILL while runs are removed, or a text is: what is left is sound, and the next one goes on."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tasktrail.engine.erasing import Erasing
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.removals import removals
from tasktrail.engine.values import encode
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tests.crash.processes import child

pytestmark = pytest.mark.crash

SIZES = [3, 40, 1, 25, 8]


def fill(store: Store) -> None:
    """Make runs of chains that end in a failure, or well; with a large result each."""
    ledger = Ledger(store, actor="ann")
    for number, size in enumerate(SIZES):
        drafts = tuple(TaskDraft(f"t{n}", needs=(Need(f"t{n - 1}"),) if n else ()) for n in range(size))
        run = ledger.create_run(RunDraft("dag", f"run-{number}", "etl", drafts))
        tasks = store.read(lambda tx, run=run: tx.tasks("tasks_of_run", run_id=run.id))  # type: ignore[misc]
        large = encode(["x" * 2000, number], "the result")
        for task in tasks[: size - number]:
            ledger.ask(task.id, Ask("start"))
            ledger.ask(task.id, Ask("complete", output=large.column), payload=large)
        if number:
            ledger.ask(tasks[size - number].id, Ask("fail"))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        url = str(tmp_path / "tasks.db")
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("server").schema())
        yield url


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_leaves_a_sound_store_and_the_next_call_goes_on(url: str, tmp_path: Path, seed: int) -> None:
    rng, kills, n_tasks = random.Random(f"prune {seed}"), [], sum(SIZES)
    store = open_store(url)
    fill(store)
    store.close()
    for _ in range(4):
        with child("pruning.py", url, cwd=tmp_path) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(rng.randint(1, 3))]
            process.kill()
            process.wait()
        kills.append(f"killed after {len(lines)} batches")
        assert verify(store) == [], kills
        totals, _ = store.read(removals)
        runs = store.read(lambda tx: tx.runs("runs_of_workflow", workflow="etl", limit=99))
        left = sum(run.n_tasks for run in runs)
        assert left + totals["tasks"] == n_tasks, kills
        store.close()
    with child("pruning.py", url, cwd=tmp_path) as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors

    assert store.read(lambda tx: tx.rows("run_ids")) == []
    assert store.read(lambda tx: tx.rows("payload_page", after="", limit=1)) == []
    assert verify(store) == []
    assert store.read(removals)[0]["runs"] == len(SIZES)
    store.close()
    print("; ".join(kills))


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_while_a_text_is_erased_leaves_all_of_it_or_nothing(url: str, tmp_path: Path, seed: int) -> None:
    rng, kills = random.Random(f"erase {seed}"), []
    store = open_store(url)
    fill(store)
    before = Erasing(Ledger(store, actor="eraser"), "ann").look().places
    store.close()
    for _ in range(4):
        with child("erasing.py", url, "ann", cwd=tmp_path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            wait_s = rng.random() * 0.8
            with suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
            process.kill()
            process.wait()
        kills.append(f"killed {wait_s:.2f} s after it began")
        assert verify(store) == [], kills
        assert Erasing(Ledger(store, actor="eraser"), "ann").look().places in (before, {}), kills
        store.close()
    with child("erasing.py", url, "ann", cwd=tmp_path) as process:
        assert process.communicate(timeout=60)[0] == "begins\ndone\n"

    assert Erasing(Ledger(store, actor="eraser"), "ann").look().places == {}
    assert verify(store) == []
    store.close()
