"""Strict reading of YAML texts into nodes that know their places: a bounded subset, without surprises or references."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from tasktrail.model.errors import BadInput

__all__ = ["LINE_END", "MAX_CHARS", "MAX_DEPTH", "MAX_NODES", "Fault", "Node", "Source", "load", "load_node", "refusal"]

MAX_CHARS: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 1_000_000
_MAX_FAULTS: Final = 50
_MAX_COLUMNS: Final = 100
"""Of a source line in a message: a JSON file may be one line of megabytes."""

LINE_END: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""What libyaml counts as the end of a line."""
_NOT_PRINTABLE: Final = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Fault(NamedTuple):
    """What is wrong, and where: line and column from 0."""

    line: int
    column: int
    what: str


@dataclass(slots=True)
class Node:
    """One value of a YAML text, and where it begins: line and column from 0.

    Args:
        value: A scalar as JSON has it; a list's nodes; a mapping's nodes by the text of the key.
        text: A scalar as it is written, without quotes.
        style: `plain`, `quoted` or `block` for a scalar; `flow` or `block` for a list or a mapping.
        keys: The nodes of a mapping's keys; everything else shares one empty dict, since there may be a million.
    """

    value: str | int | float | bool | list[Node] | dict[str, Node] | None
    line: int
    column: int
    style: str = "block"
    text: str = ""
    keys: dict[str, Node] = field(default_factory=lambda: _NO_KEYS)

    @property
    def items(self) -> list[Node] | None:
        """A list's nodes; None for everything else."""
        return self.value if isinstance(self.value, list) else None

    @property
    def members(self) -> dict[str, Node] | None:
        """A mapping's nodes by key; None for everything else."""
        return self.value if isinstance(self.value, dict) else None

    @property
    def is_scalar(self) -> bool:
        """Whether it is neither a list nor a mapping."""
        return not isinstance(self.value, list | dict)

    def to_json(self) -> object:
        """Return it as plain JSON values. It calls itself, which `MAX_DEPTH` bounds."""
        if isinstance(self.value, list):
            return [node.to_json() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.to_json() for key, node in self.value.items()}
        return self.value


_NO_KEYS: Final[dict[str, Node]] = {}


class Source:
    """A text with the name of its file: it makes the one error that lists everything that is wrong in it."""

    def __init__(self, text: str, where: str) -> None:
        self.text = text.removeprefix("\ufeff")
        self.where = where

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text, without their ends."""
        return LINE_END.split(self.text)

    def refusal(self, faults: list[Fault], message: str, hint: str | None = None) -> BadInput:
        """Return the error: each fault with its place, the line that it is in, and a caret below it.

        Args:
            message: What is refused; the name of the file and the number of faults are put around it.
        """
        ordered = sorted(set(faults))
        details = [self._detail(fault) for fault in ordered[:_MAX_FAULTS]]
        if len(ordered) > _MAX_FAULTS:
            details.append(f"and {len(ordered) - _MAX_FAULTS:,} more")
        count = "1 fault" if len(ordered) == 1 else f"{len(ordered):,} faults"
        return BadInput(f"{self.where} {message}: {count}", hint=hint, details=details)

    def place_of(self, node: Node, offset: int) -> tuple[int, int]:
        """Return the place of a character of a scalar's text; where that was folded or escaped, the node's own."""
        start = node.column + (node.style == "quoted")
        line = self.lines[node.line] if node.line < len(self.lines) else ""
        one_line = node.style != "block" and line[start : start + len(node.text)] == node.text
        return node.line, start + offset if one_line else node.column

    def _detail(self, fault: Fault) -> str:
        place = f"{self.where}:{fault.line + 1}:{fault.column + 1}"
        line = self.lines[fault.line] if fault.line < len(self.lines) else ""
        first = max(fault.column - _MAX_COLUMNS // 2, 0) if len(line) > _MAX_COLUMNS else 0
        shown = "".join(char if char.isprintable() else " " for char in line[first : first + _MAX_COLUMNS])
        number = str(fault.line + 1)
        caret = f"{' ' * len(number)} | {' ' * (fault.column - first)}^"
        return f"{place}: {fault.what}\n{number} | {shown.rstrip()}\n{caret}"


def load(text: str, where: str, max_chars: int = MAX_CHARS) -> object:
    """Return the value of a YAML text as plain JSON values; None when there is nothing in it.

    Args:
        where: How messages name the text: the path of its file.
        max_chars: How long the text may be.

    Raises:
        BadInput: What `load_node` finds wrong, each fault with its place.
    """
    from tasktrail.formats.yaml_values import quick_value  # heavy, and needed only when there is a file to read

    source = Source(text, where)
    if len(source.text) <= max_chars:
        try:
            return quick_value(source.text)
        except ValueError:
            pass
    faults: list[Fault] = []
    root = load_node(source, faults, max_chars)
    if faults or root is None:
        raise source.refusal(faults, "cannot be read")
    return root.to_json()


def refusal(text: str, where: str, faults: Sequence[tuple[Sequence[str | int], str]], message: str) -> BadInput:
    """Return the error for a text that loads, and whose values have faults: each path and what is wrong there."""
    source = Source(text, where)
    root = load_node(source, [], len(source.text))
    return source.refusal([Fault(*_place(root, path), what) for path, what in faults], message)


def _place(node: Node | None, path: Sequence[str | int]) -> tuple[int, int]:
    """Where the value of a path begins, or what there is on the way to it."""
    place = (0, 0)
    for name in (None, *path):
        if name is not None and node is not None:
            node = (node.members or {}).get(name) if isinstance(name, str) else (node.items or [])[name]
        if node is None:
            break
        place = (node.line, node.column)
    return place


def load_node(source: Source, faults: list[Fault], max_chars: int = MAX_CHARS) -> Node | None:
    """Return the value of a YAML text, which JSON is too.

    Only JSON's kinds of values are known: `no`, `on`, `012`, `1:30` and dates are texts. Refused are anchors, aliases,
    tags, merge keys, keys that are lists, duplicate keys, a second document, nesting deeper than 64, more than a
    million nodes, and texts over 4 Mi characters.

    Args:
        faults: What is wrong is added here.
        max_chars: How long the text may be.

    Returns:
        What could be read; None when there is nothing to go on with.
    """
    refused = _unreadable(source.text, max_chars)
    if refused is not None:
        faults.append(refused)
        return None
    from tasktrail.formats.yaml_events import root_of  # heavy, and needed only when there is a file to read

    root = root_of(source, faults)
    if root is None and not faults:
        faults.append(Fault(0, 0, "expected a mapping, got: nothing"))
    return root


def _unreadable(text: str, max_chars: int) -> Fault | None:
    if len(text) > max_chars:
        return Fault(0, 0, f"expected at most {max_chars:,} characters, got: {len(text):,}")
    found = _NOT_PRINTABLE.search(text)
    if found is None:
        return None
    lines = LINE_END.split(text[: found.start()])
    return Fault(len(lines) - 1, len(lines[-1]), f"expected printable characters, got: U+{ord(found[0]):04X}")
