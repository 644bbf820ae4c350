"""YAML texts changed in place: only the lines, or the characters of the line, of what changes are replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Never

import yaml

from tasktrail.formats.changes import (
    REMOVE,
    Change,
    Path,
    Want,
    adds,
    apply,
    assembled,
    difference,
    misfit,
    same,
    wanted,
)
from tasktrail.formats.yaml_chart import Chart, Member, Spot, chart
from tasktrail.formats.yaml_load import LINE_END, Fault, Source, load
from tasktrail.formats.yaml_pieces import Pieces
from tasktrail.formats.yaml_scalars import QUOTES, written
from tasktrail.formats.yaml_values import BLANK, end_of, is_pair, start_of
from tasktrail.formats.yaml_write import Broken, Manner, block, dump, flow, flow_pair

__all__ = ["REMOVE", "Change", "Path", "apply", "difference", "dump", "edit", "same"]

_BOM: Final = "\ufeff"
_HEADER: Final = re.compile(r"[|>][-+0-9]*")
_BEHIND_KEY: Final = re.compile(r"[ \t]*:")
_DASH: Final = re.compile(BLANK + "-")
_COMMA: Final = re.compile(BLANK + ",")
_QUESTION: Final = re.compile(rf"{BLANK}(?:,{BLANK})?\?")


def edit(text: str, changes: Sequence[Change], where: str = "the text") -> str:
    """Return the text with these values replaced, added or removed, and every other character as it was.

    What is missing is added at the end of its mapping (a list grows by its next index), mappings on the way included,
    also in place of nothing (`key:`), in the indentation of the text. What is removed goes with its lines, the comment
    at its end, and the comments below it that are deeper. A value that is the same already keeps its spelling, a text
    that is replaced its quotes if it can.

    Args:
        changes: Paths and values, or REMOVE. No path may continue another one.

    Returns:
        The very same object when nothing changes.

    Raises:
        BadInput: `load` refuses the text, a path leads through a value that has no members or to a key with a question
            mark (`? key`), or a value is not JSON.
    """
    if not changes:
        return text
    body = text.removeprefix(_BOM)
    edited = _edited(body, wanted(changes), where)
    return text if edited is None else text[: len(text) - len(body)] + edited


class _Reworded(Exception):
    """The text must be written in another way before it can be edited; its argument is that text."""


def _edited(text: str, want: Want, where: str) -> str | None:
    """Return the edited text; None when nothing changes."""
    try:
        found = chart(text, want)
    except (yaml.YAMLError, ValueError):
        load(text, where, max_chars=len(text))  # says what is wrong
        raise
    try:
        return _Editor(text, found, where).edited(want)
    except _Reworded as reworded:
        return _edited(str(reworded), want, where)


def _reworded_end(found: Chart) -> str | None:
    """Return a text that ends in a block scalar with a final newline; without one, it has none as a value either."""
    text = found.text
    if not found.blocks or end_of(found.blocks[-1]).index != len(text) or LINE_END.match(text[-1:]):
        return None
    header = _HEADER.match(text, start_of(found.blocks[-1]).index)
    assert header is not None  # so a block scalar begins
    newline = Manner(text).newline
    return f"{text[: header.start()]}{re.sub('[-+]', '', header[0])}-{text[header.end() :]}{newline}"


@dataclass(frozen=True, slots=True)
class _Place:
    """What a value stands in.

    Args:
        depth: How many lists and mappings it is in.
        column: Of the members of the list or mapping in block style around it; -1 at the root.
        key: Its key in a mapping.
        is_explicit: Whether a question mark stands before the key.
        is_flow: Whether it stands between braces or brackets.
        broken: How the lines of JSON are indented here; None where there are no lines, or no JSON.
    """

    depth: int = 0
    column: int = -1
    key: yaml.ScalarEvent | None = None
    is_explicit: bool = False
    is_flow: bool = False
    broken: Broken | None = None


class _Editor:
    """Brings a text to what is wanted, piece by piece."""

    def __init__(self, text: str, found: Chart, where: str) -> None:
        self.text = found.text
        self._found = found
        self._source = Source(text, where)
        self._manner = Manner(found.text)
        self._pieces = Pieces(text, found, self._manner.newline)

    def edited(self, want: Want) -> str | None:
        """Return the text; None when nothing changes."""
        root = self._found.root
        if root is None or (root.start == root.end and not root.style):
            value = assembled(want)
            if adds(want) and value is not None:
                self._pieces.put_lines(len(self.text) if root is None else root.start, self._lines(value, 0, 0))
        else:
            self._rewrite(want, root, _Place(is_flow=self._manner.is_json))
        text = self._pieces.result()
        reworded = None if text is None else _reworded_end(self._found)
        if reworded is not None:
            raise _Reworded(reworded)
        return text

    def _lines(self, value: object, indent: int, depth: int) -> str:
        newline = self._manner.newline
        return "".join(line + newline for line in block(value, indent, self._manner, depth))

    def _refuse(self, event: yaml.Event, what: str) -> Never:
        mark = start_of(event)
        raise self._source.refusal([Fault(mark.line, mark.column, what)], "cannot be edited")

    def _refuse_explicit(self, event: yaml.Event, place: _Place) -> None:
        if place.is_explicit:
            self._refuse(event, "expected a key without a question mark, to write a value behind it")

    def _rewrite(self, want: Want, spot: Spot, place: _Place) -> None:
        if not want.inner:
            if not same(spot.value, want.value):
                self._put(want.value, spot, place)
        elif spot.members is None:
            if spot.value is not None:
                self._refuse(spot.first, "expected a mapping or a list here")
            if adds(want):
                self._put(assembled(want), spot, place)
        else:
            self._rewrite_members(want, spot, spot.members, place)

    def _rewrite_members(self, want: Want, spot: Spot, members: list[Member], place: _Place) -> None:
        what = misfit(want, len(members), is_list=not spot.is_mapping)
        if what is not None:
            self._refuse(spot.first, what.replace("an object", "a mapping"))
        if spot.is_flow and is_pair(spot.first, self.text):
            pair = f"{{{self.text[spot.start : spot.end]} }}"  # the blank, since it may end with a colon
            raise _Reworded(self.text[: spot.start] + pair + self.text[spot.end :])
        gone = sorted(at for key, at in spot.index.items() if want.inner[key].value is REMOVE)
        missing = {key: inner for key, inner in want.inner.items() if key not in spot.index and adds(inner)}
        added = {key: assembled(inner) for key, inner in missing.items()}
        if len(gone) == len(members):
            if members or added:
                whole = added if spot.is_mapping else [*added.values()]
                self._put(whole, spot, replace(place, is_flow=place.is_flow or (spot.is_flow and bool(members))))
        elif spot.is_flow:
            self._rewrite_flow(want, spot, gone, added, place)
        else:
            self._rewrite_block(want, spot, gone, added, place)

    def _rewrite_inner(self, want: Want, spot: Spot, place: _Place) -> None:
        """Rewrite the members that are there and stay."""
        for key, at in spot.index.items():
            if want.inner[key].value is not REMOVE:
                name = self._member(spot, at).key
                is_explicit = name is not None and self._start(spot, at) != start_of(name).index
                inner_place = replace(place, key=name, is_explicit=is_explicit)
                self._rewrite(want.inner[key], spot.inner[key], inner_place)

    def _member(self, spot: Spot, at: int) -> Member:
        assert spot.members is not None  # only where nothing inside is wanted
        return spot.members[at]

    def _start(self, spot: Spot, at: int) -> int:
        """Return where a member begins: at its key or question mark, or at the dash of a list in block style."""
        member = self._member(spot, at)
        behind = end_of(self._member(spot, at - 1).last).index if at else spot.start + spot.is_flow
        if member.key is None:
            sign = None if spot.is_flow else _DASH.match(self.text, behind)
        else:
            sign = _QUESTION.match(self.text, behind, start_of(member.key).index)
        return sign.end() - 1 if sign else start_of(member.key or member.first).index

    # ---------------------------------------------------------------------------------------------------- block style

    def _rewrite_block(
        self, want: Want, spot: Spot, gone: list[int], added: dict[str | int, object], place: _Place
    ) -> None:
        self._rewrite_inner(want, spot, _Place(place.depth + 1, spot.column))
        self._remove(spot, gone)
        if added:
            lines = self._lines(added if spot.is_mapping else [*added.values()], spot.column, place.depth)
            self._pieces.put_lines(self._pieces.after(self._member(spot, -1).last, spot.column), lines)

    def _remove(self, spot: Spot, gone: list[int]) -> None:
        """Remove members, but not all, of a list or a mapping."""
        if gone[:1] == [0] and self.text[spot.start - spot.column : spot.start].strip():
            gone = self._remove_first(spot, gone)
        for at in gone:
            line = self._start(spot, at) - spot.column
            self._pieces.put(line, self._pieces.after(self._member(spot, at).last, spot.column), "")

    def _remove_first(self, spot: Spot, gone: list[int]) -> list[int]:
        """Remove what shares its line with the dash of the list around it; return what else is to be removed."""
        kept = next(at for at, other in enumerate([*gone, -1]) if at != other)
        behind = self._pieces.after(self._member(spot, kept - 1).last, spot.column)
        start = self._start(spot, kept)
        if self.text[behind:start].strip():  # comments
            self._pieces.put(spot.start, behind, self._manner.newline)
        else:
            self._pieces.put(spot.start, start, "")
        return gone[kept:]

    def _put(self, value: object, spot: Spot, place: _Place) -> None:
        """Write a value in the place of another one."""
        if place.is_flow:
            self._put_flow(value, spot, place)
        elif place.key is None:
            self._put_item(value, spot, place)
        else:
            self._put_behind(place.key, value, spot, place)

    def _put_behind(self, key: yaml.ScalarEvent, value: object, spot: Spot, place: _Place) -> None:
        """Write a value behind its key."""
        self._refuse_explicit(key, place)
        found = _BEHIND_KEY.match(self.text, end_of(key).index)
        assert found is not None  # the colon
        colon, first, rest = found.end(), "", ""
        if _is_nested(value):
            rest = self._lines(value, self._indent(value, spot, place), place.depth)
        else:
            first = self._one_line(value, spot, place)
        if spot.is_block:
            self._pieces.put(colon, colon, first and f" {first}")
            self._pieces.put(spot.start - spot.column, self._pieces.after(spot.last, spot.column), rest)
        elif spot.is_block_scalar:
            self._put_from(colon, spot, first and f" {first}", rest)
        elif first:
            self._put_from(spot.start, spot, first if spot.end > spot.start else f" {first}", rest)
        else:
            self._put_below(colon, spot, rest)

    def _put_below(self, colon: int, spot: Spot, lines: str) -> None:
        """Write lines in the place of a scalar, or of what is in flow style."""
        if not LINE_END.search(self.text, colon, spot.start):
            self._put_from(colon, spot, "", lines)
        elif self._pieces.rest_of_line(spot.end).strip():
            self._put_from(spot.start, spot, "", lines)
        else:
            self._pieces.put(spot.start - spot.column, self._pieces.next_line(spot.end), lines)

    def _put_from(self, start: int, spot: Spot, first: str, rest: str) -> None:
        """Write text from here to the end of a value, and lines below; what ends the line of the value stays."""
        if not spot.is_block_scalar:
            self._pieces.put(start, spot.end, first)
            self._pieces.put_lines(self._pieces.next_line(spot.end), rest)
            return
        header = _HEADER.match(self.text, spot.start)
        assert header is not None  # so a block scalar begins
        self._pieces.put(start, header.end(), first)
        self._pieces.put(self._pieces.next_line(header.end()), self._pieces.after(spot.last), rest)

    def _put_item(self, value: object, spot: Spot, place: _Place) -> None:
        """Write a value behind the dash of its list, or at the root."""
        is_empty = spot.start == spot.end
        column = spot.column + is_empty
        is_root = place.column < 0
        shares_line = self.text[spot.start - spot.column : spot.start].strip(" " if is_root else " -")
        if not _is_nested(value) or (shares_line and not is_root):
            lines = self._one_line(value, spot, place) + self._manner.newline
        elif shares_line:  # with `---`
            lines = self._manner.newline + self._lines(value, 0, place.depth)
        else:
            lines = self._lines(value, column, place.depth)[column:]
        first, _, rest = lines.partition(self._manner.newline)
        if is_empty:
            first = f" {first}"
        if spot.is_block:
            end = self._pieces.after(spot.last, spot.column)
            self._pieces.put(spot.start, end, f"{first}{self._manner.newline}{rest}")
        else:
            self._put_from(spot.start, spot, first, rest)

    def _indent(self, value: object, spot: Spot, place: _Place) -> int:
        """Return the column for the members of a value behind a key."""
        is_list = not isinstance(value, dict)
        if spot.is_block and (is_list or spot.column > place.column):
            return spot.column
        return place.column + (self._manner.list_unit if is_list else self._manner.unit)

    def _one_line(self, value: object, spot: Spot, place: _Place) -> str:
        if isinstance(value, str):
            style = spot.style if spot.style in QUOTES else self._manner.quotes
            return written(value, style, in_flow=place.is_flow)
        return flow(value, self._manner, place.depth, inside=place.is_flow)

    # ----------------------------------------------------------------------------------------------------- flow style

    def _rewrite_flow(
        self, want: Want, spot: Spot, gone: list[int], added: dict[str | int, object], place: _Place
    ) -> None:
        rows = self._rows(spot)
        broken = self._broken(spot, rows[0]) if rows and self._manner.is_json else None
        self._rewrite_inner(want, spot, _Place(place.depth + 1, is_flow=True, broken=broken))
        texts = [
            flow_pair(key, value, self._manner, place.depth + 1, broken)
            if spot.is_mapping
            else flow(value, self._manner, place.depth + 1, broken, inside=True)
            for key, value in added.items()
        ]
        size = len(spot.members or [])
        last = max(at for at in range(size) if at not in gone)
        if rows:
            self._rewrite_rows(rows, gone, last, texts)
        else:
            self._rewrite_row(spot, gone, last, texts)

    def _rows(self, spot: Spot) -> list[_Row] | None:
        """Return the lines of the members in flow style; None if they share any."""
        rows = []
        for at, member in enumerate(spot.members or []):
            event = member.key or member.first
            start, end = start_of(event).index, end_of(member.last).index
            comma = _COMMA.match(self.text, end)
            behind = comma.end() if comma else end
            row = _Row(start - start_of(event).column, start, end, comma and behind - 1, self._pieces.next_line(behind))
            rest = self._pieces.rest_of_line(behind).lstrip()
            if self.text[row.line : self._start(spot, at)].strip(" \t") or rest[:1] not in ("", "#"):
                return None
            rows.append(row)
        return rows

    def _broken(self, spot: Spot, row: _Row) -> Broken:
        indent = self.text[row.line : row.start]
        lead = self.text[spot.start - spot.column : spot.start]
        outer = lead[: len(lead) - len(lead.lstrip())]
        return Broken(indent, indent.removeprefix(outer) or "  ")

    def _rewrite_rows(self, rows: list[_Row], gone: list[int], last: int, texts: list[str]) -> None:
        """Remove and add members that have lines of their own; `last` is the last one that stays."""
        for at in gone:
            self._pieces.put(rows[at].line, rows[at].next, "")
        row, ends_with_comma = rows[last], rows[-1].comma is not None
        if texts:
            if row.comma is None:
                self._pieces.put(row.end, row.end, ",")
            newline = self._manner.newline
            lines = f",{newline}".join(self.text[row.line : row.start] + text for text in texts)
            self._pieces.put_lines(row.next, f"{lines}{',' if ends_with_comma else ''}{newline}")
        elif row.comma is not None and not ends_with_comma:
            self._pieces.put(row.comma, row.comma + 1, "")

    def _rewrite_row(self, spot: Spot, gone: list[int], last: int, texts: list[str]) -> None:
        """Remove and add members that share their lines."""
        ends = [end_of(member.last).index for member in spot.members or []]
        for at in gone:
            if gone[at : at + 1] == [at]:  # nothing before it stays
                self._pieces.put(self._start(spot, at), self._start(spot, at + 1), "")
            else:
                self._pieces.put(ends[at - 1], ends[at], "")
        self._pieces.put(ends[last], ends[last], "".join(self._manner.comma + text for text in texts))

    def _put_flow(self, value: object, spot: Spot, place: _Place) -> None:
        """Write a value between braces or brackets."""
        if isinstance(value, dict | list | tuple):
            was_one_line = spot.value and spot.is_flow and not LINE_END.search(self.text, spot.start, spot.end)
            text = flow(value, self._manner, place.depth, None if was_one_line else place.broken, inside=True)
        else:
            text = self._one_line(value, spot, place)
        if spot.start == spot.end:
            self._refuse_explicit(spot.first, place)
            text = f" {text}" if self.text[spot.start - 1] == ":" else f": {text}"
        self._pieces.put(spot.start, spot.end, text)


class _Row(NamedTuple):
    """The lines of a member in flow style: where they, the member, and what follows it begin and end."""

    line: int
    start: int
    end: int
    comma: int | None
    next: int


def _is_nested(value: object) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)
