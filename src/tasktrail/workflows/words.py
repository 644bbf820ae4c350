"""Runs as language models are told of them: short dictionaries, in which what is empty is left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from tasktrail.engine.explaining import Cause, error_line, explain_run
from tasktrail.engine.lookup import run_reference
from tasktrail.engine.situation import Situation
from tasktrail.formats.moment import iso_utc
from tasktrail.model.plan import percent_done
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.tools import Words

MOST_NAMED: Final = 10
"""More tasks that stand alike are in the counts alone."""
_LONGEST: Final = 300
_MOST_REASONS: Final = 5
_SAID_OTHERWISE: Final[frozenset[Cause]] = frozenset({"completed", "failed", "in_progress", "blocked"})


def run_words(run: Run, shared: Collection[str] = ()) -> Words:
    """Return a run as a list has it.

    Args:
        shared: Names that runs of several kinds have.
    """
    words: Words = {"id": run_reference(run, shared), "kind": run.kind, "workflow": run.workflow, "status": run.status}
    words["percent"] = percent_done(run.n_completed + run.n_skipped, run.n_tasks)
    words["tasks"] = {status: number for status, number in run.counts.items() if number}
    words.update(paused=True if run.paused else None, error=_short(run.declared_error))
    words.update(started_at=iso_utc(run.started_at), finished_at=iso_utc(run.finished_at))
    return _filled(words)


def standing_words(seen: Situation) -> Words:
    """Return a run with who executes it, what runs, what failed, what waits for a person, and why nothing runs."""
    words = run_words(seen.run, [seen.run.name] if seen.reference != seen.run.name else ())
    words["executed_by"] = seen.owner
    words["running"] = [_running(seen, task) for task in _first(seen, "in_progress")]
    words["failed"] = [{"task": seen.name(task), "error": _short(error_line(task))} for task in _first(seen, "failed")]
    blocked = [task for task in _first(seen, "blocked") if not task.unreachable]
    words["waits_for_person"] = [{"task": seen.name(task), "for": _short(task.reason)} for task in blocked]
    if not words["running"]:
        reasons = [one.text for one in explain_run(seen) if one.cause not in _SAID_OTHERWISE]
        words["why_nothing_runs"] = [_short(text) for text in reasons[:_MOST_REASONS]]
    return _filled(words)


def _first(seen: Situation, status: str) -> Sequence[Task]:
    return [task for task in seen.tasks if task.status == status][:MOST_NAMED]


def _running(seen: Situation, task: Task) -> Words:
    since = seen.began[task.id][0] if task.id in seen.began else None
    return _filled({"task": seen.name(task), "since": iso_utc(since)})


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _filled(words: Words) -> Words:
    return {name: value for name, value in words.items() if value not in (None, [], {})}
