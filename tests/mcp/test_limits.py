"""What a call may cost: tokens, time, calls in a second; what was counted and logged; how far a long call is."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from tasktrail.config import load
from tasktrail.executions import RawStore
from tasktrail.mcp.calls import Limits
from tasktrail.mcp.fitting import MOST_TOKENS, compact, fitted
from tasktrail.mcp.measuring import Metrics, Rate
from tasktrail.mcp.toolsets import Offer
from tasktrail.model.errors import TasktrailError
from tasktrail.plan import PlanTools
from tasktrail.tools import Tools, Words, progress, tool
from tests.executions.told import START
from tests.executions.told import told as executed
from tests.mcp.clients import call, each_era, inside, project
from tests.mcp.test_offer import tokens

CHANCE = random.Random(8)
SECRET = "ghp_" + "A1b2C3d4E5" * 3 + "AbCdEf"


def words_of(n: int, alphabet: str) -> str:
    """Return a random text."""
    return "".join(CHANCE.choices(alphabet, k=n))


ALPHABETS = {
    "prose": "the quick brown fox jumps over a lazy dog ",
    "base64": f"{string.ascii_letters}{string.digits}+/",
    "hexadecimal": "0123456789abcdef",
    "Chinese": "的一是不了人我在有他这为之大来以个中上们",
    "signs": "{}[]()<>\\\"'`~!@#$%^&*-=|;:,./? \n\t",
    "emoji": "😀🚀🔥🎉🦜🧵🪡🛰",
}


@pytest.mark.parametrize("kind", ALPHABETS)
@pytest.mark.requirement("AX-106")
async def test_no_page_has_more_tokens_than_allowed_and_all_pages_are_all_there_is(kind: str):
    """A page is made shorter by asking for less, so its cursor is right."""
    tasks = [{"id": f"T{n}", "description": words_of(900, ALPHABETS[kind])} for n in range(60)]
    PlanTools(Path.cwd(), "main").write_task_list(tasks)
    seen, pages = [], []

    async with inside(project("all"), "legacy") as client:
        cursor: str | None = ""
        while cursor is not None:
            page = await call(client, "get_tasks", limit=60, cursor=cursor)
            assert tokens(page) <= MOST_TOKENS
            seen += [one["id"] for one in page["tasks"]]
            pages.append(page)
            cursor = page["next_cursor"]

    assert seen == [one["id"] for one in tasks]
    assert len(pages) > 1
    assert pages[0]["truncated"] is True
    assert pages[0]["original_count"] == 60
    assert pages[0]["hint"].endswith("fitted; go on with next_cursor, or narrow by status")


async def test_what_has_no_pages_is_cut_and_says_how_to_get_the_rest():
    tasks = [{"id": f"T{n}", "description": words_of(90, ALPHABETS["prose"])} for n in range(300)]
    PlanTools(Path.cwd(), "main").write_task_list(tasks)

    async with inside(project("all"), "legacy") as client:
        whole = await call(client, "read_task_breakdown")

    assert tokens(whole) <= MOST_TOKENS
    assert (whole["truncated"], whole["original_count"], whole["total_tasks"]) == (True, 300, 300)
    assert whole["hint"] == "get_tasks gives the same in pages, by limit and cursor"
    assert [one["id"] for one in whole["tasks"]] == [f"T{n}" for n in range(len(whole["tasks"]))]
    assert len(whole["tasks"]) > 10


async def test_one_text_that_is_too_long_is_cut():
    PlanTools(Path.cwd(), "main").write_task_list([{"id": "T1", "description": "x " * 200_000}])

    async with inside(project("all"), "legacy") as client:
        one = await call(client, "get_next_task")

    assert tokens(one) <= MOST_TOKENS
    assert one["task"]["id"] == "T1"
    assert one["task"]["description"].endswith("…")
    assert one["truncated"] is True


async def test_a_long_list_of_executions_is_made_shorter():
    store = RawStore()
    told = [executed(started_at=START + timedelta(minutes=n), task_id=f"task-{n}") for n in range(100)]
    store.append_many(told)

    async with inside(project("executions"), "legacy") as client:
        page = await call(client, "tasks_list", limit=100)
        rest = await call(client, "tasks_list", limit=100, cursor=page["next_cursor"])

    assert tokens(page) <= MOST_TOKENS
    assert page["total"] == len(page["executions"]) < 100
    assert page["has_more"] is True
    assert page["executions"][-1]["task_id"] != rest["executions"][0]["task_id"]


class Slow:
    """Tools of a test, which wait until they are let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    @tool(reads=True)
    def look_long(self) -> Words:
        """Look for as long as somebody waits."""
        self.begun.set()
        assert self.go.wait(60)
        return {"status": "success"}

    @tool()
    def write_long(self) -> Words:
        """Write for as long as somebody waits."""
        return self.look_long()

    @tool(reads=True)
    def count_up(self) -> Words:
        """Say how far it is."""
        progress(1, 3, "one")
        self.begun.set()
        assert self.go.wait(60)
        return {"status": "success"}

    @tool(reads=True)
    def stumble(self) -> Words:
        """Raise what nobody expects."""
        raise ZeroDivisionError("password=hunter2secret")

    @tool(reads=True)
    def refuse(self) -> Words:
        """Raise what says what to do."""
        raise TasktrailError("no, ann@example.org", hint="yes")


@contextmanager
def served(slow: Slow, timeout_s: float = 30.0) -> Iterator[Any]:
    """Serve these tools instead of the project's."""
    made = project("executions", timeout_s=timeout_s)
    tools = Tools([slow.look_long, slow.write_long, slow.count_up, slow.stumble, slow.refuse])
    object.__setattr__(made.offer, "tools", lambda _actor: tools)
    try:
        yield made
    finally:
        slow.go.set()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("look_long", "ask for less: a smaller limit, or narrower"),
        ("write_long", "look at what is there before you call again"),
    ],
)
@pytest.mark.requirement("AX-106")
async def test_a_call_that_takes_too_long_is_told_so(name: str, hint: str):
    with served(Slow(), timeout_s=0.05) as made:
        async with inside(made, "legacy") as client:
            answer = await call(client, name)

    assert (answer["code"], answer["hint"]) == ("timeout", hint)
    assert answer["message"].startswith(f"{name} took longer than 0.05 s")


@each_era
async def test_a_long_call_says_how_far_it_is(era: str):
    slow, heard = Slow(), []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))
        slow.go.set()

    with served(slow) as made:
        async with inside(made, era) as client:
            result = await client.call_tool("count_up", progress_callback=hear)

    assert not result.is_error
    assert heard[0] == (1, 3, "one")


async def test_a_long_call_that_says_nothing_is_still_at_it():
    slow, heard = Slow(), []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((total, message))
        slow.go.set()

    with served(slow) as made:
        async with inside(made, "legacy") as client:
            await client.call_tool("look_long", progress_callback=hear)

    assert heard[0] == (None, "still at it")


@each_era
async def test_what_a_tool_raises_is_an_answer_without_what_must_not_be_shown(era: str):
    with served(Slow()) as made:
        async with inside(made, era) as client:
            inner = await call(client, "stumble")
            own = await call(client, "refuse")

    assert (inner["code"], inner["message"]) == ("internal", "stumble failed inside: ZeroDivisionError")
    assert (own["message"], own["hint"]) == ("no, [email]", "yes")


async def test_a_call_that_is_abandoned_leaves_the_server_to_others():
    slow = Slow()
    with served(slow) as made:
        async with inside(made, "legacy") as client:
            with anyio.move_on_after(0.05):
                await client.call_tool("look_long")
            assert (await call(client, "stumble"))["code"] == "internal"


def clock() -> tuple[list[float], Callable[[], float]]:
    """Return a time that a test sets, and the clock that shows it."""
    now = [100.0]
    return now, lambda: now[0]


@pytest.mark.requirement("AX-106")
def test_calls_beyond_the_burst_wait_their_turn_and_too_many_are_refused():
    now, told = clock()
    rate = Rate(10, told)
    now[0] += 60

    waits = [rate.wait_s(1.0) for _ in range(32)]

    assert waits[:20] == [0.0] * 20
    assert [round(wait, 3) for wait in waits[20:23] if wait is not None] == [0.1, 0.2, 0.3]
    assert waits[30:] == [None, None], "they would wait for more than a second"
    now[0] += 3
    assert rate.wait_s(0.0) == 0.0


def test_without_a_limit_nobody_waits():
    rate = Rate(0)

    assert [rate.wait_s(0.0) for _ in range(10_000)] == [0.0] * 10_000


async def test_a_call_that_would_wait_too_long_is_refused_and_may_be_repeated():
    async with inside(project("executions", calls_per_s=0.001, longest_wait_s=0.0), "legacy") as client:
        answers = [await call(client, "errors_top") for _ in range(3)]

    assert [one.get("code") for one in answers][-1] == "too_many_calls"
    assert answers[-1]["hint"] == "wait, then call again"


@pytest.mark.requirement("AX-106")
def test_calls_errors_and_latencies_are_counted_as_prometheus_reads_them():
    metrics = Metrics()
    for latency_ms, failed in ((0.4, False), (7, True), (70_000, False)):
        metrics.count("tasks_list", latency_ms, failed=failed)

    lines = metrics.text().splitlines()
    assert 'mcp_calls_total{tool="tasks_list"} 3' in lines
    assert 'mcp_errors_total{tool="tasks_list"} 1' in lines
    buckets = [line.rpartition(" ")[2] for line in lines if line.startswith("mcp_latency_ms_bucket")]
    assert buckets == ["1", "1", "1", *["2"] * 11, "3"]
    assert 'mcp_latency_ms_bucket{tool="tasks_list",le="+Inf"} 3' in lines
    assert 'mcp_latency_ms_sum{tool="tasks_list"} 70007' in lines
    assert metrics.summary() == "3 calls, 1 errors"


def test_an_answer_that_fits_is_not_touched():
    found = Tools([Slow().look_long])["look_long"]
    answer = {"status": "success", "rows": list(range(100))}

    assert fitted(found, {}, answer, lambda _: pytest.fail("asked again"), "") is answer
    assert compact({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'


def test_what_is_offered_and_allowed_without_a_word_is_what_the_settings_say():
    config = load(environ={})

    assert Limits() == Limits(config.mcp_timeout_s, config.mcp_calls_per_s)
    assert tuple(Offer().toolsets) == config.mcp_toolsets
    assert (Offer().read_only, config.mcp_read_only) == (False, "off")
