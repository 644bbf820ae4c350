"""The raw limit of recorded executions: the same rows with the same indexes, written by hand.

The schema is the one that is shipped. Nothing is scrubbed, checked or made into an object.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw
from measuring import Reading, in_words, peak_rss_mb, timed
from shapes import EXECUTIONS_AT_ONCE, EXECUTIONS_FAIL, execution_text
from subjects_raw import create_schema, moment, opened

ONE_BY_ONE: Final = 2_000
TASKS: Final = 50
_INSERT: Final = """
INSERT INTO attempt (n, fence, actor, trace_id, span_id, started_at, ended_at, duration_us, outcome, error_type, error,
  fingerprint, type, public_id, task_ref, task_slug, idempotency_key, response, details)
VALUES (1, 0, 'user@host', ?, ?, ?, ?, 1000000, ?, ?, ?, ?, 'task_execution', ?, ?, ?, ?, ?, ?)
"""
_EVENT: Final = "INSERT INTO event (at, actor, verb, changes) VALUES (?, 'user@host', 'recorded', ?)"
_DETAILS: Final = (
    '{"embedding_skipped":true,"grants":{"scopes":[],"impersonation":false},"io":{"files_written":[],"artifact_ids":[],'
    '"tool_calls":[],"script_runs":[]},"provenance_runner":{"name":"scheduler","version":"1.0.0","pid":4711,'
    '"host":"host"},"retrieval":{"memory_count":0,"source":[]},"retry_of":null,"scheduled_vs_manual":"scheduled",'
    '"schema_version":1,"scrubbed":true,"task_config_digest":null,"task_name":"Task 1","task_type":"custom"}'
)
_SECOND_US: Final = 1_000_000
_START_US: Final = 1_735_689_600_000_000


def create(n: int, folder: Path) -> Reading:
    return _written(n, n, EXECUTIONS_AT_ONCE, folder)


def one_by_one(n: int, folder: Path) -> Reading:
    return _written(n, ONE_BY_ONE, 1, folder)


def _written(n: int, rows: int, at_once: int, folder: Path) -> Reading:
    with closing(opened(folder / "raw.db")) as connection:
        if at_once > 1:
            create_schema(connection)
        first = 0 if at_once > 1 else n
        with timed() as watch:
            for begin in range(first, first + rows, at_once):
                _write(connection, range(begin, min(first + rows, begin + at_once)))
        settings = in_words(connection.pragma("journal_mode"), connection.pragma("synchronous"))
    return Reading(rows, watch.seconds, peak_rss_mb(), f"{settings}; {at_once} to a commit")


def _write(connection: apsw.Connection, numbers: range) -> None:
    with connection:
        connection.executemany(_INSERT, _rows(numbers))
        connection.execute(_EVENT, (moment(), f'{{"records":[0,{len(numbers)}]}}'))


def _rows(numbers: range) -> Iterator[tuple[object, ...]]:
    for number in numbers:
        failed, task, key = number % EXECUTIONS_FAIL == 0, number % TASKS, _mixed(number)
        error = ("error", "ValueError", f"no rows in part {number}", "fp1:0123456789abcdef")
        yield (
            f"trace-{number}", f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:32]}",
            _START_US + number * _SECOND_US, _START_US + (number + 1) * _SECOND_US,
            *(error if failed else ("ok", None, None, None)),
            f"task_exec_slug-{task}_{number:020}_{number & 0xFFFF:04x}", f"task-{task}", f"slug-{task}", key,
            execution_text(number), _DETAILS,
        )  # fmt: skip


def _mixed(number: int) -> str:
    """64 hexadecimal digits in no order, as keys are."""
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC8341082276BF3A27251F86C6A11D0C18E95 % (1 << 256):064x}"


SUBJECTS = {"executionsraw-create": create, "executionsraw-one": one_by_one}
