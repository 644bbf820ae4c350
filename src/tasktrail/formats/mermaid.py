"""Mermaid flowcharts: what GitHub, GitLab and many editors draw from a fenced block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasktrail.formats.drawing import COLORS, Direction, Drawing, Node

MAX_ARROWS: Final = 500
"""What Mermaid draws; who shows it may let it draw more (`maxEdges`), the text itself may not."""

_SAFE: Final = frozenset(" _.,:/()[]+=-")


def mermaid(drawing: Drawing, direction: Direction = "TB") -> str:
    """Return a drawing as a flowchart; each node has its status as a class."""
    return "\n".join(_lines(drawing, direction)) + "\n"


def _lines(drawing: Drawing, direction: Direction) -> Iterator[str]:
    yield "---"
    yield f'title: "{_title(drawing.title)}"'
    yield "---"
    yield f"flowchart {direction}"
    for node in drawing.nodes:
        yield f'  n{node.id}["{_label(node)}"]:::{node.status}'
    for arrow in drawing.arrows:
        yield f"  n{arrow.since} {'-.->' if arrow.optional else '-->'} n{arrow.to}"
    for status in drawing.statuses:
        fill, line = COLORS[status]
        yield f"  classDef {status} fill:{fill},stroke:{line},color:#111827"


def _label(node: Node) -> str:
    return f"{escaped(node.name)}<br/>{escaped(node.note)}" if node.note else escaped(node.name)


def escaped(text: str) -> str:
    """Return a text in which nothing is markup: whatever might be is written as the number of its character.

    >>> escaped('a"b -->')
    'a#34;b --#62;'
    """
    return "".join(char if char.isalnum() or char in _SAFE else f"#{ord(char)};" for char in text)


def _title(text: str) -> str:
    """The title is YAML, not Mermaid."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')
