"""`export`: a plan as a file that other programs, people and version control can read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, shown_path, tell
from tasktrail.cli.text import counted
from tasktrail.model.plan import STANDING_PLAN
from tasktrail.model.reference import check_run_id

if TYPE_CHECKING:
    from tasktrail.engine.exporting import Format

_FORMATS: Final = ("json", "jsonl", "csv", "markdown")
_ENDINGS: Final[dict[str, Format]] = {".jsonl": "jsonl", ".csv": "csv", ".md": "markdown", ".markdown": "markdown"}


@click.command("export", cls=SessionCommand)
@click.argument("plan", default=STANDING_PLAN)
@click.option("--format", "wished", type=click.Choice(_FORMATS), help="Else by the ending of FILE; JSON without one.")
@click.option("-o", "--output", metavar="FILE", default="-", help="Replaced whole or not at all; - is stdout.")
@click.option("--scrub", is_flag=True, help="Scrub titles, actors and your own members as well.")
@click.option("--for-spreadsheets", is_flag=True, help="CSV in which nothing begins like a formula.")
def export_command(
    session: Session, plan: str, wished: Format | None, output: str, scrub: bool, for_spreadsheets: bool
) -> None:
    """Write PLAN (main) as a file; write-tasks reads each format, and nothing is lost.

    Titles, keys, actors and members of your own are data and are written as they are stored; --scrub scrubs them too,
    all but keys, and everything of IP addresses, long ids and telephone numbers as well.
    """
    from tasktrail.engine.exporting import WRITERS, exported, replace_file, scrubbed
    from tasktrail.engine.scrubbing import scrubber_of
    from tasktrail.formats.imports.plan_csv import dump_for_spreadsheets

    form = wished or ("csv" if for_spreadsheets else _ENDINGS.get(Path(output).suffix.lower(), "json"))
    if for_spreadsheets and form != "csv":
        raise click.UsageError("--for-spreadsheets needs --format csv")
    tasks = exported(session.ledger(), check_run_id(plan.removeprefix("plan/")))
    if scrub:
        record = scrubber_of(session.config, "strict").record
        tasks = [scrubbed(task, record()) for task in tasks]
    text = dump_for_spreadsheets(tasks) if for_spreadsheets else WRITERS[form](tasks)
    if output != "-":
        replace_file(Path(output), text)
    _tell(session, output, text, {"id": plan, "format": form, "tasks": len(tasks)})


def _tell(session: Session, output: str, text: str, about: dict[str, object]) -> None:
    if session.json:
        written = {"text": text} if output == "-" else {"path": str(Path(output).resolve())}
        emit("plan-export@1", {**about, **written})
    elif output == "-":
        sys.stdout.buffer.write(text.encode())
    else:
        sys.stdout.write(f"{shown_path(Path(output))}\n")
        tell(counted(int(str(about["tasks"])), "task"))
