"""`schema`: the JSON Schema of a kind of file, for editors and other programs."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session

KINDS = ("workflow", "tracker")


@click.command("schema", cls=SessionCommand)
@click.argument("kind", type=click.Choice(KINDS), default="workflow")
def schema_command(session: Session, kind: str) -> None:
    """Print the JSON Schema of a kind of file, by which editors complete and check it.

    KIND is workflow, or tracker: a tasktrail.toml with its table [tracker].
    """
    schema = _schema(kind)
    if session.json:
        emit("json-schema@1", {"id": kind, "json_schema": schema})
        return
    sys.stdout.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


def _schema(kind: str) -> dict[str, Any]:
    if kind == "tracker":
        from tasktrail.tracker.schema import tracker_schema

        return tracker_schema()
    from tasktrail.formats.workflow_schema import workflow_schema

    return workflow_schema()
