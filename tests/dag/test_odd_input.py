"""Ids, numbers and results that nobody should give: refused with a reason, or harmless."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import DAGRunStatus, DAGStepStatus, StatefulDAGRunner
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import BadInput
from tests.dag.conftest import NewRunner
from tests.dag.executors import Failing

ODD_RUN_IDS = [
    "../etc",
    "a/b",
    "a\0b",
    "x" * 10_000,
    "🚀",
    "",
    ".hidden",
    "-rf",
    "a\nb",
    "\ud800",
    " a",
    "a:b",
    "CON\\x",
]
BAD_STEP_IDS = ["", "a\0b", "x" * 10_000, "a\nb", "\ud800", " a", "\u202eabc", "tab\there"]


async def register_and_execute(runner: StatefulDAGRunner, executor: Failing, *step_ids: str) -> None:
    """Register a step for each id; whether that or the execution refuses a bad one is all the same."""
    for step_id in step_ids:
        runner.register_step(step_id, executor)
    await runner.execute()


def runs(ledger: Ledger) -> int:
    """Return how many runs the store has."""
    return len(ledger.store.read(lambda tx: tx.rows("run_ids")))


@pytest.mark.parametrize("run_id", ODD_RUN_IDS, ids=ascii)
def test_a_run_id_that_could_be_a_path_or_cannot_be_read_is_refused(
    new_runner: NewRunner, ledger: Ledger, run_id: str
) -> None:
    with pytest.raises(BadInput) as error:
        new_runner(dag_run_id=run_id)

    assert len(str(error.value)) < 400
    assert runs(ledger) == 0


@pytest.mark.parametrize("dag_id", ["", "\ud800", "a\0b", "a\nb"], ids=ascii)
def test_a_dag_id_that_cannot_be_read_is_refused(new_runner: NewRunner, ledger: Ledger, dag_id: str) -> None:
    with pytest.raises(BadInput):
        new_runner(dag_id)

    assert runs(ledger) == 0


@pytest.mark.parametrize("dag_id", ["../etl", "etl 🚀", "x" * 200])
def test_a_dag_id_is_only_a_name(new_runner: NewRunner, tmp_path: Path, dag_id: str) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())

    assert new_runner(run_id=new_runner(dag_id).run_id).dag_id == dag_id
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("step_id", BAD_STEP_IDS, ids=ascii)
async def test_a_step_id_that_cannot_be_read_is_refused_and_nothing_is_stored(
    runner: StatefulDAGRunner, ledger: Ledger, step_id: str
) -> None:
    fetch = Failing(0)

    with pytest.raises(BadInput) as error:
        await register_and_execute(runner, fetch, "fine", step_id)

    assert len(str(error.value)) < 400
    assert (fetch.calls, ledger.store.read(lambda tx: tx.run(runner._record.row_id)).n_tasks) == (0, 0)


async def test_all_bad_step_ids_are_named_at_once(runner: StatefulDAGRunner) -> None:
    with pytest.raises(BadInput) as error:
        await register_and_execute(runner, Failing(0), "one\n", "two\n")

    assert "one" in str(error.value)
    assert "two" in str(error.value)


@pytest.mark.parametrize(
    "step_id", ["../../etc/passwd", "🚀 lift off", "a:b", "a/b#1", "x" * 200, "'; DROP TABLE task"]
)
def test_any_other_step_id_is_harmless(runner: StatefulDAGRunner, tmp_path: Path, step_id: str) -> None:
    runner.register_step(step_id, Failing(0))

    run = asyncio.run(runner.execute())

    assert (run.status, list(run.steps), run.steps[step_id].result) == (DAGRunStatus.SUCCESS, [step_id], "ok")
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"tasks.db"}


@pytest.mark.requirement("BL-071")
@pytest.mark.parametrize(
    "options",
    [
        {"max_retries": -1}, {"max_retries": 1.5}, {"max_retries": 2**31}, {"retry_delay": -1}, {"retry_delay": "soon"},
        {"retry_delay": float("nan")}, {"retry_delay": float("inf")}, {"retry_backoff": "sometimes"}, {"timeout": 0},
        {"timeout": -1}, {"timeout": float("nan")}, {"timeout": float("inf")}, {"timeout": 1e300}, {"timeout": "soon"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_number_out_of_range_is_refused_when_it_is_registered(
    runner: StatefulDAGRunner, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        runner.register_step("fetch", Failing(0), **options)


def test_what_cannot_be_called_is_refused(runner: StatefulDAGRunner) -> None:
    with pytest.raises(ValueError, match="executor of step 'fetch' to be callable, got: str"):
        runner.register_step("fetch", "module:function")  # type: ignore[arg-type]  # what is tested


# ------------------------------------------------------------------------------------------------------------- results


@pytest.mark.requirement("BL-088")
@pytest.mark.parametrize(
    ("value", "word"),
    [
        (object(), "object"), ({"when": Path("x")}, "PosixPath"), (b"bytes", "bytes"), ({1, 2}, "set"),
        (float("nan"), "float"), (1j, "complex"), ("\ud800", "surrogate"),
    ],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
async def test_a_result_that_is_not_json_fails_its_step_with_name_and_type(
    runner: StatefulDAGRunner, value: object, word: str
) -> None:
    runner.register_step("fetch", Failing(0, result=value), critical=False)
    runner.register_step("save", Failing(0))

    run = await runner.execute()

    assert (run.status, run.steps["save"].status) == (DAGRunStatus.PARTIAL_SUCCESS, DAGStepStatus.SUCCESS)
    step = run.steps["fetch"]
    assert (step.status, step.result) == (DAGStepStatus.FAILED, None)
    assert step.error is not None
    assert "fetch" in step.error
    assert word in step.error + str(step.metadata["error_history"][0]["error_type"])
    assert step.metadata["attempts"] == 1  # the same code would return the same again


@pytest.mark.requirement("BL-088")
async def test_a_result_whose_keys_would_become_one_is_refused(runner: StatefulDAGRunner) -> None:
    """JSON has text keys alone: 1 and "1" would be written twice, and one of the values lost without a word."""
    runner.register_step("fetch", Failing(0, result={1: "number", "1": "text"}))

    run = await runner.execute()

    assert run.steps["fetch"].status is DAGStepStatus.FAILED


@pytest.mark.requirement("BL-088")
@pytest.mark.parametrize(
    "value",
    [None, 0, "", [], {}, False, 1.5, 2**80, "Größe 🚀 \0 \u2028", [[[]]], {"": None}, {"@": "@"}, "@" + "0" * 64],
    ids=ascii,
)
async def test_a_result_comes_back_as_it_was(new_runner: NewRunner, value: object) -> None:
    runner = new_runner()
    runner.register_step("fetch", Failing(0, result=value))
    await runner.execute()

    assert new_runner(run_id=runner.run_id).dag_run.steps["fetch"].result == value


async def test_a_huge_result_is_kept_once_by_content_and_handed_over(new_runner: NewRunner, ledger: Ledger) -> None:
    runner, rows = new_runner(), [{"row": n, "text": "x" * 100} for n in range(20_000)]
    seen: list[int] = []
    runner.register_step("fetch", Failing(0, result=rows))
    runner.register_step("again", Failing(0, result=rows))
    runner.register_step("count", lambda fetch, again: seen.extend((len(fetch), len(again))))

    run = await runner.execute()

    assert (run.status, seen) == (DAGRunStatus.SUCCESS, [20_000, 20_000])
    tasks = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=runner._record.row_id))
    assert tasks[0].output == tasks[1].output
    assert len(str(tasks[0].output)) == 65


async def test_a_result_that_was_stored_can_be_read_from_deep_in_a_program(new_runner: NewRunner) -> None:
    """What is nested too deeply to be read again must be refused when it is handed in."""
    runner = new_runner()
    for depth in (100, 400, 800, 850, 900, 920):
        value: list[Any] = []
        for _ in range(depth):
            value = [value]
        runner.register_step(f"nested-{depth}", Failing(0, result=value), critical=False)
    await runner.execute()
    loaded = new_runner(run_id=runner.run_id)

    def statuses(levels: int) -> set[DAGStepStatus]:
        return statuses(levels - 1) if levels else {step.status for step in loaded.dag_run.steps.values()}

    assert statuses(150) <= {DAGStepStatus.SUCCESS, DAGStepStatus.FAILED}
