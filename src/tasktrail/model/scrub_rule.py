"""What a rule of scrubbing is, what a profile is, and which rules of a profile a text is worth.

What holds for every pattern, and what breaks otherwise:

- It starts with a literal or a small set of characters, look-behind after it: then the search jumps over ordinary text.
- Linear time: a repetition is possessive, or bounded, or its parts have no character in common; and it cannot start
  again inside a run that it has already refused.
- Scrubbing twice is scrubbing once: no value starts with ``[``, and a match ends where its run of characters ends, so
  that a placeholder never opens the way to a match that was not there before.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

View = Literal["text", "folded", "digits", "hex"]
"""As what a pattern reads a text, character by character: as it is; in lower case; with each digit, or each hexadecimal
digit in lower or upper case, as 0. The last two let a pattern of numbers start with a literal."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a text must hold to be worth a look: a text in bytes, once characters are classes, and some are left out.

    Args:
        table: The class of each character of Latin-1; what is beyond Latin-1 is a question mark first.
        left_out: Those that may stand between the others.
    """

    table: bytes
    left_out: bytes
    sign: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One kind of private value: what gives it away, what it looks like, what stands there afterwards.

    Args:
        name: Of the rule, unique in its profile.
        label: The word in the placeholder: ``email`` gives ``[email]``.
        pattern: A regular expression; its last group that matched is the value, without a group the whole match is. An
            empty group is where the value begins; it ends where the match does.
            What it matches has a digit or one of ``@ : = / \\ _ -``: a text without them is not looked at.
        signs: Lower-case words, one of which every text has that the pattern matches; none: nothing is known.
        needs: One or two characters, one of which every such text has; to look for them first costs next to nothing.
        shape: A shape that every such text has; None: nothing is known.
        view: As what the pattern reads the text.
        reach: Characters that lengthen the value to the left, as letters and digits then do; empty: nothing does.
        spared: A pattern that is found at the end of what stands in front of values that stay; in lower case.
        numbered: Several distinct values get numbers, ``[email:1]`` and ``[email:2]``; equal ones the same.
        reads: Returns what a value says, whatever way it is written: values are equal when this is; None where it is
            no such value.
    """

    name: str
    label: str
    pattern: str
    signs: tuple[str, ...] = ()
    needs: str = ""
    shape: Shape | None = None
    view: View = "text"
    reach: str = ""
    spared: str = ""
    numbered: bool = False
    reads: Callable[[str], str | None] = str.lower


_Looks = list[tuple[int, tuple[str, ...]]]  # the number of a rule, and its signs


@dataclass(frozen=True, eq=False)
class Profile:
    """Rules, in the order in which they are applied. Values known by what stands around them come first."""

    rules: tuple[Rule, ...]
    _plain: list[tuple[str, _Looks]] = field(init=False, repr=False)
    _shaped: list[tuple[bytes, bytes, list[tuple[bytes, _Looks]]]] = field(init=False, repr=False)

    def __init__(self, rules: Iterable[Rule]) -> None:
        object.__setattr__(self, "rules", tuple(rules))
        plain: dict[str, _Looks] = {}
        shaped: dict[Shape, _Looks] = {}
        for number, rule in enumerate(self.rules):
            looks = plain.setdefault(rule.needs, []) if rule.shape is None else shaped.setdefault(rule.shape, [])
            looks.append((number, rule.signs or ("",)))
        views: dict[tuple[bytes, bytes], list[tuple[bytes, _Looks]]] = {}
        for shape in sorted(shaped, key=lambda shape: shape.sign):
            views.setdefault((shape.table, shape.left_out), []).append((shape.sign, shaped[shape]))
        object.__setattr__(self, "_plain", list(plain.items()))
        object.__setattr__(self, "_shaped", [(*view, shapes) for view, shapes in views.items()])

    def due(self, text: str, folded: str) -> list[Rule]:
        """Return the rules that have their signs in a text. A placeholder is none, so one look is enough."""
        found: list[int] = []
        for needs, looks in self._plain:
            if not needs or needs[0] in folded or needs[-1] in folded:
                _add(found, looks, folded)
        data = text.encode("latin-1", "replace")
        for table, left_out, shapes in self._shaped:
            classes, missing = data.translate(table, left_out), b"?"
            for sign, looks in shapes:
                if not sign.startswith(missing):  # where no seven digits are there are no nine
                    if sign in classes:
                        _add(found, looks, folded)
                    else:
                        missing = sign
        return [self.rules[number] for number in sorted(found)]


def _add(found: list[int], looks: _Looks, folded: str) -> None:
    """Add the numbers of the rules that have a sign, or need none."""
    for number, signs in looks:
        for sign in signs:  # a plain loop: any() with a generator costs ten times as much here
            if sign in folded:
                found.append(number)
                break


def _classes(**by_class: str) -> bytes:
    """Return a table: the characters of a class become its name, a digit or a letter; all others a blank."""
    table = bytearray(b" " * 256)
    for name, characters in by_class.items():
        for character in characters.encode("latin-1"):
            table[character] = ord(name.removeprefix("_"))
    return bytes(table)


_BETWEEN: Final = b" .-/()+\xa0"
_NUMBERS: Final = _classes(_0=string.digits, A=string.ascii_uppercase)
_GROUPS: Final = bytes.maketrans(b"123456789 ", b"0" * 9 + b"-")
_WORDS: Final = _classes(w=string.ascii_letters + string.digits + "_-?" + "".join(map(chr, range(128, 256))))


def digits(number: int) -> Shape:
    """Return the shape of so many digits, with or without separators between them."""
    return Shape(_NUMBERS, _BETWEEN, b"0" * number)


def letters(number: int) -> Shape:
    """Return the shape of so many letters, digits, lines and strokes in one piece."""
    return Shape(_WORDS, b"", b"w" * number)


def groups(example: str) -> Shape:
    """Return the shape of digits with these separators between them; a blank stands for a hyphen as well."""
    return Shape(_GROUPS, b"", example.encode())


CAPITALS_AND_DIGITS: Final = Shape(_NUMBERS, _BETWEEN, b"AA00")
COLONS: Final = Shape(bytes(range(256)), string.hexdigits.encode(), b"::::::")
"""Six colons between hexadecimal digits."""
