"""Where the values of a YAML text stand: one walk over its events, in detail only where something is wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import yaml
from yaml import MappingStartEvent, ScalarEvent, SequenceStartEvent

from tasktrail.formats.changes import Want
from tasktrail.formats.yaml_values import Events, end_of, start_of

__all__ = ["BLOCK_SCALARS", "Chart", "Member", "Spot", "chart"]

BLOCK_SCALARS: Final = ("|", ">")


class Member(NamedTuple):
    """A member of a mapping or a list: its key, the event that begins its value, and the last one of its value."""

    key: ScalarEvent | None
    first: yaml.Event
    last: yaml.Event


@dataclass(slots=True)
class Spot:
    """Where a value stands.

    Args:
        first: The scalar, or the event that begins the list or the mapping.
        last: The last scalar in it, or the end of the last list or mapping in flow style.
        value: Of a scalar, and of what is wanted as a whole.
        members: Of a list or a mapping that something inside is wanted of.
    """

    first: yaml.Event
    last: yaml.Event
    value: object = None
    members: list[Member] | None = None
    index: dict[str | int, int] = field(default_factory=dict)
    inner: dict[str | int, Spot] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """Its first character."""
        return start_of(self.first).index

    @property
    def end(self) -> int:
        """Behind its last character; where a block scalar is the last in it, behind the lines of that."""
        return end_of(self.last).index

    @property
    def column(self) -> int:
        """The column in which it begins; in block style that of all its members."""
        return start_of(self.first).column

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.first, MappingStartEvent)

    @property
    def is_flow(self) -> bool:
        """Whether it is a list or a mapping between brackets or braces."""
        return isinstance(self.first, yaml.CollectionStartEvent) and bool(self.first.flow_style)

    @property
    def is_block(self) -> bool:
        """Whether it is a list or a mapping whose members have lines of their own."""
        return isinstance(self.first, yaml.CollectionStartEvent) and not self.first.flow_style

    @property
    def is_block_scalar(self) -> bool:
        """Whether it is a text in lines of its own."""
        return isinstance(self.first, ScalarEvent) and self.first.style in BLOCK_SCALARS

    @property
    def style(self) -> str:
        """The quotes of a scalar."""
        return (self.first.style or "") if isinstance(self.first, ScalarEvent) else ""


class Chart(NamedTuple):
    """A text, its root, which is None when it has no document, and its block scalars."""

    text: str
    root: Spot | None
    blocks: list[ScalarEvent]


def chart(text: str, want: Want) -> Chart:
    """Find what is wanted.

    Returns:
        The text may differ from the one given in its escapes: the places are those of the text returned.

    Raises:
        ValueError: It is no YAML or outside of the subset; or `yaml.YAMLError`.
    """
    events = Events(text)
    first = events.first()
    if first is None:
        return Chart(events.text, None, [])
    root = _spot(events, first, want, 0)
    events.finish()
    return Chart(events.text, root, events.blocks)


def _spot(events: Events, first: yaml.Event, want: Want, depth: int) -> Spot:
    if not want.inner or not isinstance(first, MappingStartEvent | SequenceStartEvent):
        value = events.value(first, depth)
        assert events.last is not None  # a value has at least one event
        return Spot(first, events.last, value)
    spot = Spot(first, first, members=[])
    pairs = events.members(first, depth) if isinstance(first, MappingStartEvent) else events.items(first, depth)
    for key, inner in pairs:
        _add_member(events, spot, key, inner, want, depth + 1)
    spot.last = events.last or first
    return spot


def _add_member(events: Events, spot: Spot, key: ScalarEvent | None, first: yaml.Event, want: Want, depth: int) -> None:
    assert spot.members is not None
    name = len(spot.members) if key is None else key.value
    inner = want.inner.get(name)
    if inner is None:
        events.value(first, depth)
    else:
        spot.index[name] = len(spot.members)
        spot.inner[name] = _spot(events, first, inner, depth)
    assert events.last is not None
    spot.members.append(Member(key, first, events.last))
