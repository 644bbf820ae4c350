"""A plan as the text of a file, and the file put in its place whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, get_args

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plans import NoPlan, read_plan
from tasktrail.formats import plan_json, plan_jsonl, plan_markdown
from tasktrail.formats.imports import plan_csv
from tasktrail.model.errors import StoreError
from tasktrail.model.plan import PlanTask
from tasktrail.model.scrub import scrub_text
from tasktrail.store.documents import write_new
from tasktrail.store.locks import sync_folder

Format = Literal["json", "jsonl", "csv", "markdown"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

Writer = Callable[[Sequence[PlanTask]], str]
Scrub = Callable[[str], str]


def _breakdown(tasks: Sequence[PlanTask]) -> str:
    """The list was generated when its first task was: so the same tasks are the same text."""
    first = min((task.created_at for task in tasks if task.created_at is not None), default=None)
    return plan_json.dump(plan_json.Breakdown(tuple(tasks), first), "the plan as JSON")


WRITERS: Final[Mapping[Format, Writer]] = MappingProxyType({
    "json": _breakdown, "jsonl": plan_jsonl.dump, "csv": plan_csv.dump, "markdown": plan_markdown.dump,
})  # fmt: skip


def exported(ledger: Ledger, name: str) -> Sequence[PlanTask]:
    """Return all that is said of the tasks of a plan, in order.

    Raises:
        NoPlan: There is none.
    """
    now = read_plan(ledger, name)
    if now is None:
        raise NoPlan(f"there is no plan {name}", hint=f"tasktrail write-tasks FILE --plan {name}")
    return now.tasks


# scrubbing


def scrubbed(task: PlanTask, scrub: Scrub) -> PlanTask:
    """Return a task whose data are scrubbed as its texts are in the store; keys stay, since others name them.

    >>> from tasktrail.model.scrub import scrub_text
    >>> scrubbed(PlanTask("T1", "Ask ann@example.org", extra={"password": "hunter2"}), scrub_text)
    PlanTask(key='T1', title='Ask [email]', ..., extra={'password': '[secret]'})
    """
    return replace(
        task,
        title=scrub(task.title),
        result=task.result and scrub(task.result),
        error=task.error and scrub(task.error),
        reason=task.reason and scrub(task.reason),
        notes=tuple(
            replace(note, text=scrub(note.text), actor=note.actor and scrub(note.actor)) for note in task.notes
        ),
        history=tuple(replace(move, actor=move.actor and scrub(move.actor)) for move in task.history),
        extra={scrub(name): _value(name, value, scrub) for name, value in task.extra.items()},
    )


def _value(name: str, value: object, scrub: Scrub) -> object:
    """A text is looked at alone, and again behind its name, which may give it away."""
    if isinstance(value, dict):
        return {scrub(inner): _value(inner, one, scrub) for inner, one in value.items()}
    if isinstance(value, list):
        return [_value(name, one, scrub) for one in value]
    if not isinstance(value, str):
        return value
    probe = f'{name}="hunter2-Tr0ub4dor"'
    return "[secret]" if value and scrub_text(probe) != probe else scrub(value)


# writing


def replace_file(path: Path, text: str) -> None:
    """Put a text in the place of what a file has, durably. A new file is for its owner alone, others keep their mode.

    Raises:
        StoreError: It cannot be written; the file is as it was.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        write_new(part, text.encode(), _mode(path))
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        hint = "check that its folder exists and is writable"
        raise StoreError(f"{path} cannot be written: {error.strerror}", hint=hint) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    with suppress(FileNotFoundError):
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} is no regular file", hint="name a file")
        return stat.S_IMODE(found.st_mode)
    return 0o600
