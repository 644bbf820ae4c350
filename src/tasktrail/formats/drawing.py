"""What a drawing of a run shows, whatever it is drawn with: nodes, arrows, and colours by status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from tasktrail.model.task import STATUSES, Status

Direction = Literal["TB", "LR"]

COLORS: Final[Mapping[Status, tuple[str, str]]] = MappingProxyType({
    "pending": ("#f3f4f6", "#6b7280"), "in_progress": ("#dbeafe", "#2563eb"), "completed": ("#dcfce7", "#16a34a"),
    "failed": ("#fee2e2", "#dc2626"), "blocked": ("#f3e8ff", "#9333ea"), "skipped": ("#f9fafb", "#9ca3af"),
    "cancelled": ("#e5e7eb", "#4b5563"),
})  # fmt: skip  # fill and line by status
assert tuple(COLORS) == STATUSES


@dataclass(frozen=True, slots=True)
class Node:
    """A step.

    Args:
        id: What tells it from the others; no format shows it.
        name: Any text.
        note: What stands below the name: how many parts are done, when it is tried again; empty for nothing.
    """

    id: int
    name: str
    status: Status
    note: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """The node `to` needs the node `since`; it may go on without it where that is optional."""

    since: int
    to: int
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes in the run's order, and the arrows between them."""

    title: str
    nodes: Sequence[Node]
    arrows: Sequence[Arrow] = ()

    @property
    def statuses(self) -> list[Status]:
        """Those that there are, in the order of the model."""
        present = {node.status for node in self.nodes}
        return [status for status in STATUSES if status in present]
