"""`setup`: tells an agent of Tasktrail in the project's file of its instructions, and takes that back."""

from __future__ import annotations

import sys

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, shown_path, tell
from tasktrail.engine.instructions import AGENTS, remove_instructions, write_instructions


@click.command("setup", cls=SessionCommand)
@click.argument("agent", type=click.Choice(tuple(AGENTS)))
@click.option("--remove", is_flag=True, help="Take the block out again.")
def setup_command(session: Session, agent: str, remove: bool) -> None:
    """Tell an agent how to work with Tasktrail: a marked block in CLAUDE.md, AGENTS.md, GEMINI.md or a rule of Cursor.

    What else stands in the file stays as it is, and a second call changes nothing. With --remove a file in which
    nothing else stands is deleted.
    """
    work = remove_instructions if remove else write_instructions
    path, change = work(session.config.store.root, AGENTS[agent])
    if session.json:
        emit("file@1", {"id": str(path), "path": str(path), "change": change})
        return
    sys.stdout.write(f"{shown_path(path)}\n")
    tell(f"{agent}: {change}")
