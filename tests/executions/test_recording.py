"""`with record(…)` and `@recorded`: what a program does is on record, and recording never breaks it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import StatefulDAGRunner
from tasktrail.executions import Experience, RawStore, factory, record, recorded, recording
from tasktrail.model.attempt import parse_traceparent
from tests.executions.told import START

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def all_told() -> list[Experience]:
    """What the project's store has, the oldest first."""
    with RawStore() as store:
        return store.list_task_executions(limit=100)[::-1]


def last() -> dict[str, Any]:
    return all_told()[-1].content.structured


@pytest.mark.requirement("AX-063", "AX-018", "AX-022", "AX-023")
def test_a_block_is_recorded_with_what_is_said_of_it() -> None:
    with record("report", name="Daily report", task_type="report", trigger="scheduled", inputs={"day": 5}) as attempt:
        attempt.response = "sent to ann@example.org"
        attempt.wrote("report.md", Path("chart.svg"))
        attempt.called("search", {"q": "rain"}, result=["wet"], ms=12)
        attempt.used(input_tokens=10, output_tokens=2, cost_usd=0.01)
        attempt.used(input_tokens=5)
        attempt.output = {"pages": 3}
        unstored = attempt.id

    told = last()
    assert (unstored, attempt.id) == (None, all_told()[-1].id)
    assert all_told()[-1].content.text == "sent to [email]"
    assert (told["task_id"], told["task_name"], told["task_type"]) == ("report", "Daily report", "report")
    assert (told["status"], told["scheduled_vs_manual"], told["attempt"]) == ("success", "scheduled", 1)
    assert told["io"]["files_written"] == ["report.md", "chart.svg"]
    assert told["io"]["tool_calls"] == [{"tool": "search", "arguments": {"q": "rain"}, "result": ["wet"], "ms": 12}]
    assert told["usage"] == {"input_tokens": 15, "output_tokens": 2, "cost_usd": 0.01}
    assert (told["inputs"], told["output"]) == ({"day": 5}, {"pages": 3})
    assert (told["trace_id"], told["span_id"]) == (attempt.trace_id, attempt.span_id)


@pytest.mark.requirement("AX-064")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no"), "failed"), (SystemExit(2), "failed"), (SystemExit(0), "success"),
        (KeyboardInterrupt(), "aborted"), (asyncio.CancelledError(), "aborted"), (GeneratorExit(), "success"),
    ],
)  # fmt: skip
def test_what_is_raised_is_recorded_and_goes_on(error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), record("report"):
        raise error

    assert last()["status"] == status
    assert (last()["error"] is None) == (status == "success")


@pytest.mark.requirement("AX-001", "AX-002", "AX-003", "AX-004")
def test_attempts_of_one_trace_are_counted_until_one_succeeds() -> None:
    for fails in (True, True, False, True):
        with contextlib.suppress(RuntimeError), record("report", trace_id="t"):
            if fails:
                raise RuntimeError
    with record("other", trace_id="t"):
        pass

    told = [one.content.structured for one in all_told()]
    assert [one["attempt"] for one in told] == [1, 2, 3, 1, 1]
    spans = [one["span_id"] for one in told]
    assert [one["retry_of"] for one in told] == [None, spans[0], spans[1], None, None]
    assert len(set(spans)) == 5


def test_what_runs_inside_belongs_to_the_trace_around_it() -> None:
    async def inner(number: int) -> None:
        async with record(f"part-{number}"):
            await asyncio.sleep(0)

    async def outer() -> None:
        async with record("whole", trace_id="my trace"):
            await asyncio.gather(inner(1), inner(2))

    asyncio.run(outer())
    with record("another"):
        pass

    told = {one.content.structured["task_id"]: one.content.structured for one in all_told()}
    whole = told["whole"]
    assert "parent_span_id" not in whole
    for part in (told["part-1"], told["part-2"]):
        assert (part["trace_id"], part["parent_span_id"]) == ("my trace", whole["span_id"])
    assert told["another"]["trace_id"] != "my trace"


@pytest.mark.parametrize(
    "given",
    [{"traceparent": PARENT}, {"headers": {"Accept": "*/*", "TraceParent": PARENT}}],
    ids=["argument", "header"],
)
def test_a_trace_is_taken_from_whoever_asked(given: dict[str, Any]) -> None:
    with record("report", **given):
        pass

    assert (last()["trace_id"], last()["parent_span_id"]) == (TRACE, SPAN)


def test_a_trace_is_taken_from_the_environment_and_handed_to_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", PARENT)
    with record("report") as attempt:
        code = "import os; print(os.environ['TRACEPARENT'])"
        said = subprocess.run([sys.executable, "-c", code], env=attempt.environ(), capture_output=True, text=True)

    assert parse_traceparent(said.stdout) == (TRACE, attempt.span_id)
    assert (last()["trace_id"], last()["parent_span_id"]) == (TRACE, SPAN)


@pytest.mark.parametrize("said", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", PARENT.upper()])
def test_a_trace_that_cannot_be_read_begins_a_new_one(
    said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRACEPARENT", said)
    with record("report"):
        pass
    assert len(last()["trace_id"]) == 32
    with record("report", traceparent=said or "none"):
        pass

    assert last()["trace_id"] != TRACE
    assert "expected traceparent to be 00-" in caplog.text


def test_a_step_of_a_run_is_the_span_around_what_it_records() -> None:
    def load() -> None:
        with record("download"):
            pass

    async def store() -> None:
        async with record("upload"):
            pass

    runner = StatefulDAGRunner("etl", dag_run_id="etl-1")
    runner.register_step("load", load)
    runner.register_step("store", store)
    asyncio.run(runner.execute())

    told = {one.content.structured["task_id"]: one.content.structured for one in all_told()}
    for step, inside in (("etl-1:load", "download"), ("etl-1:store", "upload")):
        assert told[inside]["trace_id"] == told[step]["trace_id"]
        assert told[inside]["parent_span_id"] == told[step]["span_id"]


def test_a_run_belongs_to_the_trace_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", PARENT)
    runner = StatefulDAGRunner("etl", dag_run_id="etl-1")
    runner.register_step("load", lambda: None)
    asyncio.run(runner.execute())

    assert last()["trace_id"] == TRACE


# ------------------------------------------------------------------------------------------------------------ functions


@recorded
def add(a: int, b: int = 2, password: str = "") -> int:
    """Say what it does."""
    return a + b


@recorded("fetch", task_type="http", output=False)
async def fetch(url: str) -> str:
    if url.startswith("ftp:"):
        raise ValueError(f"cannot fetch {url}")
    return "page"


@recorded("count", inputs=False)
def count(most: int) -> Generator[int, None, None]:
    yield from range(most)


@recorded("acount")
async def count_async(most: int) -> AsyncIterator[int]:
    for number in range(most):
        yield number


def test_a_function_is_recorded_with_its_arguments_and_what_it_returns() -> None:
    assert add(1, password="hunter2") == 3

    assert last()["task_id"] == f"{__name__}.add"
    assert last()["inputs"] == {"a": 1, "password": "[secret]"}
    assert last()["output"] == 3
    assert add.__doc__ == "Say what it does."
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        add()  # type: ignore[call-arg]  # the function says so itself
    assert last()["status"] == "failed"


def test_a_coroutine_is_recorded_when_it_ends() -> None:
    async def both() -> tuple[object, object]:
        return await asyncio.gather(fetch("http:a"), fetch("ftp:b"), return_exceptions=True)

    page, error = asyncio.run(both())

    assert (page, str(error)) == ("page", "cannot fetch ftp:b")
    told = {one.content.structured["inputs"]["url"]: one.content.structured for one in all_told()}
    assert [told["http:a"]["status"], told["ftp:b"]["status"]] == ["success", "failed"]
    assert "output" not in told["http:a"]


def test_a_generator_is_recorded_as_long_as_it_is_read() -> None:
    numbers = count(3)
    assert next(numbers) == 0
    with RawStore() as store:
        assert store.count_experiences() == 0
    assert list(numbers) == [1, 2]
    assert last()["status"] == "success"

    half = count(3)
    next(half)
    half.close()
    assert last()["status"] == "success", "who stops reading has had enough"

    async def read() -> list[int]:
        return [number async for number in count_async(2)]

    assert asyncio.run(read()) == [0, 1]
    assert (last()["task_id"], last()["inputs"]) == ("acount", {"most": 2})


def test_a_generator_gets_what_is_sent_and_thrown_and_nobody_else_is_part_of_it() -> None:
    heard: list[object] = []

    @recorded("talk")
    def talk() -> Generator[str, str, str]:
        heard.append((yield "first"))
        try:
            yield "second"
        except ValueError as error:
            heard.append(str(error))
        return "done"

    one, two = talk(), talk()
    assert [next(one), next(two)] == ["first", "first"]
    assert [one.send("a"), two.send("b")] == ["second", "second"]
    with record("between") as attempt:
        pass
    with pytest.raises(StopIteration, match="done"):
        one.throw(ValueError("no"))
    two.close()

    assert heard == ["a", "b", "no"]
    assert attempt.parent_span_id is None
    with record("after") as attempt:
        pass
    assert attempt.parent_span_id is None
    assert sorted(str(one.content.structured.get("output")) for one in all_told() if "talk" in one.id) == [
        "None", "done",
    ]  # fmt: skip


def test_an_async_generator_gets_what_is_sent_and_thrown() -> None:
    heard: list[object] = []

    @recorded("talk")
    async def talk() -> AsyncGenerator[str, str]:
        try:
            heard.append((yield "first"))
            yield "second"
        except ValueError as error:
            heard.append(str(error))
            yield "third"
        finally:
            heard.append("closed")

    async def read() -> list[str]:
        reading = talk()
        items = [await anext(reading), await reading.asend("a"), await reading.athrow(ValueError("no"))]
        await reading.aclose()
        return items

    assert asyncio.run(read()) == ["first", "second", "third"]
    assert heard == ["a", "no", "closed"]
    assert last()["status"] == "success"


def test_after_a_coroutine_nobody_is_part_of_it_any_more() -> None:
    async def twice() -> list[str | None]:
        async with record("first") as first:
            pass
        async with record("second") as second:
            pass
        await fetch("http:a")
        with record("third") as third:
            pass
        return [one.parent_span_id for one in (first, second, third)]

    assert asyncio.run(twice()) == [None, None, None]


class Shelf:
    """What a function may be instead of a plain one."""

    @recorded
    @classmethod
    def made(cls, size: int) -> tuple[type, int]:
        return cls, size

    @recorded
    @staticmethod
    def width(size: int) -> int:
        return size

    @recorded
    def put(self, book: str) -> str:
        return book

    async def __call__(self, book: str) -> str:
        return book


def test_methods_partial_functions_and_objects_are_recorded() -> None:
    shelf = Shelf()
    twice = recorded("twice")(functools.partial(add, 2))

    assert (Shelf.made(3), Shelf.width(4), shelf.put("x"), twice(5)) == ((Shelf, 3), 4, "x", 7)
    assert asyncio.run(recorded(shelf)("y")) == "y"

    told = [one.content.structured for one in all_told()]
    assert [one["task_id"].rpartition(".")[2] for one in told] == ["made", "width", "put", "twice", "add", "Shelf"]
    assert [one["inputs"] for one in told[:3]] == [{"size": 3}, {"size": 4}, {"book": "x"}]


def test_members_that_are_named_like_a_secret_are_left_out() -> None:
    @recorded("login")
    def login(user: str, options: dict[str, object], **more: object) -> None: ...

    login("ann", {"db": {"DB_PASS": "hunter2", "max_tokens": 5}, "tokenizer": "x"}, api_key="k", author="ann")

    assert last()["inputs"] == {
        "user": "ann", "options": {"db": {"DB_PASS": "[secret]", "max_tokens": 5}, "tokenizer": "x"},
        "more": {"api_key": "[secret]", "author": "ann"},
    }  # fmt: skip


def test_what_is_told_is_told_as_it_is_then() -> None:
    told = [1]
    with record("report", inputs=told) as attempt:
        attempt.called("llm", told)
        attempt.output = told
        told.append(2)

    assert last()["inputs"] == last()["io"]["tool_calls"][0]["arguments"] == [1]


# ------------------------------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    "given",
    [
        {"trace_id": 5}, {"span_id": 5}, {"trace_id": ""}, {"headers": {1: 2}}, {"headers": [("traceparent", "x")]},
        {"traceparent": 5}, {"headers": 5}, {"attempt": "x"}, {"parents": 5}, {"config": 5}, {"trigger": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_that_is_told_breaks_nothing(given: dict[str, Any]) -> None:
    with record("report", **given) as attempt:
        attempt.used(input_tokens="x")  # type: ignore[arg-type]  # that is the nonsense
        attempt.wrote(5)  # type: ignore[arg-type]
        assert attempt.environ()["TRACEPARENT"].startswith("00-")


def test_what_begins_in_the_same_moment_is_recorded_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "datetime", Standing)
    for _ in range(5):
        add(1)

    with RawStore() as store:
        assert store.count_experiences() == 5


@pytest.mark.platform_only("fork")
def test_forked_children_record_beside_each_other() -> None:
    add(1)
    children = [multiprocessing.get_context("fork").Process(target=add, args=(number,)) for number in range(12)]
    for child in children:
        child.start()
    for child in children:
        child.join()

    assert len(all_told()) == 13


def test_a_coroutine_that_ends_after_all_threads_is_recorded() -> None:
    program = (
        "import asyncio, threading\n"
        "from tasktrail.executions import recorded\n"
        "@recorded('late')\n"
        "async def late():\n"
        "    await asyncio.sleep(0.2)\n"
        "    return 42\n"
        "threading.Thread(target=lambda: print(asyncio.run(late()))).start()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("42\n", "")
    assert last()["output"] == 42


def test_a_store_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    add(1)
    shutil.rmtree(tmp_path / ".tasktrail")

    add(2)

    assert [one.content.structured["inputs"] for one in all_told()] == [{"a": 2}]


@pytest.mark.requirement("AX-064", "AX-066")
def test_what_is_recorded_goes_on_when_it_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".tasktrail").mkdir()
    (tmp_path / ".tasktrail" / "tasktrail.db").write_text("no store at all, by far")

    with caplog.at_level(logging.WARNING):
        assert add(1) == 3
        with record("report", trace_id="t") as attempt:
            attempt.called(object(), arguments=attempt)  # type: ignore[arg-type]  # nonsense is named, not refused

    assert attempt.id is None
    assert "was not recorded: " in caplog.text
    assert "is no Tasktrail store" in caplog.text


def test_a_working_directory_that_is_gone_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawStore(tmp_path / "own.db") as store:
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with record("report", store=store) as attempt:
            attempt.response = "to ann@example.org"
        with record("report") as unstored:
            pass

        assert [one.content.text for one in store.list_recent()] == ["to [email]"]
    assert unstored.id is None


@pytest.mark.requirement("AX-066")
def test_recording_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKTRAIL_RECORD", "off")

    assert add(1) == 3

    assert list(tmp_path.iterdir()) == []
    with RawStore(tmp_path / "own.db") as store:
        with record("report", store=store):
            pass
        assert store.count_experiences() == 0


def test_an_id_that_another_process_drew_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "_counted", iter([7, 7, 8]))
    monkeypatch.setattr(recording, "datetime", Standing)
    with RawStore(tmp_path / "own.db") as store:
        for task in ("a", "b"):
            with record(task, slug="same", store=store) as attempt:
                pass

        assert attempt.id == "task_exec_same_2025-11-05T14:15:00Z_0008"
        assert [one.session_id for one in store.list_task_executions("b")] == ["task:b:2025-11-05T14:15:00+00:00:0008"]


class Standing(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # nobody asks it for another zone
        return START
