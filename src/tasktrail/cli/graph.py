"""`graph`: a run drawn as text, Mermaid or DOT."""

from __future__ import annotations

import sys
from typing import Final

import click

from tasktrail.cli.arguments import RUN, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import plain
from tasktrail.engine.drawing import drawing_of
from tasktrail.engine.lookup import find_run
from tasktrail.engine.situation import situation
from tasktrail.formats.dot import dot
from tasktrail.formats.drawing import Direction, Drawing
from tasktrail.formats.mermaid import MAX_ARROWS, mermaid
from tasktrail.formats.text_tree import text_tree

_COLORS: Final = {
    "pending": "dim", "in_progress": "blue", "completed": "green", "failed": "red", "blocked": "magenta",
    "skipped": "dim", "cancelled": "dim",
}  # fmt: skip


@click.command("graph", cls=SessionCommand)
@click.argument("reference", metavar="RUN", type=RUN)
@click.option("--format", "form", type=click.Choice(["text", "mermaid", "dot"]), default="text", show_default=True,
              help="What it is drawn with.")  # fmt: skip
@click.option("--direction", type=click.Choice(["TB", "LR"]), default="TB", show_default=True,
              help="Mermaid and DOT: downwards, or to the right.")  # fmt: skip
def graph_command(session: Session, reference: str, form: str, direction: Direction) -> None:
    """Draw a run: steps, what they need, and where they stand. A mapped step is one node with its parts counted."""
    ledger = session.ledger()
    seen = situation(ledger, find_run(ledger, reference))
    drawing = drawing_of(seen)
    if session.json:
        emit("graph@1", _record(drawing, seen.reference))
    elif form == "text":
        ink = session.ink()
        sys.stdout.write(text_tree(drawing, lambda status, text: ink(_COLORS[status], plain(text))))
    else:
        sys.stdout.write((mermaid if form == "mermaid" else dot)(drawing, direction))
        if form == "mermaid" and len(drawing.arrows) > MAX_ARROWS:
            tell(
                f"Mermaid draws at most {MAX_ARROWS} arrows unless maxEdges is set where it is shown; or: --format dot"
            )


def _record(drawing: Drawing, reference: str) -> dict[str, object]:
    names = {node.id: node.name for node in drawing.nodes}
    return {
        "id": reference,
        "run": reference,
        "nodes": [{"id": node.name, "status": node.status, "note": node.note or None} for node in drawing.nodes],
        "edges": [
            {"from": names[arrow.since], "to": names[arrow.to], "optional": arrow.optional} for arrow in drawing.arrows
        ],
    }
