"""From PyYAML's events to nodes, one document, without recursion. Imported at the first YAML text: PyYAML is heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import yaml

from tasktrail.formats.yaml_load import MAX_DEPTH, MAX_NODES, Fault, Node, Source
from tasktrail.formats.yaml_scalars import plain_value
from tasktrail.formats.yaml_values import parser, whole_pairs

__all__ = ["root_of"]

_STYLES: Final = {"'": "quoted", '"': "quoted", "|": "block", ">": "block"}


def root_of(source: Source, faults: list[Fault]) -> Node | None:
    """Return the root of the text's document; None when the text is empty, or cannot be read to its end.

    Args:
        faults: What is wrong is added here.
    """
    loader = parser(whole_pairs(source.text))
    builder = _Builder(faults)
    try:
        for event in iter(loader.get_event, None):
            if not builder.takes(event):
                return None
    except yaml.YAMLError as error:
        faults.append(_syntax_fault(error, source))
        return None
    finally:
        loader.dispose()
    return builder.root


def _syntax_fault(error: yaml.YAMLError, source: Source) -> Fault:
    if not isinstance(error, yaml.MarkedYAMLError):
        return Fault(0, 0, f"this is no YAML: {' '.join(str(error).split())}")
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    before = source.lines[line][: column + 1] if line < len(source.lines) else ""
    advice = "; indent with spaces, not with tabs" if "\t" in before else ""
    where = ""
    if error.context and error.context_mark and "next token" not in error.context:
        where = f" {error.context} that begins in line {error.context_mark.line + 1}"
    return Fault(line, column, f"this is no YAML: {error.problem or 'it cannot be read'}{where}{advice}")


@dataclass(slots=True)
class _Open:
    """A list or a mapping whose end is still to come, and the key that waits for its value."""

    node: Node
    key: Node | None = None


class _Builder:
    """Takes events one after another and puts the nodes together."""

    def __init__(self, faults: list[Fault]) -> None:
        self.root: Node | None = None
        self._faults = faults
        self._open: list[_Open] = []
        self._nodes = 0

    def takes(self, event: yaml.Event) -> bool:
        """Take an event; False when there is no sense in taking more."""
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.CollectionStartEvent):
            return self._collection(event)
        if isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._fault(event, "expected one document, got: a second one")
            return False
        return True

    def _alias(self, event: yaml.AliasEvent) -> bool:
        mark = event.start_mark
        assert mark is not None
        self._fault(event, f"expected no alias, got: *{event.anchor}; write the value itself")
        return self._add(Node(None, mark.line, mark.column, "plain", f"*{event.anchor}"))

    def _fault(self, event: yaml.Event, what: str) -> None:
        mark = event.start_mark
        assert mark is not None
        self._faults.append(Fault(mark.line, mark.column, what))

    def _scalar(self, event: yaml.ScalarEvent) -> bool:
        mark = event.start_mark
        assert mark is not None  # events of a text have one
        style = _STYLES.get(event.style or "", "plain")
        node = Node(event.value, mark.line, mark.column, style, event.value)
        if event.tag is not None or event.anchor is not None:
            self._marked(event)
        elif style == "plain":
            node.value = self._resolved(event)
        return self._add(node)

    def _resolved(self, event: yaml.ScalarEvent) -> str | int | float | bool | None:
        try:
            return plain_value(event.value)
        except ValueError as error:
            self._fault(event, str(error))
            return None

    def _collection(self, event: yaml.CollectionStartEvent) -> bool:
        mark = event.start_mark
        assert mark is not None
        if len(self._open) >= MAX_DEPTH:
            self._fault(event, f"expected at most {MAX_DEPTH} levels of nesting")
            return False
        if self._open and self._open[-1].node.members is not None and self._open[-1].key is None:
            self._fault(event, "expected a key to be a text; put quotes around braces and brackets that belong to one")
            return False
        if event.tag is not None or event.anchor is not None:
            self._marked(event)
        style = "flow" if event.flow_style else "block"
        if isinstance(event, yaml.SequenceStartEvent):
            node = Node([], mark.line, mark.column, style)
        else:
            node = Node({}, mark.line, mark.column, style, keys={})
        added = self._add(node)
        self._open.append(_Open(node))
        return added

    def _marked(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self._fault(event, "expected no tag (a word after !); for a text put quotes around it")
        else:
            self._fault(event, f"expected no anchor, got: &{event.anchor}; write the value itself")

    def _add(self, node: Node) -> bool:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._faults.append(Fault(node.line, node.column, f"expected at most {MAX_NODES:,} values"))
            return False
        if not self._open:
            self.root = node
            return True
        top = self._open[-1]
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif top.key is None:
            top.key = node
            self._check_key(top.node, node)
        elif isinstance(top.node.value, dict):
            if top.node.keys.setdefault(top.key.text, top.key) is top.key:
                top.node.value[top.key.text] = node
            top.key = None
        return True

    def _check_key(self, mapping: Node, key: Node) -> None:
        before = mapping.keys.get(key.text)
        if before is not None:
            what = f"expected each key once, got: {key.text[:60]} again, after line {before.line + 1}"
        elif not key.text:
            what = "expected a key, got: nothing"
        elif key.text == "<<" and key.style == "plain":
            what = "expected no merge key, got: <<; write the keys themselves"
        else:
            return
        self._faults.append(Fault(key.line, key.column, what))
