"""Procrastinate: jobs that were deferred together, one worker that executes one after the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import procrastinate
import server
from measuring import Reading, peak_rss_mb, timed


def chain(n: int, folder: Path) -> Reading:
    with server.running(folder) as own:
        seconds = asyncio.run(_executed(n, own.url()))
        with server.connect(own) as connection:
            query = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
            assert connection.execute(query).fetchone() == (n,)
        return Reading(n, seconds, peak_rss_mb(), server.settings(own))


async def _executed(n: int, url: str) -> float:
    """Deferring is part of the time, as making a run is; all jobs in one statement is the kindest way."""
    app: Any = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    no_op = app.task(name="no_op")(_no_op)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        with timed() as watch:
            await no_op.batch_defer_async(*({} for _ in range(n)))
            await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False)
    return watch.seconds


async def _no_op() -> None:
    return None


SUBJECTS = {"procrastinate-chain": chain}
