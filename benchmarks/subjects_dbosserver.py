"""DBOS on a PostgreSQL system database, which it recommends: the chain of `subjects_dbos.py`."""

from __future__ import annotations

from pathlib import Path

import server
from measuring import Reading, peak_rss_mb, timed
from subjects_dbos import chain_workflow, launched_on


def chain(n: int, folder: Path) -> Reading:
    with server.running(folder) as own:
        with launched_on(own.url()), timed() as watch:
            chain_workflow(n)
        return Reading(n, watch.seconds, peak_rss_mb(), server.settings(own))


SUBJECTS = {"dbosserver-chain": chain}
