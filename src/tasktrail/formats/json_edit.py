"""JSON texts changed in place: only the characters of what changes are replaced."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]  # typeshed leaves scanstring out
from typing import Final, NamedTuple

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
from tasktrail.formats.json_load import first, load, position, refusal, skip_blank, syntax_fault
from tasktrail.model.errors import BadInput

__all__ = ["REMOVE", "Change", "Path", "apply", "difference", "dump", "edit", "load", "places", "position", "same"]

_NEWLINE: Final = "\n"
_PLAIN: Final = JSONDecoder()
_scan: Final = _PLAIN.scan_once  # type: ignore[attr-defined]  # typeshed leaves it out

# ------------------------------------------------------------------------------------------------------------- locating


class _Member(NamedTuple):
    """One member of an object or a list, by offsets; `after_comma` is after the brace for the first."""

    after_comma: int
    start: int
    key_end: int
    value_start: int
    end: int


@dataclass(slots=True)
class _Spot:
    """Where a value stands; a container that something inside is wanted of has members, anything else its value."""

    start: int
    end: int
    value: object = None
    members: list[_Member] | None = None
    index: dict[str | int, int] = field(default_factory=dict)
    inner: dict[str | int, _Spot] = field(default_factory=dict)


def _chart(text: str, start: int, want: Want) -> _Spot:
    """Walk over the value that starts here, once, into containers only where something inside is wanted."""
    if not want.inner or text[start : start + 1] not in ("{", "["):
        value, end = _PLAIN.raw_decode(text, start)
        return _Spot(start, end, value)
    spot = _Spot(start, start, members=[])
    _chart_members(text, spot, want)
    return spot


def _chart_members(text: str, spot: _Spot, want: Want) -> None:
    is_object = text[spot.start] == "{"
    close = "}" if is_object else "]"
    members = spot.members = []
    at = spot.start + 1
    start = skip_blank(text, at)
    while text[start : start + 1] != close or members:
        key, key_end, value_start = _key(text, start) if is_object else (len(members), start, start)
        inner = want.inner.get(key)
        if inner is None:
            end = _end(text, value_start)
        else:
            spot.inner[key] = _chart(text, value_start, inner)
            end = spot.inner[key].end
            spot.index[key] = len(members)
        members.append(_Member(at, start, key_end, value_start, end))
        if not (comma := _COMMA.match(text, end)):
            start = skip_blank(text, end)
            break
        at, start = comma.end(1), comma.end()
    if text[start : start + 1] != close:
        raise json.JSONDecodeError("Expecting ',' delimiter", text, start)
    spot.end = start + 1


# A run file has thousands of members that nobody wants: each is passed over with three calls.
_PLAIN_KEY: Final = re.compile(r'"([^"\\\x00-\x1f]*+)"[ \t\n\r]*+:[ \t\n\r]*+')
_COMMA: Final = re.compile(r"[ \t\n\r]*+(,)[ \t\n\r]*+")


def _end(text: str, start: int) -> int:
    """Return where a value ends."""
    try:
        end: int = _scan(text, start)[1]
    except StopIteration as found:
        raise json.JSONDecodeError("Expecting value", text, found.value) from None
    return end


def _key(text: str, start: int) -> tuple[str, int, int]:
    if plain := _PLAIN_KEY.match(text, start):
        return plain[1], plain.end(1) + 1, plain.end()
    if text[start : start + 1] != '"':
        raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, start)
    key, key_end = scanstring(text, start + 1, True)
    colon = skip_blank(text, key_end)
    if text[colon : colon + 1] != ":":
        raise json.JSONDecodeError("Expecting ':' delimiter", text, colon)
    return key, key_end, skip_blank(text, colon + 1)


def places(text: str, paths: Iterable[Path]) -> dict[Path, int]:
    """Return where the value of each path starts in a text that loads; of a missing one, its nearest container."""
    paths = list(paths)
    root = _chart(text, first(text), wanted((path, None) for path in paths))
    found = {}
    for path in paths:
        spot = root
        for key in path:
            spot = spot.inner.get(key, spot)
        found[path] = spot.start
    return found


# -------------------------------------------------------------------------------------------------------------- editing


def dump(value: object, indent: str | None = "  ", *, ascii_only: bool = False, colon: str = ": ") -> str:
    """Return a value as JSON text without a final newline.

    Args:
        indent: Of one level; None writes one line.

    Raises:
        BadInput: It is no JSON value: another type, NaN, a lone surrogate, or nested without end.
    """
    comma = "," if indent is not None or not colon.endswith(" ") else ", "
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, indent=indent, separators=(comma, colon))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"expected a JSON value, got one that is none: {error}") from None
    return text


def edit(text: str, changes: Sequence[Change], where: str = "the text") -> str:
    """Return the text with these values replaced, added or removed, and every other character as it was.

    What is missing is added at the end of its object (a list grows by its next index), objects on the way included,
    in the indentation and spacing of the text. A value that is the same already keeps its spelling.

    Args:
        changes: Paths and values, or REMOVE. No path may continue another one.

    Returns:
        The very same object when nothing changes.

    Raises:
        BadInput: The text is no JSON, a path leads through a value that has no members, or a value is not JSON.
    """
    if not changes:
        return text
    want = wanted(changes)
    try:
        root = _chart(text, first(text), want)
    except json.JSONDecodeError as error:
        raise syntax_fault(text, error, where) from None
    except (ValueError, RecursionError):
        raise refusal(text, where) from None
    editor = _Editor(text, _Style.of(text), where)
    editor.rewrite(want, root, _Layout(editor.style.unit is not None, ""))
    return editor.result()


_OPENING: Final = re.compile(r"\ufeff?\s*[\[{][ \t]*(?:\r?\n[ \t]*)*\r?\n(?P<indent>[ \t]*)(?=[^\s\]}])")
_FIRST_KEY: Final = re.compile(r'\ufeff?[\s\[]*\{\s*"[^"\\]*+(?:\\.[^"\\]*+)*+"(?P<colon>[ \t]*:[ \t]*)', re.DOTALL)
_EMPTY: Final = re.compile(r"\ufeff?\s*(?:\{\s*\}|\[\s*\])\s*")


@dataclass(frozen=True, slots=True)
class _Style:
    """How a text is written. `unit` is the indentation of one level, None when it has no lines."""

    unit: str | None
    newline: str
    colon: str
    ascii_only: bool

    @classmethod
    def of(cls, text: str) -> _Style:
        opening = _OPENING.match(text)
        unit = opening["indent"] if opening else "  " if _EMPTY.fullmatch(text) else None
        first_key = _FIRST_KEY.match(text)
        colon = first_key["colon"] if first_key else ": "
        escaped = text.isascii() and "\\u" in text and re.search(r"\\u(?!00[01])", text) is not None
        return cls(unit, "\r\n" if "\r\n" in text else "\n", colon, escaped)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a value lies: whether its members have lines of their own, and the indentation of the line it starts on."""

    broken: bool
    indent: str


class _Editor:
    """Collects replacements of spans of a text; they never overlap."""

    def __init__(self, text: str, style: _Style, where: str) -> None:
        self.text = text
        self.style = style
        self._where = where
        self._pieces: list[tuple[int, int, str]] = []

    def result(self) -> str:
        if not self._pieces:
            return self.text
        parts, at = [], 0
        for start, end, piece in sorted(self._pieces, key=lambda span: span[:2]):
            parts += [self.text[at:start], piece]
            at = end
        return "".join([*parts, self.text[at:]])

    def rewrite(self, want: Want, spot: _Spot, layout: _Layout) -> None:
        """Bring the value at a spot to what is wanted."""
        if not want.inner:
            self._replace(want.value, spot, layout)
        elif spot.members is None:
            raise self._refused(spot, "expected an object or a list here")
        else:
            self._rewrite_members(want, spot, spot.members, layout)

    def _replace(self, value: object, spot: _Spot, layout: _Layout) -> None:
        if same(spot.value, value):
            return
        if isinstance(spot.value, dict | list) and spot.value and _NEWLINE not in self.text[spot.start : spot.end]:
            layout = _Layout(False, layout.indent)
        self._pieces.append((spot.start, spot.end, self._written(value, layout)))

    def _rewrite_members(self, want: Want, spot: _Spot, members: list[_Member], layout: _Layout) -> None:
        is_object = self._check_keys(want, spot, len(members))
        lines = self._lines(members, layout)
        gone = {spot.index[key] for key, inner in want.inner.items() if inner.value is REMOVE and key in spot.index}
        for key, inner in want.inner.items():
            if key in spot.inner and inner.value is not REMOVE:
                self.rewrite(inner, spot.inner[key], lines)
        missing = {key: inner for key, inner in want.inner.items() if key not in spot.inner and adds(inner)}
        added = [self._member(key, inner, members, lines, is_object=is_object) for key, inner in missing.items()]
        if len(gone) == len(members):
            self._refill(spot, members, added, lines, layout)
            return
        self._remove(members, gone)
        if added:
            gap = self._gap(members, lines)
            self._pieces.append((members[-1].end, members[-1].end, "".join(f",{gap}{piece}" for piece in added)))

    def _check_keys(self, want: Want, spot: _Spot, size: int) -> bool:
        """Whether the container is an object; refuse what cannot be a key of it."""
        is_object = self.text[spot.start] == "{"
        what = misfit(want, size, is_list=not is_object)
        if what is not None:
            raise self._refused(spot, what)
        return is_object

    def _refused(self, spot: _Spot, what: str) -> BadInput:
        return BadInput(f"{self._where}:{position(self.text, spot.start)}: {what}")

    def _lines(self, members: list[_Member], layout: _Layout) -> _Layout:
        """How the members of a container lie: as they do now, or as the text's style has it."""
        if not members:
            return _Layout(layout.broken, layout.indent + (self.style.unit or ""))
        _, newline, indent = self.text[members[-1].after_comma : members[-1].start].rpartition("\n")
        if not newline:
            return _Layout(False, layout.indent)
        return _Layout(True, indent)

    def _gap(self, members: list[_Member], lines: _Layout) -> str:
        """What stands between a comma and the next member."""
        if len(members) > 1 or lines.broken:
            return self.text[members[-1].after_comma : members[-1].start]
        return " " if self.style.colon.endswith(" ") else ""

    def _remove(self, members: list[_Member], gone: set[int]) -> None:
        first_kept = min(at for at in range(len(members)) if at not in gone)
        for at in gone:
            if at < first_kept:
                self._pieces.append((members[at].start, members[at + 1].start, ""))
            else:
                self._pieces.append((members[at - 1].end, members[at].end, ""))

    def _refill(self, spot: _Spot, members: list[_Member], added: list[str], lines: _Layout, layout: _Layout) -> None:
        """Fill a container of which nothing is left."""
        if not added:
            if members:
                self._pieces.append((spot.start + 1, spot.end - 1, ""))
            return
        newline = self.style.newline
        if members:
            gap = self._gap(members, lines)
            self._pieces.append((members[0].start, members[-1].end, f",{gap}".join(added)))
        elif lines.broken:
            body = f",{newline}{lines.indent}".join(added)
            piece = f"{newline}{lines.indent}{body}{newline}{layout.indent}"
            self._pieces.append((spot.start + 1, spot.end - 1, piece))
        else:
            gap = " " if self.style.colon.endswith(" ") else ""
            self._pieces.append((spot.start + 1, spot.end - 1, f",{gap}".join(added)))

    def _member(self, key: str | int, want: Want, members: list[_Member], lines: _Layout, *, is_object: bool) -> str:
        value = self._written(assembled(want), lines)
        if not is_object:
            return value
        colon = self.text[members[-1].key_end : members[-1].value_start] if members else self.style.colon
        name = dump(str(key), None, ascii_only=self.style.ascii_only)
        return f"{name}{self.style.colon if _NEWLINE in colon else colon}{value}"

    def _written(self, value: object, layout: _Layout) -> str:
        style = self.style
        indent = (style.unit if style.unit is not None else "  ") if layout.broken else None
        text = dump(value, indent, ascii_only=style.ascii_only, colon=style.colon)
        return text.replace("\n", style.newline + layout.indent) if layout.broken else text
