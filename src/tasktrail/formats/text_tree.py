"""A drawing as indented lines: each step below the one that it waits for last, with what else it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tasktrail.formats.drawing import Drawing, Node
from tasktrail.model.task import Status

MARKS: Final[dict[Status, str]] = {
    "pending": "○", "in_progress": "●", "completed": "✓", "failed": "✗", "blocked": "■", "skipped": "–",
    "cancelled": "×",
}  # fmt: skip
_DEEPEST: Final = 24
"""Deeper steps are not indented further: a chain of 5,000 would have lines of 10,000 blanks."""


def text_tree(drawing: Drawing, ink: Callable[[Status, str], str] = lambda _, text: text) -> str:
    """Return a drawing as lines.

    Args:
        ink: Colours a text by status.
    """
    return "".join(f"{line}\n" for line in _lines(drawing, ink))


def _lines(drawing: Drawing, ink: Callable[[Status, str], str]) -> Iterator[str]:
    yield drawing.title
    names = {node.id: node.name for node in drawing.nodes}
    parents, others = _parents(drawing)
    children: dict[int | None, list[Node]] = {}
    for node in drawing.nodes:
        children.setdefault(parents.get(node.id), []).append(node)
    stack = [(node, 0) for node in reversed(children.get(None, ()))]
    while stack:
        node, depth = stack.pop()
        indent = "  " * min(depth, _DEEPEST)
        note = f" {node.note}" if node.note else ""
        also = f"  (also needs {', '.join(names[one] for one in others[node.id])})" if others.get(node.id) else ""
        yield f"{indent}{ink(node.status, f'{MARKS[node.status]} {node.name}{note}')}{also}"
        stack += [(child, depth + 1) for child in reversed(children.get(node.id, ()))]


def _parents(drawing: Drawing) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Each node stands below one of those it needs: the last in the run's order; the others are named."""
    place = {node.id: number for number, node in enumerate(drawing.nodes)}
    needed: dict[int, list[int]] = {}
    for arrow in drawing.arrows:
        needed.setdefault(arrow.to, []).append(arrow.since)
    parents = {node: max(found, key=place.__getitem__) for node, found in needed.items()}
    others = {node: [one for one in found if one != parents[node]] for node, found in needed.items()}
    return parents, others
