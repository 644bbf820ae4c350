"""`move`: all of a store into another one, proven before it counts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import columns, counted

if TYPE_CHECKING:
    from tasktrail.config import StoreLocation
    from tasktrail.engine.copying import Proof


@click.command("move", cls=SessionCommand)
@click.option("--from", "origin", metavar="URL", help="The store to copy; the project's own when not given.")
@click.option("--to", "target", metavar="URL", required=True, help="Where to: a store that is empty or not there yet.")
def move_command(session: Session, origin: str | None, target: str) -> None:
    """Copy everything from one store to another, between SQLite files and PostgreSQL databases.

    Nobody may work on either. The copy is proven before it is committed: every row is read back and every run's history
    folded on both sides. The source stays as it is.
    """
    from tasktrail.config import find_store
    from tasktrail.engine.copying import copy_store

    source = session.config.store if origin is None else find_store(flag=origin)
    destination = find_store(flag=target)
    proof = copy_store(source, destination, session.config)
    if session.json:
        emit("move@1", _record(source, destination, proof))
        return
    rows = [(name, f"{number:,}") for name, number in proof.rows.items()]
    table = columns(("TABLE", "ROWS"), rows, limit=None, ink=session.ink(), style=lambda *_: None)
    sys.stdout.writelines(f"{line}\n" for line in table)
    runs, history = proof.runs[1], proof.history[1]
    sys.stdout.write(f"\n{counted(runs, 'run')} verified on both sides; history {history[:16]} on both sides\n")
    tell(
        f"{source} is as it was",
        f"to use the copy: TASKTRAIL_STORE, or url under [store] in tasktrail.toml: {destination}",
    )


def _record(source: StoreLocation, destination: StoreLocation, proof: Proof) -> dict[str, object]:
    return {
        "id": str(destination),
        "from": str(source),
        "to": str(destination),
        "rows": dict(proof.rows),
        "runs_verified": {"from": proof.runs[0], "to": proof.runs[1]},
        "history_digest": {"from": proof.history[0], "to": proof.history[1]},
    }
