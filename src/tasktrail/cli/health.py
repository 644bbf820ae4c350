"""`doctor`: what is wrong with the store and around it, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

import click

from tasktrail.cli import errors
from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, counted, pad, plain
from tasktrail.engine.findings import Check
from tasktrail.engine.health import examine

_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "red"),
}  # fmt: skip


@click.command("doctor", cls=SessionCommand)
@click.option("--verify", is_flag=True, help="Prove for every run that its history folds to its rows; takes time.")
def doctor_command(session: Session, verify: bool) -> int:
    """Look for what is wrong with the store and around it; nothing is changed. Exit code 5: there is a problem."""
    found = examine(session.config, prove=verify)
    checks = list(found) if session.json else _shown(found, session.ink())
    problems = [check for check in checks if check.level == "problem"]
    if session.json:
        records = [{"id": check.name, **asdict(check)} for check in checks]
        emit("doctor@1", {"id": "doctor", "healthy": not problems, "checks": records})
    elif problems:
        tell(f"{counted(len(problems), 'problem')}")
    return errors.EXIT_CODES["verification_failed"] if problems else errors.OK


def _shown(checks: Iterator[Check], ink: Ink) -> list[Check]:
    """Each as soon as it is known: the proof may take minutes."""
    seen = []
    for check in checks:
        word, color = _MARKS[check.level]
        sys.stdout.write(f"{ink(color, pad(word, 7))}  {pad(check.name, 11)}  {plain(check.message)}\n")
        if check.hint:
            sys.stdout.write(f"{'':22}{ink('dim', f'to do: {check.hint}')}\n")
        sys.stdout.flush()
        seen.append(check)
    return seen
