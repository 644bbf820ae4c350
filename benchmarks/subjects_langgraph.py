"""LangGraph with its SQLite checkpointers, `durability="sync"`: every super-step is on disk before the next."""

from __future__ import annotations

import asyncio
import operator
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from measuring import Reading, peak_rss_mb, sqlite_settings, timed
from shapes import AT_ONCE, STEPS_PER_RUN


class State(TypedDict):
    done: Annotated[int, operator.add]


def no_op(_: State) -> dict[str, int]:
    return {"done": 1}


async def no_op_async(_: State) -> dict[str, int]:
    return {"done": 1}


def chain(n: int, folder: Path) -> Reading:
    with closing(_connect(folder)) as connection:
        graph = _chain_graph(n).compile(checkpointer=_set_up(connection))
        with timed() as watch:
            state = graph.invoke({"done": 0}, _config("chain", n), durability="sync")
    assert state["done"] == n
    return _reading(n, watch.seconds, folder)


def chain_async(n: int, folder: Path) -> Reading:
    return asyncio.run(_chain_async(n, folder))


async def _chain_async(n: int, folder: Path) -> Reading:
    async with AsyncSqliteSaver.from_conn_string(str(_file(folder))) as saver:
        await saver.setup()
        graph = _chain_graph(n, no_op_async).compile(checkpointer=saver)
        with timed() as watch:
            state = await graph.ainvoke({"done": 0}, _config("chain", n), durability="sync")
    assert state["done"] == n
    return _reading(n, watch.seconds, folder)


def fan(n: int, folder: Path) -> Reading:
    with closing(_connect(folder)) as connection:
        graph = _fan_graph(n, no_op).compile(checkpointer=_set_up(connection))
        with timed() as watch:
            state = graph.invoke({"done": 0}, _config("fan", n), durability="sync")
    assert state["done"] == n + 2
    return _reading(n + 2, watch.seconds, folder)


def fan_async(n: int, folder: Path) -> Reading:
    return asyncio.run(_fan_async(n, folder))


async def _fan_async(n: int, folder: Path) -> Reading:
    async with AsyncSqliteSaver.from_conn_string(str(_file(folder))) as saver:
        await saver.setup()
        graph = _fan_graph(n, no_op_async).compile(checkpointer=saver)
        with timed() as watch:
            state = await graph.ainvoke({"done": 0}, _config("fan", n), durability="sync")
    assert state["done"] == n + 2
    return _reading(n + 2, watch.seconds, folder)


def runs(n: int, folder: Path) -> Reading:
    with closing(_connect(folder)) as connection:
        graph = _chain_graph(STEPS_PER_RUN).compile(checkpointer=_set_up(connection))
        with timed() as watch:
            for run in range(n):
                graph.invoke({"done": 0}, _config(f"run-{run}", n), durability="sync")
    return _reading(n, watch.seconds, folder)


def _chain_graph(n: int, step: Any = no_op) -> StateGraph[State]:
    graph = StateGraph(State)
    for index in range(n):
        graph.add_node(f"s{index}", step)
    graph.add_edge(START, "s0")
    for index in range(1, n):
        graph.add_edge(f"s{index - 1}", f"s{index}")
    graph.add_edge(f"s{n - 1}", END)
    return graph


def _fan_graph(n: int, step: Any) -> StateGraph[State]:
    graph = StateGraph(State)
    for node in ("root", "leaf", "join"):
        graph.add_node(node, step)
    graph.add_edge(START, "root")
    graph.add_conditional_edges("root", lambda _: [Send("leaf", {"done": 0})] * n, ["leaf"])
    graph.add_edge("leaf", "join")
    graph.add_edge("join", END)
    return graph


def _config(thread_id: str, n: int) -> Any:
    return {
        "configurable": {"thread_id": thread_id},
        "recursion_limit": n + 10,
        "max_concurrency": AT_ONCE,
    }


def _connect(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(_file(folder), check_same_thread=False)


def _set_up(connection: sqlite3.Connection) -> SqliteSaver:
    saver = SqliteSaver(connection)
    saver.setup()
    return saver


def _reading(n: int, seconds: float, folder: Path) -> Reading:
    return Reading(n, seconds, peak_rss_mb(), sqlite_settings(_file(folder)))


def _file(folder: Path) -> Path:
    return folder / "checkpoints.sqlite"


SUBJECTS = {
    "langgraph-chain": chain,
    "langgraph-chain-async": chain_async,
    "langgraph-fan": fan,
    "langgraph-fan-async": fan_async,
    "langgraph-runs": runs,
}
