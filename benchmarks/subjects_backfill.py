"""Result files of an earlier scheduler, brought in as `tasktrail backfill` does."""

from __future__ import annotations

from pathlib import Path

from measuring import Reading, peak_rss_mb, timed
from shapes import write_results
from subjects_tasktrail import SETTINGS, use_store


def results(n: int, folder: Path) -> Reading:
    use_store(folder)
    from tasktrail.executions import RawStore, backfill

    written = write_results(n, folder)
    with RawStore() as store:
        store.count_experiences()  # opened
        with timed() as watch:
            counts = backfill(written, store)
    assert (counts.created, counts.total) == (n, n)
    return Reading(n, watch.seconds, peak_rss_mb(), SETTINGS)


SUBJECTS = {"backfill-results": results}
