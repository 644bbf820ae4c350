"""The raw limit of a backfill: files are read and rows inserted by hand, with the shipped schema and its indexes."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from measuring import Reading, in_words, peak_rss_mb, timed
from shapes import write_results
from subjects_raw import create_schema, opened

_AT_ONCE: Final = 500
_INSERT: Final = """
INSERT INTO attempt (n, fence, actor, backfilled, type, public_id, trace_id, span_id, started_at, ended_at, duration_us,
  outcome, error_type, error, fingerprint, task_ref, task_slug, idempotency_key, response, details)
VALUES (1, 0, 'user@host', 1, 'task_execution', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DETAILS: Final = {
    "embedding_skipped": True,
    "grants": {"scopes": [], "impersonation": False},
    "io": {"files_written": [], "artifact_ids": [], "tool_calls": [], "script_runs": []},
    "provenance_runner": {"name": "scheduler", "version": "1.0.0", "pid": 4711, "host": "host"},
    "retrieval": {"backfilled": True, "memory_count": 0, "source": []},
    "retry_of": None,
    "scheduled_vs_manual": "scheduled",
    "schema_version": 1,
    "scrubbed": True,
    "task_config_digest": None,
    "task_type": "custom",
}


def results(n: int, folder: Path) -> Reading:
    written = write_results(n, folder)
    with closing(opened(folder / "raw.db")) as connection:
        create_schema(connection)
        with timed() as watch:
            names = sorted(path.name for path in written.iterdir())
            for first in range(0, n, _AT_ONCE):
                with connection:
                    some = names[first : first + _AT_ONCE]
                    connection.executemany(_INSERT, (_row(written, name) for name in some))
        assert connection.execute("SELECT count(*) FROM attempt").get == n
        settings = in_words(connection.pragma("journal_mode"), connection.pragma("synchronous"))
    return Reading(n, watch.seconds, peak_rss_mb(), f"{settings}; {_AT_ONCE} to a commit")


def _row(folder: Path, name: str) -> tuple[object, ...]:
    told = json.loads((folder / name).read_text("utf-8"))
    task, began, ended = told["task_id"], _moment(told["started_at"]), _moment(told["completed_at"])
    error = ("ok", None, None, None) if told["success"] else ("error", "UnknownError", told["error"], "fp1:012345")
    key = hashlib.sha256(f"{task}:{told['started_at']}+00:00:1".encode()).hexdigest()
    details = {**_DETAILS, "task_name": told["task_name"], "legacy_result_file": name, "metadata": told["metadata"]}
    return (
        f"task_exec_{task}_{told['started_at']}Z_{key[:4]}", str(uuid4()), str(uuid4()), began, ended, ended - began,
        *error, task, task, key, told["response"], json.dumps(details),
    )  # fmt: skip


def _moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


SUBJECTS = {"backfillraw-results": results}
