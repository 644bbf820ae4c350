"""From PyYAML's events to plain JSON values, quickly; at anything unusual it gives up, and `yaml_events` says why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml
from yaml import MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from tasktrail.formats.yaml_load import MAX_DEPTH, MAX_NODES
from tasktrail.formats.yaml_scalars import plain_value

__all__ = [
    "BLANK",
    "PAIR",
    "Events",
    "Unusual",
    "end_of",
    "is_pair",
    "parser",
    "quick_value",
    "start_of",
    "whole_pairs",
]

PAIR: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""How JSON escapes a character beyond U+FFFF: as two; libyaml refuses the halves and knows `\\U0001F600`."""

BLANK: Final = r"(?:\s++|#[^\n\r\x85\u2028\u2029]*+)*+"
"""What may stand between two values: blanks, ends of lines and comments."""

_COLON: Final = re.compile(BLANK + ":")

# The loader made of libyaml is some thirty times faster; where PyYAML was built without it, the events are the same.
parser: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def quick_value(text: str) -> object:
    """Return a text's value as plain JSON values; None when there is no document in it.

    Raises:
        ValueError: It is no YAML, outside of the subset, or must be read with all checks to know.
    """
    try:
        events = Events(text)
        first = events.first()
        value = None if first is None else events.value(first, 0)
        if first is not None:
            events.finish()
    except yaml.YAMLError:
        raise Unusual from None
    return value


class Unusual(ValueError):
    """The text is outside of the subset, or where it is not, unusual enough to be read with all checks."""


def whole_pairs(text: str) -> str:
    """Return the text with JSON's pairs of escapes as YAML has them, each two characters shorter."""
    return PAIR.sub(_whole, text) if _has_pairs(text) else text


def _has_pairs(text: str) -> bool:
    """Whether pairs of escapes are read as one character: the text looks like JSON."""
    return text.lstrip()[:1] in ("{", "[") and "\\u" in text


def _whole(pair: re.Match[str]) -> str:
    number = 0x10000 + ((int(pair[2], 16) - 0xD800) << 10) + int(pair[3], 16) - 0xDC00
    return f"{pair[1]}\\U{number:08X}"


class Events:
    """The events of one document, and the values that are made of them.

    Args:
        last: The scalar, or the end of the list or mapping in flow style, that was read last: where a value ends.
        blocks: The block scalars so far; blanks and comments behind them may be theirs.
    """

    def __init__(self, text: str) -> None:
        self.text = whole_pairs(text)
        self.next = parser(self.text).get_event
        self.last: yaml.Event | None = None
        self.blocks: list[ScalarEvent] = []
        self._plain: dict[str, str | int | float | bool | None] = {}
        self._nodes = 0

    def first(self) -> yaml.Event | None:
        """Return the event with which the document's value begins; None when there is no document."""
        self.next()
        return self.next() if isinstance(self.next(), yaml.DocumentStartEvent) else None

    def finish(self) -> None:
        """See that nothing follows the document's value."""
        self.next()
        if not isinstance(self.next(), yaml.StreamEndEvent):
            raise Unusual

    def value(self, event: yaml.Event, depth: int) -> object:
        """Return the value that begins with this event. It calls itself, which `MAX_DEPTH` bounds.

        Args:
            depth: How many lists and mappings it is in.
        """
        if type(event) is ScalarEvent:
            return self.scalar(event)
        if type(event) is MappingStartEvent:
            return {key.value: self.value(inner, depth + 1) for key, inner in self.members(event, depth)}
        if type(event) is SequenceStartEvent:
            return [self.value(inner, depth + 1) for _, inner in self.items(event, depth)]
        raise Unusual  # an alias

    def scalar(self, event: ScalarEvent) -> str | int | float | bool | None:
        """Return a scalar's value."""
        if event.tag is not None or event.anchor is not None:
            raise Unusual
        self.last = event
        text: str = event.value
        if event.style:
            if event.style in "|>":
                self.blocks.append(event)
            return text
        if text not in self._plain:
            self._plain[text] = plain_value(text)
        return self._plain[text]

    def members(self, start: MappingStartEvent, depth: int) -> Iterator[tuple[ScalarEvent, yaml.Event]]:
        """Yield the keys of a mapping, each with the event that begins its value; whoever takes it reads the value."""
        self._enter(start, depth)
        names = set()
        while type(key := self.next()) is ScalarEvent:
            name: str = key.value
            if not name or name in names or key.tag is not None or key.anchor is not None:
                raise Unusual
            if name == "<<" and not key.style:
                raise Unusual
            names.add(name)
            self.last = key
            value = self.next()
            if type(value) is ScalarEvent and not value.value and not value.style:
                value = self._settled(key, value)
            yield key, value
        if type(key) is not MappingEndEvent:
            raise Unusual
        self._leave(start, key, 2 * len(names))

    def items(self, start: SequenceStartEvent, depth: int) -> Iterator[tuple[None, yaml.Event]]:
        """Yield the events that begin the values of a list, as `members` does, without keys."""
        self._enter(start, depth)
        size = 0
        while type(event := self.next()) is not SequenceEndEvent:
            size += 1
            yield None, event
        self._leave(start, event, size)

    def _enter(self, start: yaml.CollectionStartEvent, depth: int) -> None:
        if depth >= MAX_DEPTH or start.tag is not None or start.anchor is not None:
            raise Unusual

    def _leave(self, start: yaml.CollectionStartEvent, end: yaml.Event, size: int) -> None:
        self._nodes += size
        if self._nodes >= MAX_NODES:
            raise Unusual
        if start.flow_style and not is_pair(start, self.text):
            self.last = end

    def _settled(self, key: ScalarEvent, value: ScalarEvent) -> ScalarEvent:
        """Return the event of a missing value as one that stands behind its colon, or else behind its key.

        libyaml has it wherever the next thing begins, except in a block mapping with a colon.
        """
        if value.tag is not None or value.anchor is not None:
            return value
        mark = end_of(key)
        colon = _COLON.match(self.text, mark.index, start_of(value).index)
        if colon:
            column = mark.column + colon.end() - mark.index
            mark = yaml.Mark(mark.name, colon.end(), mark.line, column, None, 0)
        return ScalarEvent(None, None, value.implicit, "", mark, mark, style="")


def is_pair(start: yaml.Event, text: str) -> bool:
    """Whether a mapping in flow style is a single pair in a list, `[a: 1]`, which has no braces."""
    return isinstance(start, MappingStartEvent) and text[start_of(start).index] != "{"


def start_of(event: yaml.Event) -> yaml.error.Mark:
    """Return where an event begins."""
    assert event.start_mark is not None  # events of a text have one
    return event.start_mark  # type: ignore[return-value]  # libyaml's marks are no subclass, and say the same


def end_of(event: yaml.Event) -> yaml.error.Mark:
    """Return where an event ends."""
    assert event.end_mark is not None  # events of a text have one
    return event.end_mark  # type: ignore[return-value]  # see above
