"""`doctor`: what is wrong with the store and around it, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from typing import Final

import click

from tasktrail.cli import errors
from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, counted, pad, plain, span
from tasktrail.engine.findings import Check
from tasktrail.engine.health import examine

_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "red"),
}  # fmt: skip


@click.command("doctor", cls=SessionCommand)
@click.option("--verify", is_flag=True, help="Prove for every run that its history folds to its rows; takes time.")
@click.option(
    "--race",
    metavar="N",
    type=click.IntRange(2, 64),
    help="Let N processes (say 8) claim and finish 2,000 tasks of a store of their own, on the same disk or server.",
)
def doctor_command(session: Session, verify: bool, race: int | None) -> int:
    """Look for what is wrong with the store and around it; nothing is changed. Exit code 5: there is a problem."""
    found = chain(examine(session.config, prove=verify), _raced(session, race) if race else ())
    checks = list(found) if session.json else _shown(found, session.ink())
    problems = [check for check in checks if check.level == "problem"]
    if session.json:
        records = [{"id": check.name, **asdict(check)} for check in checks]
        emit("doctor@1", {"id": "doctor", "healthy": not problems, "checks": records})
    elif problems:
        tell(f"{counted(len(problems), 'problem')}")
    return errors.EXIT_CODES["verification_failed"] if problems else errors.OK


def _raced(session: Session, n_processes: int) -> Iterator[Check]:
    from tasktrail.engine import racing

    done = racing.race(session.config, n_processes, racing.N_TASKS, _each_tenth(racing.N_TASKS))
    yield from (Check("race", "problem", fault) for fault in done.faults)
    if not done.faults:
        tasks = counted(done.n_tasks, "task")
        yield Check("race", "ok", f"{n_processes} processes claimed and finished {tasks}, each exactly once")
    speed = f"{done.claims_per_s:,.0f} tasks a second, in {span(round(done.duration_s * 1_000_000))}"
    yield Check("speed", "ok", f"{speed}; the slowest claim took {span(round(done.slowest_claim_s * 1_000_000))}")


def _each_tenth(n_tasks: int) -> Callable[[int], None]:
    def told(finished: int) -> None:
        if finished * 10 // n_tasks > (finished - 1) * 10 // n_tasks:
            tell(f"race: {finished:,} of {counted(n_tasks, 'task')}")

    return told


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
