"""`sql`: asks the store in SQL; the database itself refuses to write."""

from __future__ import annotations

import csv
import json
import math
import sys
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli.arguments import Seconds, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import columns, counted, plain
from tasktrail.model.errors import BadInput

if TYPE_CHECKING:
    from tasktrail.store.asking import Answered, Cell

_LONGEST: Final = 1_000_000
"""Characters of a statement."""


@click.command("sql", cls=SessionCommand)
@click.argument("statement", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="As CSV with a header.")
@click.option("--limit", type=click.IntRange(1, 10_000_000), default=1_000, show_default=True, help="Rows at most.")
@click.option(
    "--timeout", "timeout_s", metavar="S", type=Seconds(0.001, 86_400), default=30.0, show_default=True,
    help="Seconds after which the statement is stopped.",
)  # fmt: skip
@click.option("--probes", is_flag=True, help="Print the statements of the probes, for sqlite3 or psql.")
def sql_command(
    session: Session, statement: str | None, as_csv: bool, limit: int, timeout_s: float, probes: bool
) -> None:
    """Ask the store one statement that reads; without STATEMENT, or with -, it is read from stdin.

    The views `executions` and `errors` are public and stay as they are; tables may change with any version. Values are
    shown exactly, and not scrubbed. Nothing can be changed: the store is opened for reading alone.
    """
    if as_csv and session.json:
        raise click.UsageError("give one of --csv and --json, not both")
    if probes:
        _print_probes(session, statement)
        return
    text = _text(statement)
    answered = session.ledger().store.ask(text, most=limit, timeout_s=timeout_s)
    if session.json:
        emit("sql@1", _data(answered))
    elif as_csv:
        _print_csv(answered)
    else:
        rows = [[_shown(cell) for cell in row] for row in answered.rows]
        header = [plain(name) for name in answered.columns]
        lines = columns(header, rows, limit=None, ink=session.ink(), style=lambda *_: None) if header else ()
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    if answered.more:
        tell(f"{counted(len(answered.rows), 'row')} of more: --limit N shows N")


def _print_probes(session: Session, statement: str | None) -> None:
    from tasktrail.store.queries import probes

    if statement is not None or session.json:
        raise click.UsageError("--probes prints a file of SQL: leave the rest out")
    sys.stdout.write(probes())


def _text(statement: str | None) -> str:
    if statement not in (None, "-"):
        return str(statement)
    if sys.stdin.isatty() and statement is None:
        raise click.UsageError("say what to ask: a statement in SQL, or - and it comes from stdin")
    text = sys.stdin.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise BadInput(f"expected a statement of at most {_LONGEST:,} characters, got more")
    return text


def _data(answered: Answered) -> dict[str, object]:
    rows = [[_exact(cell) for cell in row] for row in answered.rows]
    return {"columns": list(answered.columns), "rows": rows, "more": answered.more}


def _exact(cell: Cell) -> object:
    """JSON has no bytes, no infinity and no number that is none."""
    if isinstance(cell, bytes):
        return _hex(cell)
    return str(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell


def _print_csv(answered: Answered) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(answered.columns)
    out.writerows([_hex(cell) if isinstance(cell, bytes) else cell for cell in row] for row in answered.rows)


def _shown(cell: Cell) -> str:
    """Nothing in a table steers the terminal, and the absence of a value is told from an empty text."""
    if cell is None:
        return "NULL"
    if isinstance(cell, bytes):
        return _hex(cell)
    return plain(cell) if isinstance(cell, str) else json.dumps(cell)


def _hex(value: bytes) -> str:
    return f"x'{value.hex()}'"
