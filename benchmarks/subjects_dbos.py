"""DBOS on its SQLite system database: one workflow whose steps are recorded one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from dbos import DBOS, DBOSConfig
from measuring import Reading, peak_rss_mb, sqlite_settings, timed
from shapes import AT_ONCE, STEPS_PER_RUN


@DBOS.step()
def no_op() -> None:
    return None


@DBOS.step()
async def no_op_async() -> None:
    return None


@DBOS.workflow()
def chain_workflow(n: int) -> None:
    for _ in range(n):
        no_op()


@DBOS.workflow()
async def fan_workflow(n: int) -> None:
    await no_op_async()
    # Eight lanes, started in one order, because DBOS knows a step by its number within the workflow.
    await asyncio.gather(*(_lane(range(first, n, AT_ONCE)) for first in range(AT_ONCE)))
    await no_op_async()


async def _lane(steps: range) -> None:
    for _ in steps:
        await no_op_async()


def chain(n: int, folder: Path) -> Reading:
    with _launched(folder), timed() as watch:
        chain_workflow(n)
    return _reading(n, watch.seconds, folder)


def fan(n: int, folder: Path) -> Reading:
    with _launched(folder), timed() as watch:
        asyncio.run(fan_workflow(n))
    return _reading(n + 2, watch.seconds, folder)


def runs(n: int, folder: Path) -> Reading:
    with _launched(folder), timed() as watch:
        for _ in range(n):
            chain_workflow(STEPS_PER_RUN)
    return _reading(n, watch.seconds, folder)


def _launched(folder: Path) -> AbstractContextManager[None]:
    return launched_on(f"sqlite:///{_file(folder)}")


@contextmanager
def launched_on(url: str) -> Iterator[None]:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy()


def _reading(n: int, seconds: float, folder: Path) -> Reading:
    return Reading(n, seconds, peak_rss_mb(), sqlite_settings(_file(folder)))


def _file(folder: Path) -> Path:
    return folder / "dbos.sqlite"


SUBJECTS = {"dbos-chain": chain, "dbos-fan": fan, "dbos-runs": runs}
