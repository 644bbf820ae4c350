"""What a step is given: results of others by parameter name, and `ctx`; and on what it runs."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from functools import partial
from typing import Any

import pytest

from tasktrail.dag import DAGRunStatus, ParallelStatefulDAGRunner, StatefulDAGRunner
from tasktrail.engine.ledger import Ledger
from tests.dag.conftest import NewRunner
from tests.dag.executors import Failing, Recording
from tests.engine.executing import until


def details(ledger: Ledger, runner: StatefulDAGRunner) -> tuple[Any, ...]:
    """Return progress done and total of the run's first step."""
    rows = ledger.store.read(lambda tx: tx.rows("details_of_run", run_id=runner._record.row_id))
    return tuple(rows[0][3:5]) if rows else (None, None)


def notes(ledger: Ledger, runner: StatefulDAGRunner) -> list[object]:
    """Return the notes in the run's history."""
    rows = ledger.store.read(lambda tx: tx.rows("events_of_run", run_id=runner._record.row_id, after=0, limit=100))
    return [row[8] for row in rows if row[3] == "note"]


# -------------------------------------------------------------------------------------------------------------- results


async def test_results_are_handed_over_by_parameter_name(runner: StatefulDAGRunner) -> None:
    runner.register_step("fetch", lambda: [3, 1, 2])
    runner.register_step("sort", lambda fetch: sorted(fetch))
    runner.register_step("report", lambda sort, fetch, title="numbers": f"{title}: {fetch} -> {sort}")

    run = await runner.execute()

    assert run.steps["report"].result == "numbers: [3, 1, 2] -> [1, 2, 3]"


async def test_a_key_that_is_no_identifier_is_asked_for_with_underscores(runner: StatefulDAGRunner) -> None:
    runner.register_step("fetch-data v2", lambda: 7)
    runner.register_step("save", lambda fetch_data_v2: fetch_data_v2 + 1)

    assert (await runner.execute()).steps["save"].result == 8


async def test_a_parameter_means_the_step_of_exactly_that_name_before_any_that_is_alike(
    runner: StatefulDAGRunner,
) -> None:
    """Whatever was registered last: the wrong data would be used without a word."""
    runner.register_step("raw_data", lambda: "exact")
    runner.register_step("raw-data", lambda: "alike")
    runner.register_step("save", lambda raw_data: raw_data)

    assert (await runner.execute()).steps["save"].result == "exact"


async def test_a_parameter_that_means_two_steps_is_refused(runner: StatefulDAGRunner) -> None:
    runner.register_step("raw data", lambda: 1)
    runner.register_step("raw-data", lambda: 2)
    runner.register_step("save", lambda raw_data: raw_data)

    with pytest.raises(ValueError, match="raw"):
        await runner.execute()


async def test_a_failed_steps_result_is_none(runner: StatefulDAGRunner) -> None:
    runner.register_step("optional", Failing(), max_retries=0, critical=False)
    runner.register_step("save", lambda optional: {"got": optional})

    assert (await runner.execute()).steps["save"].result == {"got": None}


async def test_a_parameter_that_nobody_gives_is_an_error_before_anything_runs(runner: StatefulDAGRunner) -> None:
    fetch = Failing(0)
    runner.register_step("fetch", fetch)
    runner.register_step("save", lambda fetch, bucket: None)

    with pytest.raises(ValueError, match="step 'save' has a parameter 'bucket'"):
        await runner.execute()

    assert fetch.calls == 0


async def test_all_steps_with_parameters_that_nobody_gives_are_named_at_once(runner: StatefulDAGRunner) -> None:
    runner.register_step("fetch", lambda url: None)
    runner.register_step("save", lambda bucket: None)

    with pytest.raises(ValueError, match="url") as error:
        await runner.execute()

    assert "bucket" in str(error.value)


async def test_parameters_that_take_anything_are_left_alone(runner: StatefulDAGRunner) -> None:
    runner.register_step("fetch", lambda: 1)
    runner.register_step("save", lambda *args, **kwargs: [len(args), len(kwargs)])

    assert (await runner.execute()).steps["save"].result == [0, 0]


@pytest.mark.requirement("BL-088")
async def test_positional_only_parameters_are_filled_too(runner: StatefulDAGRunner) -> None:
    def save(fetch: int, /) -> int:
        return fetch + 1

    async def publish(save: int, /) -> int:
        return save + 1

    runner.register_step("fetch", lambda: 1)
    runner.register_step("save", save, max_retries=0)
    runner.register_step("publish", publish, max_retries=0)

    run = await runner.execute()

    assert (run.status, run.steps["publish"].result) == (DAGRunStatus.SUCCESS, 3)


async def test_results_survive_the_process_that_made_them(new_runner: NewRunner) -> None:
    first = new_runner()
    first.register_step("fetch", lambda: {"rows": [1, 2]})
    first.register_step("save", Failing(), max_retries=0)
    await first.execute()
    again = new_runner(run_id=first.run_id)
    again.register_step("fetch", lambda: {"rows": []})
    again.register_step("save", lambda fetch: sum(fetch["rows"]))

    assert (await again.execute()).steps["save"].result == 3


async def test_a_changed_result_in_a_step_does_not_reach_the_others(runner: StatefulDAGRunner) -> None:
    runner.register_step("fetch", lambda: [1])
    runner.register_step("a", lambda fetch: fetch.append(2))
    runner.register_step("b", lambda fetch: fetch)

    assert (await runner.execute()).steps["b"].result == [1]


async def test_in_parallel_a_step_is_given_what_it_needs_and_nothing_else(parallel: ParallelStatefulDAGRunner) -> None:
    parallel.register_step("a", lambda: 1)
    parallel.register_step("b", lambda: 2)
    parallel.register_step("c", lambda a, ctx: [a, dict(ctx.results)], dependencies=["a"])

    assert (await parallel.execute()).steps["c"].result == [1, {"a": 1}]


async def test_in_parallel_a_result_that_is_not_needed_is_refused(parallel: ParallelStatefulDAGRunner) -> None:
    parallel.register_step("a", lambda: 1)
    parallel.register_step("b", lambda a: a)

    with pytest.raises(ValueError, match="step 'b' has a parameter 'a', but needs no step of that name"):
        await parallel.execute()


# ------------------------------------------------------------------------------------------------------------------ ctx


async def test_ctx_says_which_attempt_of_what_this_is(new_runner: NewRunner) -> None:
    seen: list[Any] = []

    async def fetch(ctx: Any) -> None:
        seen.append(ctx)
        if len(seen) < 3:
            raise ValueError("again")

    runner = new_runner(dag_run_id="nightly")
    runner.register_step("fetch", fetch)
    await runner.execute()

    assert [(ctx.run_id, ctx.step_id, ctx.attempt) for ctx in seen] == [("nightly", "fetch", n) for n in (1, 2, 3)]
    assert len({ctx.token for ctx in seen}) == 1
    assert len({ctx.trace_id for ctx in seen}) == 1
    assert len({ctx.span_id for ctx in seen}) == 3
    assert seen[0].traceparent == f"00-{seen[0].trace_id}-{seen[0].span_id}-01"


async def test_the_idempotency_token_is_the_same_after_a_resume_and_another_for_another_step(
    new_runner: NewRunner,
) -> None:
    tokens: list[tuple[str, str]] = []

    async def step(ctx: Any) -> None:
        tokens.append((ctx.step_id, ctx.token))
        if len(tokens) == 1:
            raise ValueError("again")

    first = new_runner()
    first.register_step("a", step, max_retries=0)
    first.register_step("b", step)
    await first.execute()
    again = new_runner(run_id=first.run_id)
    again.register_step("a", step)
    again.register_step("b", step)
    await again.execute()

    assert [key for key, _ in tokens] == ["a", "a", "b"]
    assert tokens[0] == tokens[1]
    assert tokens[1][1] != tokens[2][1]


async def test_notes_are_history_and_scrubbed(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    runner.register_step("fetch", lambda ctx: ctx.note("asked with password=hunter2secret twice"))

    await runner.execute()

    assert len(notes(ledger, runner)) == 1
    assert "hunter2secret" not in str(notes(ledger, runner)[0])


@pytest.mark.parametrize("text", ["half a pair \ud800", "a\0b", "x" * 1_000_000])
async def test_a_note_of_any_text_is_kept(runner: StatefulDAGRunner, ledger: Ledger, text: str) -> None:
    """As the texts of errors are: what a step has to say must not fail it."""
    runner.register_step("fetch", lambda ctx: ctx.note(text), max_retries=0)

    run = await runner.execute()

    assert (run.status, len(notes(ledger, runner))) == (DAGRunStatus.SUCCESS, 1)


async def test_progress_is_stored_at_the_beginning_and_at_the_end(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    seen: list[tuple[Any, ...]] = []

    async def fetch(ctx: Any) -> None:
        for n in range(1, 101):
            ctx.progress(n, 100)
            seen.append(details(ledger, runner))

    runner.register_step("fetch", fetch)
    await runner.execute()

    assert seen[0] == (1, 100)
    assert seen[-1] == (100, 100)
    assert len(set(seen)) < 20  # not every call is a write


# ----------------------------------------------------------------------------------------------------- on what they run


async def test_coroutine_functions_run_on_the_loop_and_others_on_threads(runner: StatefulDAGRunner) -> None:
    on: dict[str, str] = {}

    def here(name: str) -> None:
        on[name] = "loop" if threading.current_thread() is threading.main_thread() else "thread"

    async def coroutine() -> None:
        here("coroutine")

    class Object:
        async def __call__(self) -> None:
            here("object")

        async def method(self) -> None:
            here("method")

    runner.register_step("coroutine", coroutine)
    runner.register_step("function", lambda: here("function"))
    runner.register_step("object", Object())
    runner.register_step("method", Object().method)
    runner.register_step("partial", partial(here, "partial"))
    runner.register_step("partial_coroutine", partial(coroutine))
    await runner.execute()

    assert on == {
        "coroutine": "loop", "function": "thread", "object": "loop", "method": "loop", "partial": "thread",
    }  # fmt: skip


@pytest.mark.requirement("BL-088")
async def test_a_lambda_that_returns_a_coroutine_is_awaited(runner: StatefulDAGRunner) -> None:
    async def fetch(url: str) -> str:
        await asyncio.sleep(0)
        return f"got {url}"

    runner.register_step("fetch", lambda: fetch("here"))

    assert (await runner.execute()).steps["fetch"].result == "got here"


async def test_a_thread_sees_the_context_variables_of_the_execution(runner: StatefulDAGRunner) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    tenant.set("acme")
    runner.register_step("fetch", lambda: tenant.get("nobody"))

    assert (await runner.execute()).steps["fetch"].result == "acme"


async def test_the_loop_goes_on_while_a_step_is_on_a_thread(runner: StatefulDAGRunner) -> None:
    released = threading.Event()

    async def release() -> None:
        released.set()

    helper = asyncio.create_task(release())
    runner.register_step("fetch", lambda: released.wait(10))

    assert (await runner.execute()).steps["fetch"].result is True
    await helper


async def test_threads_are_given_back(new_runner: NewRunner) -> None:
    before = threading.active_count()
    for _ in range(20):
        runner = new_runner()
        runner.register_step("fetch", lambda: 1)
        await runner.execute()
    await until(lambda: threading.active_count() <= before)

    assert threading.active_count() <= before


async def test_many_runs_at_once_in_one_program(new_runner: NewRunner) -> None:
    record, runners = Recording(), [new_runner() for _ in range(20)]
    for number, runner in enumerate(runners):
        runner.register_step("a", record.step(f"{number}"))
        runner.register_step("b", lambda a: int(a))

    runs = await asyncio.gather(*(runner.execute() for runner in runners))

    assert [run.steps["b"].result for run in runs] == list(range(20))
