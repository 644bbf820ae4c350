"""The tables `[[notify]]` of the project's tasktrail.toml: which command is told of which events."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, TypeVar

from tasktrail.config import Table, find_table
from tasktrail.engine.notifying import Notice, command
from tasktrail.engine.readers import Logged
from tasktrail.formats.value_nodes import node_of
from tasktrail.formats.workflow_values import Reading
from tasktrail.formats.yaml_load import Node, Source
from tasktrail.model.lifecycle import RULES
from tasktrail.model.run import RUN_STATUSES
from tasktrail.model.task import STATUSES

__all__ = ["KEYS", "load_notices"]

KEYS: Final = ("on", "of", "runs", "types", "run")
_WORDS: Final = {"task": (*STATUSES, *RULES), "run": (*RUN_STATUSES, "cancel", "pause", "unpause", "resume", "created")}
T = TypeVar("T")


def load_notices(encode: Callable[[Logged], str], start: Path | None = None) -> list[Notice]:
    """Return who is told of what, by the nearest tasktrail.toml; commands work in its folder.

    Args:
        encode: Gives an event as a command gets it on stdin.
        start: Where the search for the file begins; None is the working directory.

    Raises:
        BadInput: Something cannot be; the details name everything that is wrong.
    """
    table = find_table("notify", start)
    if table is None or table.value is None:
        return []
    return _read(table, encode)


def _read(table: Table, encode: Callable[[Logged], str]) -> list[Notice]:
    source = Source(table.text, str(table.path))
    reading, root = _Reading(source), node_of(table.value, table.lines)
    if root.items is None:
        reading.unlike(root, "notify", "a list of tables: [[notify]]")
    found = [reading.notice(node, encode, table.path.parent) for node in root.items or ()]
    if reading.faults:
        raise source.refusal(reading.faults, "says of [[notify]] what cannot be")
    return found


class _Reading(Reading):
    """The tables that are read; what is wrong is in `faults`."""

    def notice(self, node: Node, encode: Callable[[Logged], str], folder: Path) -> Notice:
        """Return what one of them says."""
        for key in node.members or ():
            if key not in KEYS:
                self.unknown_key(node, key, KEYS)
        of = self._said(node, "of", lambda one, key: self.choice(one, key, ("task", "run"))) or "task"
        arguments = self._said(node, "run", self._arguments)
        if "run" not in (node.members or {}):
            self.fault(node, "expected run to say which command is told")
        return Notice(
            command(arguments or ("?",), encode, folder),
            self._said(node, "on", lambda one, key: self._events(one, key, _WORDS[of])) or (),
            "run" if of == "run" else "task",
            self._said(node, "runs", self.labels) or (),
            self._said(node, "types", self.labels) or (),
        )

    @staticmethod
    def _said(table: Node, key: str, read: Callable[[Node, str], T | None]) -> T | None:
        node = (table.members or {}).get(key)
        return None if node is None else read(node, key)

    def _arguments(self, node: Node, key: str) -> tuple[str, ...] | None:
        if not node.items:
            self.unlike(node, key, "a list of arguments")
            return None
        return self.run(node, key)

    def _events(self, node: Node, key: str, known: Collection[str]) -> tuple[str, ...]:
        words = self.labels(node, key) or ()
        for word in words:
            if word not in known:
                self.fault(node, f"expected {key} to name statuses and verbs, got: {word}{self._suggest(word, known)}")
        return words
