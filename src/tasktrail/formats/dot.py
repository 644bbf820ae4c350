"""DOT, the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from tasktrail.formats.drawing import COLORS, Direction, Drawing, Node


def dot(drawing: Drawing, direction: Direction = "TB") -> str:
    """Return a drawing as a directed graph; each node has its status as a class and in its colours."""
    return "\n".join(_lines(drawing, direction)) + "\n"


def _lines(drawing: Drawing, direction: Direction) -> Iterator[str]:
    yield f"digraph {quoted(drawing.title)} {{"
    yield f"  rankdir={direction}"
    yield '  node [shape=box, style="rounded,filled", fontname="sans-serif"]'
    for node in drawing.nodes:
        fill, line = COLORS[node.status]
        yield f'  n{node.id} [label={_label(node)}, class={node.status}, fillcolor="{fill}", color="{line}"]'
    for arrow in drawing.arrows:
        yield f"  n{arrow.since} -> n{arrow.to}{' [style=dashed]' if arrow.optional else ''}"
    yield "}"


def _label(node: Node) -> str:
    return quoted(f"{node.name}\n{node.note}") if node.note else quoted(node.name)


def quoted(text: str) -> str:
    r"""Return a text as a DOT string. Graphviz reads `\N`, `\l` and such in labels, so each backslash is doubled.

    >>> print(quoted('a "b"\n\\N'))
    "a \"b\"\n\\N"
    """
    text = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
