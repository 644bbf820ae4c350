"""`start`, `complete`, `fail` and the other verbs of a task that are asked for by hand, from one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tasktrail.cli.arguments import TASK, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.explain import tell_reasons
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import memory_lines, named, plain
from tasktrail.engine.explaining import explain_run
from tasktrail.engine.failure_memory import remembered
from tasktrail.engine.lookup import Found, find_task, run_reference, shared_names, task_reference
from tasktrail.engine.moving import STARTS
from tasktrail.engine.situation import situation
from tasktrail.json_records import moved_record
from tasktrail.model.errors import BadInput, LeaseLost, NotFound, WrongState
from tasktrail.model.lifecycle import RULES, Ask, Verb, allowed
from tasktrail.model.run import STOPPING_KINDS
from tasktrail.model.task import FINAL

if TYPE_CHECKING:
    from tasktrail.engine.claims import End
    from tasktrail.engine.ledger import Ledger
    from tasktrail.engine.moving import Moved
    from tasktrail.engine.values import Encoded
    from tasktrail.model.task import Status

_MOST_REASONS: Final = 2
_REMEMBERING: Final = ("failed", "in_progress")
"""Where it helps to know how a task failed before."""


@dataclass(frozen=True, slots=True)
class _Words:
    """What a command says of its verb.

    Args:
        why: The option that says why: a reason stays with the task, a note only in its history.
        force: What --force lets pass; empty where there is nothing.
        more: Its other options, by their names in `_OPTIONS`.
    """

    about: str
    why: str
    force: str = ""
    more: tuple[str, ...] = ()


_HELD: Final = "Also when somebody executes it; recorded."
_OPTIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "result": {"metavar": "TEXT", "help": "What came of it, in a sentence."},
    "error": {"metavar": "TEXT", "help": "Why it failed, in a sentence, or with its traceback."},
    "error-file": {"metavar": "FILE", "help": "The same from a file; - is stdin."},
    "value": {"metavar": "JSON", "help": "What a step gives to those that need it."},
    "value-file": {"metavar": "FILE", "help": "The same from a file; - is stdin."},
    "token": {"metavar": "TOKEN", "help": "Of the claim on it, as next --claim printed it."},
    "stale": {"is_flag": True, "help": "All of the run REF that stands on what is another one now."},
    "dry-run": {"is_flag": True, "help": "With --stale: say what would be reopened, and change nothing."},
}
VERBS: Final[Mapping[Verb, _Words]] = {
    "start": _Words("Begin a task.", "note", "Also while its needs are not met; recorded."),
    "complete": _Words(
        "Say that a task is done; what needs it can start.", "note", _HELD, ("result", "value", "value-file", "token")
    ),
    "fail": _Words(
        "Say that a task failed; what needs it cannot start.", "note", _HELD, ("error", "error-file", "token")
    ),
    "release": _Words("Give a task back unfinished, for somebody else to begin.", "note", _HELD, ("token",)),
    "skip": _Words("Leave a task out; what needs it can start.", "reason"),
    "block": _Words("Keep a task from starting until somebody unblocks or completes it.", "reason", _HELD, ("token",)),
    "unblock": _Words("Let a blocked task start again.", "note"),
    "reopen": _Words("Let a finished task be done again; its history is kept.", "note", more=("stale", "dry-run")),
}
_STEERED: Final[tuple[Verb, ...]] = (*VERBS, "cancel", "retry")
"""The verbs that a command has, for hints."""
_ENDS: Final[Mapping[Verb, End]] = {"complete": "completed", "fail": "failed", "release": "pending"}
"""The verbs that end a claim, and how."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was said beside the reference."""

    note: str | None = None
    reason: str | None = None
    result: str | None = None
    error: str | None = None
    error_file: str | None = None
    value: str | None = None
    value_file: str | None = None
    token: str | None = None
    force: bool = False
    stale: bool = False
    dry_run: bool = False


def _command(verb: Verb, words: _Words) -> click.Command:
    """Return a verb's command; which statuses it needs is said by the state machine."""

    def callback(session: Session, reference: str, **given: Any) -> None:
        """Move the task."""
        move_one(session, verb, reference, Given(**given))

    sources = " or ".join(RULES[verb].sources)
    help_text = f"{words.about}\n\nREF is a task, KEY or RUN:KEY; it must be {sources}."
    if words.force == _HELD:
        help_text += " While somebody who lives executes it, this needs --force."
    return SessionCommand(verb, callback=callback, params=_parameters(words), help=help_text)


def _parameters(words: _Words) -> list[click.Parameter]:
    why = f"Why; {'the task shows it' if words.why == 'reason' else 'the history keeps it'}."
    found: list[click.Parameter] = [
        click.Argument(["reference"], metavar="REF", type=TASK),
        click.Option([f"--{words.why}"], metavar="TEXT", help=why),
    ]
    found += [click.Option([f"--{name}"], **_OPTIONS[name]) for name in words.more]  # type: ignore[arg-type]  # texts
    if words.force:
        found.append(click.Option(["--force"], is_flag=True, help=words.force))
    return found


def move_one(session: Session, verb: Verb, reference: str, given: Given) -> None:
    """Ask a verb of the task that a reference names, and tell what came of it."""
    if given.dry_run and not given.stale:
        raise click.UsageError("--dry-run goes with --stale")
    if given.stale:
        from tasktrail.cli.reopening import reopen_all_stale

        reopen_all_stale(session, reference, note=given.note, dry_run=given.dry_run)
        return
    ledger = session.ledger()
    found = find_task(ledger, reference)
    if given.token is not None and verb in _ENDS:
        moved = _ended(ledger, found, _ENDS[verb], given)
    else:
        moved = _moved(ledger, found, verb, given)
    _show(session, ledger, moved)


def _moved(ledger: Ledger, found: Found, verb: Verb, given: Given) -> Moved:
    from tasktrail.engine.failures import told_failure
    from tasktrail.engine.moving import move

    payload = _payload(given.value, given.value_file)
    failure = told_failure(_error(given), "failed")
    reason, force = given.reason, given.force
    ask = Ask(verb, output=payload.column, summary=given.result, failure=failure, reason=reason, force=force)
    try:
        return move(ledger, found, ask, note=given.note, payload=payload, token=given.token)
    except WrongState as error:
        hint = _possible(found) if verb not in allowed(_status(found)) else error.hint
        raise WrongState(error.message, hint=hint) from None


def _ended(ledger: Ledger, found: Found, end: End, given: Given) -> Moved:
    """An agent answers with its token: too late, the answer is kept and changes nothing."""
    from tasktrail.engine.claims import end_claim
    from tasktrail.engine.moving import as_it_stands

    run, task = found.run, found.task
    assert task is not None
    if run.kind != "plan" or given.value is not None or given.value_file is not None:
        raise click.UsageError("--token goes with a task of a plan, and without --value")
    said = {"note": given.note or "", "result": given.result or "", "error": _error(given)}
    try:
        end_claim(ledger, run.name, task.key, str(given.token), end, **said)
    except (BadInput, LeaseLost) as error:
        raise type(error)(error.message, hint=f"tasktrail next --claim --plan {run.name}") from None
    return as_it_stands(ledger, task)


def _error(given: Given) -> str:
    if given.error is not None and given.error_file is not None:
        raise click.UsageError("give one of --error and --error-file, not both")
    return _read(given.error_file) if given.error_file is not None else given.error or ""


def _payload(value: str | None, value_file: str | None) -> Encoded:
    from tasktrail.engine.values import NOTHING, encode

    if value is not None and value_file is not None:
        raise click.UsageError("give one of --value and --value-file, not both")
    if value is None and value_file is None:
        return NOTHING
    name = "--value" if value is not None else str(value_file)
    text = value if value is not None else _read(str(value_file))
    try:
        return encode(json.loads(text), name)
    except json.JSONDecodeError as error:
        is_text = value is not None and value[:1] not in '{["'
        hint = "a text needs its own quotes: --value '\"text\"'" if is_text else None
        raise BadInput(f"{name}:{error.lineno}:{error.colno} is not JSON: {error.msg}", hint=hint) from None
    except RecursionError:
        raise BadInput(f"{name} is nested too deeply") from None


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file {name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{name} cannot be read: {error}") from None


def _status(found: Found) -> Status:
    assert found.task is not None
    return found.task.status


def _possible(found: Found) -> str | None:
    """The commands that the task's status allows."""
    assert found.task is not None
    by_hand = found.run.kind not in STOPPING_KINDS
    verbs = [verb for verb in allowed(_status(found)) if verb in _STEERED and (by_hand or verb not in STARTS)]
    name = task_reference(found.run.name, found.task)
    return f"possible now: {', '.join(verbs)}; as in: tasktrail {verbs[0]} {name}" if verbs else None


def _show(session: Session, ledger: Ledger, moved: Moved) -> None:
    if moved.run.kind == "plan":
        _show_in_plan(session, ledger, moved)
        return
    seen = situation(ledger, moved.run)
    _print(session, ledger, moved, seen.reference)
    if moved.owner:
        tell(f"{moved.owner} executes run {seen.reference}, which goes on")
        return
    tell_reasons(explain_run(seen)[:_MOST_REASONS], seen.now)


def _print(session: Session, ledger: Ledger, moved: Moved, reference: str) -> None:
    memory = remembered(ledger, moved.task) if moved.task.status in _REMEMBERING else None
    if session.json:
        emit("task@1", moved_record(moved, reference, memory))
        return
    sys.stdout.write(f"{plain(task_reference(reference, moved.task))} is {moved.task.status}\n")
    sys.stdout.flush()
    tell(*memory_lines(memory))


def _show_in_plan(session: Session, ledger: Ledger, moved: Moved) -> None:
    """What comes next is one look-up, however large the plan is."""
    from tasktrail.engine.plans import next_task

    run, task = moved.run, moved.task
    shared = ledger.store.read(lambda tx: shared_names(tx, [run]))
    _print(session, ledger, moved, run_reference(run, shared))
    if run.status == "completed":
        tell(f"plan {run.name} is completed, nothing is left to do")
    elif task.status in FINAL and (coming := next_task(ledger, run.name).task):
        tell(f"next: {named(coming.key, coming.title)}")


(
    start_command,
    complete_command,
    fail_command,
    release_command,
    skip_command,
    block_command,
    unblock_command,
    reopen_command,
) = (_command(verb, words) for verb, words in VERBS.items())
