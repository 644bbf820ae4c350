"""JSON texts changed in place: only the characters of what changes are replaced."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]  # typeshed leaves scanstring out
from typing import Final, NamedTuple

from tasktrail.formats.json_load import first, load, position, refusal, skip_blank, syntax_fault
from tasktrail.model.errors import BadInput

__all__ = ["REMOVE", "Change", "Path", "apply", "difference", "dump", "edit", "load", "places", "position", "same"]

Path = tuple[str | int, ...]
"""Keys and list indexes, from the outermost value inwards; () is the whole document."""

_NEWLINE: Final = "\n"
_PLAIN: Final = JSONDecoder()
_scan: Final = _PLAIN.scan_once  # type: ignore[attr-defined]  # typeshed leaves it out


class _Remove(Enum):
    REMOVE = "remove"


REMOVE: Final = _Remove.REMOVE
"""As the value of a change: the key goes, with its comma."""

Change = tuple[Path, object]

# ------------------------------------------------------------------------------------------------------------ comparing


def same(old: object, new: object) -> bool:
    """Whether two JSON values are equal: 1, 1.0 and true are three values; the order of keys does not matter."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    # The text tells 0.0 from -0.0, which are equal.
    return repr(old) == repr(new) if isinstance(old, float) else old == new


def difference(old: object, new: object, path: Path = ()) -> list[Change]:
    """Return the smallest changes that make `new` of `old`, for `edit`; empty when they are the same.

    >>> difference({"a": 1, "b": [1, 2]}, {"b": [1, 3], "c": 0})
    [(('a',), <_Remove.REMOVE: 'remove'>), (('b', 1), 3), (('c',), 0)]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        changes: list[Change] = [((*path, key), REMOVE) for key in old if key not in new]
        for key, value in new.items():
            changes += difference(old[key], value, (*path, key)) if key in old else [((*path, key), value)]
        return changes
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [change for at, (before, after) in pairs for change in difference(before, after, (*path, at))]
    return [] if same(old, new) else [(path, new)]


# ------------------------------------------------------------------------------------------------------------- locating


@dataclass(slots=True)
class _Want:
    """What is wanted at one place of the document: a value, or something further in."""

    inner: dict[str | int, _Want] = field(default_factory=dict)
    value: object = None


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


def _wanted(changes: Iterable[Change]) -> _Want:
    root = _Want()
    for path, value in changes:
        want = root
        for key in path:
            want = want.inner.setdefault(key, _Want())
        want.value = value
    return root


def _chart(text: str, start: int, want: _Want) -> _Spot:
    """Walk over the value that starts here, once, into containers only where something inside is wanted."""
    if not want.inner or text[start : start + 1] not in ("{", "["):
        value, end = _PLAIN.raw_decode(text, start)
        return _Spot(start, end, value)
    spot = _Spot(start, start, members=[])
    _chart_members(text, spot, want)
    return spot


def _chart_members(text: str, spot: _Spot, want: _Want) -> None:
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
    root = _chart(text, first(text), _wanted((path, None) for path in paths))
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
    want = _wanted(changes)
    try:
        root = _chart(text, first(text), want)
    except json.JSONDecodeError as error:
        raise syntax_fault(text, error, where) from None
    except (ValueError, RecursionError):
        raise refusal(text, where) from None
    editor = _Editor(text, _Style.of(text), where)
    editor.rewrite(want, root, _Layout(editor.style.unit is not None, ""))
    return editor.result()


def apply(document: object, changes: Sequence[Change]) -> object:
    """Make the changes in a loaded document itself, and return it: what the edited text says, without reading it."""
    return _applied(document, _wanted(changes)) if changes else document


def _applied(value: object, want: _Want) -> object:
    if not want.inner:
        return value if same(value, want.value) else want.value
    if isinstance(value, list):
        return _applied_list(value, want.inner)
    assert isinstance(value, dict), "edit refuses other paths"
    for key, inner in want.inner.items():
        if inner.value is REMOVE:
            value.pop(key, None)
        elif key in value:
            value[key] = _applied(value[key], inner)
        elif _adds(inner):
            value[key] = _assembled(inner)
    return value


def _applied_list(items: list[object], wants: dict[str | int, _Want]) -> list[object]:
    kept = [
        _applied(item, wants[at]) if at in wants else item
        for at, item in enumerate(items)
        if at not in wants or wants[at].value is not REMOVE
    ]
    return kept + [_assembled(inner) for at, inner in wants.items() if int(at) >= len(items) and _adds(inner)]


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

    def rewrite(self, want: _Want, spot: _Spot, layout: _Layout) -> None:
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

    def _rewrite_members(self, want: _Want, spot: _Spot, members: list[_Member], layout: _Layout) -> None:
        is_object = self._check_keys(want, spot, len(members))
        lines = self._lines(members, layout)
        gone = {spot.index[key] for key, inner in want.inner.items() if inner.value is REMOVE and key in spot.index}
        for key, inner in want.inner.items():
            if key in spot.inner and inner.value is not REMOVE:
                self.rewrite(inner, spot.inner[key], lines)
        missing = {key: inner for key, inner in want.inner.items() if key not in spot.inner and _adds(inner)}
        added = [self._member(key, inner, members, lines, is_object=is_object) for key, inner in missing.items()]
        if len(gone) == len(members):
            self._refill(spot, members, added, lines, layout)
            return
        self._remove(members, gone)
        if added:
            gap = self._gap(members, lines)
            self._pieces.append((members[-1].end, members[-1].end, "".join(f",{gap}{piece}" for piece in added)))

    def _check_keys(self, want: _Want, spot: _Spot, size: int) -> bool:
        """Whether the container is an object; refuse what cannot be a key of it."""
        is_object = self.text[spot.start] == "{"
        if is_object and not all(isinstance(key, str) for key in want.inner):
            raise self._refused(spot, "expected a list here")
        if not is_object and not all(isinstance(key, int) and key >= 0 for key in want.inner):
            raise self._refused(spot, "expected an object here")
        if not is_object and sorted(key for key in want.inner if key not in spot.inner) != [
            *range(size, size + len(want.inner) - len(spot.inner))
        ]:
            raise self._refused(spot, f"expected a list of more than {size} here")
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

    def _member(self, key: str | int, want: _Want, members: list[_Member], lines: _Layout, *, is_object: bool) -> str:
        value = self._written(_assembled(want), lines)
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


def _adds(want: _Want) -> bool:
    """Whether anything is wanted here that could be missing."""
    return any(map(_adds, want.inner.values())) if want.inner else want.value is not REMOVE


def _assembled(want: _Want) -> object:
    """The value of something that is missing, put together from what is wanted inside it."""
    if not want.inner:
        return want.value
    if all(isinstance(key, int) for key in want.inner):
        return [_assembled(inner) for inner in want.inner.values()]
    return {key: _assembled(inner) for key, inner in want.inner.items() if _adds(inner)}
