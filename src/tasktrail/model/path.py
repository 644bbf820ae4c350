"""Paths to values (`fetch.rows.0.name`), and templates: texts that hold such paths in braces."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeGuard

from tasktrail.model.errors import BadInput
from tasktrail.model.suggestion import Suggestions

NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
"""A part of a path. There is no arithmetic anywhere, so a `-` after a name's first character belongs to the name."""
PATH: Final = rf"{NAME}(?:\.(?:{NAME}|[0-9]+))*"

Values = Mapping[str, object]
"""What paths start at, by name: JSON values. It may fetch them when they are asked for."""

_PATH: Final = re.compile(PATH)
_NAME_OR_INDEX: Final = re.compile(rf"{NAME}|[0-9]+")
_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_MAX_INDEX_DIGITS: Final = 9
_MOST_NAMES_SHOWN: Final = 8
_LONGEST_SHOWN: Final = 80
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class BadExpression(BadInput):
    """A path, template or condition cannot be read.

    Args:
        what: What was expected and what is there, without the place.
        text: The whole text.
        offset: Where in the text it is, from 0.
    """

    def __init__(self, what: str, text: str, offset: int) -> None:
        super().__init__(f"{what} (at character {offset + 1} of {shown(text)})")
        self.what = what
        self.text = text
        self.offset = offset


class Named(str):
    """A name of which paths may ask more: `{item}` is an item's name, `{item.url}` one of its attributes.

    >>> item = Named("ch01", {"url": "https://example.org"})
    >>> Template.parse("{item}: {item.url}").fill({"item": item})
    'ch01: https://example.org'
    """

    __slots__ = ("parts",)
    parts: Mapping[str, object]

    def __new__(cls, name: str, parts: Mapping[str, object]) -> Named:
        """Return the name with its parts; it is one of them, as `name`."""
        named = super().__new__(cls, name)
        named.parts = {**parts, "name": name}
        return named


@dataclass(frozen=True, slots=True)
class ValuePath:
    """Where a value is found: a name that values start at, then keys of objects and indexes of lists.

    >>> ValuePath.parse("fetch.rows.0.name").value_in({"fetch": {"rows": [{"name": "a"}]}})
    'a'
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ValuePath:
        """Return the path that a text is.

        Raises:
            BadExpression: It is none.
        """
        if _PATH.fullmatch(text):
            return cls(tuple(text.split(".")))
        raise BadExpression(*_fault_of_path(text))

    @property
    def root(self) -> str:
        """The name it starts at."""
        return self.parts[0]

    def __str__(self) -> str:
        """The text that it was parsed from."""
        return ".".join(self.parts)

    def value_in(self, values: Values) -> object:
        """Return the value that is there.

        Raises:
            BadInput: There is none; the message says how far the path leads, and what is there instead.
        """
        value: object = values
        for place, part in enumerate(self.parts):
            found = _member(value, part)
            if found is None:
                raise BadInput(f"there is no {shown(str(self))}: {self._missing(value, place)}")
            value = found[0]
        return unnamed(value)

    def _missing(self, value: object, place: int) -> str:
        """What is there instead of a part: names, a list's length, or the kind of a value that has no parts."""
        part, before = self.parts[place], ".".join(self.parts[:place])
        value = _parts_of(value)
        if isinstance(value, Mapping):
            return f"{shown(before) if before else 'what is there'} has {_names(value)}{Suggestions()(part, value)}"
        if not _is_list(value):
            return f"{shown(before)} is {kind_of(value)}, which has no parts"
        if part.isdigit():
            return f"{shown(before)} has {len(value)} value{'' if len(value) == 1 else 's'}, numbered from 0"
        return f"{shown(before)} is a list, whose values have numbers: {shown(before)}.0"


class Mention(NamedTuple):
    """A path in a text, and where it begins, from 0."""

    path: ValuePath
    offset: int


@dataclass(frozen=True, slots=True)
class Template:
    """A text with paths in braces; `{{` and `}}` stand for braces themselves.

    >>> Template.parse("{params.day}.csv").fill({"params": {"day": "monday"}})
    'monday.csv'

    A text that is one path and nothing else stands for the value itself. In a longer text strings go in as they are,
    and other values as JSON:

    >>> Template.parse("{n}").fill({"n": [1, 2]}), Template.parse("got {n}").fill({"n": [1, 2]})
    ([1, 2], 'got [1,2]')
    """

    text: str
    pieces: tuple[str | Mention, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Return the template that a text is.

        Raises:
            BadExpression: A brace is not closed, not doubled, or holds no path.
        """
        if "{" not in text and "}" not in text:
            return cls(text, (text,) if text else ())
        return cls(text, tuple(_pieces(text)))

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """Every path with its place, in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Mention))

    @property
    def paths(self) -> tuple[ValuePath, ...]:
        """The paths in order, each once."""
        return tuple(dict.fromkeys(mention.path for mention in self.mentions))

    @property
    def roots(self) -> tuple[str, ...]:
        """The names that its paths start at, in order, each once."""
        return tuple(dict.fromkeys(path.root for path in self.paths))

    def fill(self, values: Values) -> object:
        """Return the text with values in place of paths; the value itself when the text is one path.

        Raises:
            BadInput: A path leads to nothing.
        """
        if len(self.pieces) == 1 and isinstance(only := self.pieces[0], Mention):
            return only.path.value_in(values)
        return "".join(piece if isinstance(piece, str) else _inserted(piece, values) for piece in self.pieces)


def unnamed(value: object) -> object:
    """Return what code gets of a value: a name is a plain text there, which anything can write and send."""
    return str(value) if isinstance(value, Named) else value


def kind_of(value: object) -> str:
    """Return what people call a JSON value's kind.

    >>> [kind_of(value) for value in (None, True, 1.5, "", [], {})]
    ['null', 'a boolean', 'a number', 'a text', 'a list', 'an object']
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if _is_list(value) else "an object"


def shown(text: str) -> str:
    """Return a text for a message: on one line and not too long; quoted when it is no plain word."""
    short = text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
    return short if short.isprintable() and short.strip() and "'" not in short and " " not in short else repr(short)


def _member(value: object, part: str) -> tuple[object] | None:
    """The value of a part, in a tuple since it may be None."""
    value = _parts_of(value)
    if isinstance(value, Mapping):
        return (value[part],) if part in value else None
    if _is_list(value) and part.isdigit() and len(part) <= _MAX_INDEX_DIGITS and int(part) < len(value):
        return (value[int(part)],)
    return None


def _parts_of(value: object) -> object:
    return value.parts if isinstance(value, Named) else value


def _is_list(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(value, list | tuple)


def _names(value: Mapping[str, object]) -> str:
    names = [shown(str(name)) for name, _ in zip(value, range(_MOST_NAMES_SHOWN), strict=False)]
    if not names:
        return "nothing"
    left_out = len(value) - len(names)
    return ", ".join(names) + (f" and {left_out} more" if left_out else "")


def _inserted(mention: Mention, values: Values) -> str:
    value = mention.path.value_in(values)
    return value if isinstance(value, str) else _encode(value)


def _pieces(text: str) -> Iterator[str | Mention]:
    """Plain text and paths by turns; doubled braces are part of the plain text around them."""
    plain, end = "", 0
    for found in _BRACES.finditer(text):
        plain += text[end : found.start()]
        end = found.end()
        if found[0] in ("{{", "}}"):
            plain += found[0][0]
            continue
        if found[1] is None:
            raise BadExpression(f"expected {found[0]} to belong to a {{path}}, or to be doubled", text, found.start())
        if plain:
            yield plain
        yield _mention(text, found[1], found.start() + 1)
        plain = ""
    if plain + text[end:]:
        yield plain + text[end:]


def _mention(text: str, inside: str, offset: int) -> Mention:
    if not _PATH.fullmatch(inside):
        if _PATH.fullmatch(inside.strip()):
            raise BadExpression(f"expected {{{inside.strip()}}} without blanks inside", text, offset)
        what, _, place = _fault_of_path(inside)
        raise BadExpression(f"{what}; braces that are meant are doubled: {{{{ }}}}", text, offset + place)
    return Mention(ValuePath(tuple(inside.split("."))), offset)


def _fault_of_path(text: str) -> tuple[str, str, int]:
    """What is wrong with a text that is no path: the arguments of the error."""
    offset = 0
    for place, part in enumerate(text.split(".")):
        if place == 0 and part.isdigit():
            break
        if not _NAME_OR_INDEX.fullmatch(part):
            break
        offset += len(part) + 1
    return f"expected a path like fetch.items, got: {shown(text)}", text, min(offset, max(len(text) - 1, 0))
