"""`complete`, `skip`, `block`, `unblock`, `reopen`: the verbs of a task that a person asks for, from one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tasktrail.cli.arguments import TASK, SessionCommand
from tasktrail.cli.documents import emit, moved_record
from tasktrail.cli.explain import tell_reasons
from tasktrail.cli.session import Session, tell
from tasktrail.engine.explaining import explain_run
from tasktrail.engine.lookup import Found, find_task, task_reference
from tasktrail.engine.situation import situation
from tasktrail.model.errors import BadInput, NotFound, WrongState
from tasktrail.model.lifecycle import RULES, Ask, Verb, allowed

if TYPE_CHECKING:
    from tasktrail.engine.ledger import Ledger
    from tasktrail.engine.moving import Moved
    from tasktrail.engine.values import Encoded
    from tasktrail.model.task import Status

_MOST_REASONS: Final = 2


@dataclass(frozen=True, slots=True)
class _Words:
    """What a command says of its verb.

    Args:
        why: The option that says why: a reason stays with the task, a note only in its history.
    """

    about: str
    why: str
    force: bool = False
    value: bool = False


VERBS: Final[Mapping[Verb, _Words]] = {
    "complete": _Words("Say that a step is done; what needs it can start.", "note", force=True, value=True),
    "skip": _Words("Leave a step out; what needs it can start.", "reason"),
    "block": _Words("Keep a step from starting until somebody unblocks or completes it.", "reason", force=True),
    "unblock": _Words("Let a blocked step start again.", "note"),
    "reopen": _Words("Let a finished step be done again; its history is kept.", "note"),
}
_STEERED: Final[tuple[Verb, ...]] = (*VERBS, "cancel", "retry")
"""The verbs that a command has, for hints."""


def _command(verb: Verb, words: _Words) -> click.Command:
    """Return a verb's command; which statuses it needs is said by the state machine."""

    def callback(session: Session, reference: str, **given: Any) -> None:
        """Move the task."""
        move_one(session, verb, reference, **given)

    sources = " or ".join(RULES[verb].sources)
    help_text = f"{words.about}\n\nREF is a step, RUN:STEP; it must be {sources}."
    if words.force:
        help_text += " While somebody who lives executes it, this needs --force."
    return SessionCommand(verb, callback=callback, params=_parameters(words), help=help_text)


def _parameters(words: _Words) -> list[click.Parameter]:
    why = f"Why; {'the step shows it' if words.why == 'reason' else 'the history keeps it'}."
    found: list[click.Parameter] = [
        click.Argument(["reference"], metavar="REF", type=TASK),
        click.Option([f"--{words.why}"], metavar="TEXT", help=why),
    ]
    if words.value:
        found += [
            click.Option(["--value"], metavar="JSON", help="What the step gives to those that need it."),
            click.Option(["--value-file"], metavar="FILE", help="The same from a file; - is stdin."),
        ]
    if words.force:
        found.append(click.Option(["--force"], is_flag=True, help="Also when somebody executes it; recorded."))
    return found


def move_one(
    session: Session,
    verb: Verb,
    reference: str,
    *,
    note: str | None = None,
    reason: str | None = None,
    value: str | None = None,
    value_file: str | None = None,
    force: bool = False,
) -> None:
    """Ask a verb of the task that a reference names, and tell what came of it."""
    from tasktrail.engine.moving import move

    payload = _payload(value, value_file)
    ledger = session.ledger()
    found = find_task(ledger, reference)
    ask = Ask(verb, output=payload.column, reason=reason, force=force)
    try:
        moved = move(ledger, found, ask, note=note, payload=payload)
    except WrongState as error:
        raise WrongState(error.message, hint=_possible(found)) from None
    _show(session, ledger, moved)


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


def _possible(found: Found) -> str | None:
    """The commands that the task's status allows."""
    assert found.task is not None
    status: Status = found.task.status
    verbs = [verb for verb in allowed(status) if verb in _STEERED]
    name = task_reference(found.run.name, found.task)
    return f"possible now: {', '.join(verbs)}; as in: tasktrail {verbs[0]} {name}" if verbs else None


def _show(session: Session, ledger: Ledger, moved: Moved) -> None:
    seen = situation(ledger, moved.run)
    if session.json:
        emit("task@1", moved_record(moved, seen.reference))
    else:
        sys.stdout.write(f"{seen.refer(moved.task)} is {moved.task.status}\n")
        sys.stdout.flush()
    if moved.owner:
        tell(f"{moved.owner} executes run {seen.reference}, which goes on")
        return
    tell_reasons(explain_run(seen)[:_MOST_REASONS], seen.now)


complete_command, skip_command, block_command, unblock_command, reopen_command = (
    _command(verb, words) for verb, words in VERBS.items()
)
