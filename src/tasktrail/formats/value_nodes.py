"""Nodes of values that something else read, a TOML file or a program, for what reads nodes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tasktrail.formats.yaml_load import Node

__all__ = ["node_of"]

_NOWHERE: Final[Mapping[tuple[str, ...], int]] = MappingProxyType({})


def node_of(
    value: object, lines: Mapping[tuple[str, ...], int] = _NOWHERE, at: tuple[str, ...] = (), line: int = 0
) -> Node:
    """Return a node.

    Args:
        lines: In which line values begin, from 1, by keys and indexes; what it does not say is where its first part
            is, or what it is in.
        at: Where the value is.
        line: Where what it is in begins, from 0.
    """
    line = lines.get(at, line + 1) - 1
    if isinstance(value, Mapping):
        members = {str(key): node_of(one, lines, (*at, str(key)), line) for key, one in value.items()}
        first = line if at in lines else min((one.line for one in members.values()), default=line)
        return Node(members, first, 0, keys={key: Node(key, one.line, 0, text=key) for key, one in members.items()})
    if isinstance(value, list | tuple):
        return Node([node_of(one, lines, (*at, str(place)), line) for place, one in enumerate(value)], line, 0)
    if isinstance(value, str):
        return Node(value, line, 0, "quoted", value)
    return _plain(value, line)


def _plain(value: object, line: int) -> Node:
    """What is no JSON, as a date, is a text."""
    if value is None or isinstance(value, bool):
        return Node(value, line, 0, "plain", {None: "null", True: "true", False: "false"}[value])
    if isinstance(value, int | float):
        return Node(value, line, 0, "plain", str(value))
    return Node(str(value), line, 0, "plain", str(value))
