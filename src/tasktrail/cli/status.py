"""Where a DAG run stands, as document 003 prints it: its words, its table; and what to type next."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, box, counted, error_words, first_line, local, named, plain, span
from tasktrail.dag.words import run_word, step_word
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Overview, is_abandoned, lasted_us, outcomes, overview, run_reference
from tasktrail.engine.reopening import again_words
from tasktrail.json_records import overview_record
from tasktrail.model.attempt import Attempt
from tasktrail.model.parts import Group, grouped
from tasktrail.model.reference import format_task
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import FINAL, Task

HEADER: Final = ("Step ID", "Status", "Retries", "Duration")
_FAILURES_NAMED: Final = 3
_COLORS: Final[Mapping[str, str]] = {
    "PENDING": "dim", "RUNNING": "blue", "SUCCESS": "green", "FAILED": "red", "RETRY": "yellow", "SKIPPED": "dim",
    "CANCELLED": "dim", "BLOCKED": "magenta", "CREATED": "dim", "PARTIAL_SUCCESS": "yellow",
}  # fmt: skip
"""Source: document 003, TASK-161FF, status colours."""


def show(session: Session, ledger: Ledger, run: Run) -> Run:
    """Print where a run stands: the table, or with --json the record. Returns it as it was printed."""
    seen = overview(ledger, run)
    if session.json:
        emit("run@1", overview_record(seen, outcomes(ledger, seen)))
    else:
        sys.stdout.write("\n".join(_lines(session, ledger, seen)) + "\n")
    sys.stdout.flush()
    tell(*_notes(seen, session.ink(sys.stderr)))
    return seen.run


def _lines(session: Session, ledger: Ledger, seen: Overview) -> Iterator[str]:
    ink, verbose = session.ink(), session.verbosity > 0
    word = run_word(seen.run, seen.retrying).value.upper()
    yield f"DAG Run: {_title(seen)}"
    yield f"Status: {ink(_COLORS[word], word)}"
    yield f"Started: {local(seen.run.started_at)}"
    yield f"Duration: {span(lasted_us(seen.run, seen.owner, ledger.clock.now()))}"
    yield ""
    if not seen.tasks:
        yield "Steps: none yet"
        return
    yield "Steps:"
    header = (*HEADER, "Started", "Completed") if verbose else HEADER
    groups = grouped(seen.tasks)
    if verbose:
        groups = [Group(task) for group in groups for task in (group.task, *group.parts)]
    rows = [_row(group, seen, session.width, verbose=verbose) for group in groups]
    yield from box(header, rows, limit=session.width, ink=ink, style=_style)
    if verbose:
        yield from _more(ledger, seen, ink)


def _style(column: int, cell: str) -> str | None:
    return _COLORS[cell] if column == 1 else None


def _title(seen: Overview) -> str:
    """The dag_id stands beside the id where it differs."""
    name = run_reference(seen.run, [seen.run.name] if seen.shared else ())
    return name if seen.run.workflow == seen.run.name else f"{name} ({plain(seen.run.workflow)})"


def _row(group: Group, seen: Overview, limit: int | None, *, verbose: bool) -> Sequence[str]:
    task = group.task
    row = (
        group_name(group, seen.titles.get(task.id)),
        _word(group.speaker, seen.run),
        _retries(group),
        span(_worked_us(group, seen)),
    )
    if not verbose:
        return row
    day = local(seen.run.started_at)[:10] if limit is not None else None
    return (*row, _moment(task.started_at, day), _moment(task.completed_at, day))


def group_name(group: Group, title: str | None = None) -> str:
    """Return what a step or a part is called; behind one that was mapped stands how many of its parts are done."""
    name = named(_name(group.task), title)
    return f"{name} [{group.n_done}/{len(group.parts)}]" if group.parts else name


def _retries(group: Group) -> str:
    """Of parts the most that one of them used, since each has a budget of its own."""
    return f"{max(task.retries for task in (group.task, *group.parts))}/{group.task.max_retries}"


def _worked_us(group: Group, seen: Overview) -> int | None:
    spans = [us for task in (group.task, *group.parts) if (us := seen.worked_us.get(task.id)) is not None]
    return sum(spans) if spans else None


def _moment(at: int | None, day: str | None) -> str:
    """On a terminal the day stands in the head of the table; the cells have it only where it is another one."""
    text = local(at)
    return text[11:] if day is not None and text[:10] == day else text


def _name(task: Task) -> str:
    return format_task("", task.key, task.item, task.map_index)[1:]


def _word(task: Task, run: Run) -> str:
    """Document 003 has no word for blocked; a table may have one more than its enum."""
    return "BLOCKED" if task.status == "blocked" else step_word(task, run).value.upper()


# with --verbose: what went wrong, and what else is known


def _more(ledger: Ledger, seen: Overview, ink: Ink) -> Iterator[str]:
    attempts = ledger.store.read(lambda tx: tx.attempts("failed_attempts_of_run", run_id=seen.run.id))
    if attempts or seen.run.declared_error:
        yield ""
        yield "Errors:"
        if seen.run.declared_error:
            yield f"  the run: {first_line(seen.run.declared_error)}"
        yield from _errors(seen, attempts, ink)
    facts = list(_facts(seen))
    if facts:
        yield ""
        yield "Metadata:"
        yield from (f"  {name}: {plain(value)}" for name, value in facts)


def _errors(seen: Overview, attempts: Sequence[Attempt], ink: Ink) -> Iterator[str]:
    """Every error, and of each step the last stack: those before it say the same as a rule."""
    names = {task.id: named(_name(task), seen.titles.get(task.id)) for task in seen.tasks}
    last = {attempt.task_id: attempt.n for attempt in attempts}
    for attempt in attempts:
        head = f"  {names[attempt.task_id]}, attempt {attempt.n}, {local(attempt.ended_at)}: "
        yield head + ink("red", error_words(attempt.error_type, attempt.error))
        if attempt.n == last[attempt.task_id]:
            yield from (f"      {plain(line)}" for line in (attempt.stack or "").splitlines())


def _facts(seen: Overview) -> Iterator[tuple[str, object]]:
    run = seen.run
    yield "created", local(run.created_at)
    if run.finished_at is not None:
        yield "completed", local(run.finished_at)
    if run.resumes:
        yield "resumed", f"{counted(run.resumes, 'time')}, the last {local(run.resumed_at)}"
    if run.target:
        yield "target", run.target
    yield "trace", run.trace_id
    for name, value in (json.loads(run.metadata) if run.metadata else {}).items():
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for task in seen.tasks:
        if task.reason:
            yield f"{_name(task)}, {_word(task, run).lower()}", first_line(task.reason)


# what to do about it


def _notes(seen: Overview, ink: Ink) -> Iterator[str]:
    """Words on stderr: why it failed, who executes it, what to type next."""
    run, owner = seen.run, seen.owner
    if run.paused and run.status not in OVER:
        yield ink("yellow", "the run is paused: nothing new starts")
        yield f"to go on: tasktrail resume {run.name}"
    elif is_abandoned(run, owner):
        yield ink("yellow", "nobody executes this run just now")
        yield f"to go on: {_worker_words(seen) or resume_words(run)}"
    if owner:
        yield f"executed by {owner}"
    failed = [task for task in seen.tasks if task.status == "failed"]
    for task in failed[:_FAILURES_NAMED]:
        name = named(_name(task), seen.titles.get(task.id))
        yield ink("red", f"{name} failed: {error_words(task.error_type, task.error)}")
    if len(failed) > _FAILURES_NAMED:
        yield f"… and {len(failed) - _FAILURES_NAMED} more failed"
    stale = [task for task in seen.tasks if task.id in seen.stale]
    if stale:
        more = f" and {len(stale) - 1:,} more" if len(stale) > 1 else ""
        items = ", or its item is another one" if run.kind == "matrix" else ""
        why = f"what it needs was done after it, or is not done{items}"
        yield ink("yellow", f"{_name(stale[0])}{more} is stale: {why}")
        yield f"to do it again: {again_words(run, run.name, stale[0])}"
    if failed and run.status in OVER:
        yield f"to try them again: {retry_words(run)}"
    elif run.status == "cancelled":
        yield f"to take it up again: {resume_words(run)}"


def _worker_words(seen: Overview) -> str | None:
    """Return how to start a worker for a pooled run; None where a process of its own executes it."""
    queues = sorted({task.queue for task in seen.tasks if task.queue is not None and task.status not in FINAL})
    words = [word for queue in queues for word in ("--queue", queue)]
    return shlex.join(["tasktrail", "worker", *words]) if queues else None


def resume_words(run: Run) -> str:
    """Return what to type to go on with a run."""
    return f"tasktrail resume {run.name}" if run.target else SCRIPT_WORDS


def retry_words(run: Run) -> str:
    """Return what to type to execute failed steps again."""
    return f"tasktrail run dag --retry {run.name}" if run.target else SCRIPT_WORDS


SCRIPT_WORDS: Final = "run the Python script again that started it, with the same run id"
