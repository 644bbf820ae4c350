"""Conditions: the small language of `when`. They are parsed here and compared with values; nothing is ever executed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeGuard

from tasktrail.model.errors import BadInput
from tasktrail.model.path import PATH, BadExpression, Mention, ValuePath, Values, kind_of, shown

MAX_CHARS: Final = 4_000
MAX_DEPTH: Final = 32
"""Of parentheses and lists: reading and asking go one call deeper for each, and Python's own limit must stay far."""
WORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "null"})
"""Words of the language, so no step is called so."""

_TOKEN: Final = re.compile(
    rf"""\s*(?:
        (?P<number>-?[0-9][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+)?)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<path>{PATH})
      | (?P<mark>==|!=|<=|>=|[<>()\[\],])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final[Mapping[str, str]] = MappingProxyType({"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"})
_CONSTANTS: Final[Mapping[str, object]] = MappingProxyType({"true": True, "false": False, "null": None})
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not in"})
_ORDERS: Final[Mapping[str, frozenset[int]]] = MappingProxyType({
    "<": frozenset({-1}), "<=": frozenset({-1, 0}), ">": frozenset({1}), ">=": frozenset({0, 1}),
})  # fmt: skip
"""What the left value may be beside the right one: smaller -1, equal 0, greater 1."""
_ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType({
    "&&": "and", "||": "or", "!": "not", "===": "==", "=": "==", "<>": "!=", "is": "==",
    "True": "true", "False": "false", "None": "null", "AND": "and", "OR": "or", "NOT": "not",
})  # fmt: skip
"""What people write who come from another language, and what it is called here."""
_NO_NAMES: Final = frozenset({"True", "False", "None", "NOT"})
_FOREIGN_MARK: Final = re.compile(r"\s*(&&|\|\||===|<>|!|=)")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition over JSON values.

    A value alone holds unless it is null, false, 0, or empty. Values of different kinds are never equal, and a number
    is no boolean; only two numbers or two texts have an order.

    >>> ready = Condition.parse("fetch.count > 0 and not params.dry")
    >>> ready.holds({"fetch": {"count": 3}, "params": {"dry": False}})
    True
    """

    text: str
    mentions: tuple[Mention, ...] = field(compare=False)
    _node: _Node = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Return the condition that a text is.

        Raises:
            BadExpression: It is none; the error knows where.
        """
        if len(text) > MAX_CHARS:
            raise BadExpression(
                f"expected a condition of at most {MAX_CHARS:,} characters, got: {len(text):,}", text, 0
            )
        parser = _Parser(text)
        node = parser.whole()
        return cls(text, tuple(parser.mentions), node)

    @property
    def paths(self) -> tuple[ValuePath, ...]:
        """The paths it asks for, in order, each once."""
        return tuple(dict.fromkeys(mention.path for mention in self.mentions))

    def holds(self, values: Values) -> bool:
        """Return whether it is true of these values. What stands after `and` or `or` is asked only when it matters.

        Raises:
            BadInput: A path leads to nothing, or values are compared that have no order.
        """
        try:
            return bool(self._node.value(values))
        except BadInput as error:
            raise BadInput(f"condition {shown(self.text)}: {error.message}", hint=error.hint) from None


# ------------------------------------------------------------------------------------------------------------- its tree


class _Node(Protocol):
    def value(self, values: Values) -> object: ...


@dataclass(frozen=True, slots=True)
class _Constant:
    of: object

    def value(self, values: Values) -> object:  # noqa: ARG002 - a constant asks nothing
        return self.of


@dataclass(frozen=True, slots=True)
class _Lookup:
    path: ValuePath

    def value(self, values: Values) -> object:
        return self.path.value_in(values)


@dataclass(frozen=True, slots=True)
class _ListOf:
    members: tuple[_Node, ...]

    def value(self, values: Values) -> object:
        return [member.value(values) for member in self.members]


@dataclass(frozen=True, slots=True)
class _Not:
    inner: _Node

    def value(self, values: Values) -> object:
        return not self.inner.value(values)


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple[_Node, ...]

    def value(self, values: Values) -> object:
        return all(part.value(values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Any:
    parts: tuple[_Node, ...]

    def value(self, values: Values) -> object:
        return any(part.value(values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Comparison:
    sign: str
    left: _Node
    right: _Node

    def value(self, values: Values) -> object:
        return _compare(self.sign, self.left.value(values), self.right.value(values))


def _compare(sign: str, left: object, right: object) -> bool:
    if sign in ("==", "!="):
        return _same(left, right) == (sign == "==")
    if sign in ("in", "not in"):
        return _contains(left, right) == (sign == "in")
    if _is_number(left) and _is_number(right):
        return (left > right) - (left < right) in _ORDERS[sign]
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right) in _ORDERS[sign]
    raise BadInput(f"expected two numbers or two texts around {sign}, got: {kind_of(left)} and {kind_of(right)}")


def _contains(member: object, whole: object) -> bool:
    if isinstance(whole, list | tuple):
        return any(_same(member, one) for one in whole)
    if isinstance(whole, Mapping | str):
        if isinstance(member, str):
            return member in whole
        raise BadInput(f"expected a text before in, since {kind_of(whole)} follows, got: {kind_of(member)}")
    raise BadInput(f"expected a list, a text or an object after in, got: {kind_of(whole)}")


def _same(left: object, right: object) -> bool:
    """Whether two JSON values are equal; unlike Python, true is not 1. No recursion: results may be nested deeply."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if kind_of(one) != kind_of(other):
            return False
        if isinstance(one, list | tuple) and isinstance(other, list | tuple):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif isinstance(one, Mapping) and isinstance(other, Mapping):
            if one.keys() != other.keys():
                return False
            pairs.extend((one[key], other[key]) for key in one)
        elif one != other:
            return False
    return True


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


# ------------------------------------------------------------------------------------------------------------- its text


class _Token(NamedTuple):
    """A piece of a condition: kind, text and place. Words of the language are marks."""

    kind: str
    text: str
    offset: int


class _Parser:
    """Reads one condition from left to right, one method for each level of what binds how strongly."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.mentions: list[Mention] = []
        self._tokens = list(_tokens(text))
        self._place = 0
        self._depth = 0

    def whole(self) -> _Node:
        node = self._any()
        if self._next.kind != "end":
            raise self._fault(self._next, "expected and, or, a comparison, or the end")
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _takes(self, *marks: str) -> str | None:
        """Go past the next token when it is one of these marks, and return which."""
        token = self._next
        if token.kind != "mark" or token.text not in marks:
            return None
        self._place += 1
        return token.text

    def _any(self) -> _Node:
        parts = [self._all()]
        while self._takes("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _Any(tuple(parts))

    def _all(self) -> _Node:
        parts = [self._not()]
        while self._takes("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else _All(tuple(parts))

    def _not(self) -> _Node:
        # Counted, not nested: a thousand of them are no deeper than one.
        times = 0
        while self._takes("not"):
            times += 1
        node = self._comparison()
        for _ in range(2 - times % 2 if times else 0):
            node = _Not(node)
        return node

    def _comparison(self) -> _Node:
        left = self._operand()
        sign = self._sign()
        if sign is None:
            return left
        node = _Comparison(sign, left, self._operand())
        chained = self._next
        if self._sign() is not None:
            raise self._fault(chained, "expected one comparison at a time, joined by and")
        return node

    def _sign(self) -> str | None:
        if self._next == ("mark", "not", self._next.offset) and self._tokens[self._place + 1][:2] == ("mark", "in"):
            self._place += 2
            return "not in"
        return self._takes(*_COMPARISONS)

    def _operand(self) -> _Node:
        token = self._next
        if token.kind == "mark" and token.text in ("(", "["):
            return self._nested(token)
        if token.kind == "end" or (token.kind == "mark" and token.text not in _CONSTANTS):
            raise self._fault(token, "expected a value")
        self._place += 1
        if token.kind == "path":
            if token.text in _NO_NAMES:
                raise self._fault(token, "expected a value")
            path = ValuePath(tuple(token.text.split(".")))
            self.mentions.append(Mention(path, token.offset))
            return _Lookup(path)
        if token.kind == "mark":
            return _Constant(_CONSTANTS[token.text])
        return _Constant(_text(self.text, token) if token.kind == "text" else _number(self.text, token))

    def _nested(self, opening: _Token) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(opening, f"expected at most {MAX_DEPTH} levels of parentheses and lists")
        self._place += 1
        node = self._members() if opening.text == "[" else self._any()
        closing = "]" if opening.text == "[" else ")"
        if not self._takes(closing):
            raise self._fault(self._next, f"expected {closing}")
        self._depth -= 1
        return node

    def _members(self) -> _Node:
        members: list[_Node] = []
        while self._next[:2] != ("mark", "]"):
            members.append(self._operand())
            if not self._takes(","):
                break
        return _ListOf(tuple(members))

    def _fault(self, token: _Token, expected: str) -> BadExpression:
        got = "the end" if token.kind == "end" else shown(token.text)
        here = _ELSEWHERE.get(token.text)
        return BadExpression(f"{expected}, got: {got}{f'; write {here}' if here else ''}", self.text, token.offset)


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while True:
        found = _TOKEN.match(text, place)
        if found is None:
            raise _unreadable(text, place)
        kind = str(found.lastgroup)
        token = _Token(kind, found[kind], found.start(kind))
        yield token._replace(kind="mark") if kind == "path" and token.text in WORDS else token
        if kind == "end":
            return
        place = found.end()


def _unreadable(text: str, place: int) -> BadExpression:
    foreign = _FOREIGN_MARK.match(text, place)
    if foreign:
        what = f"expected {_ELSEWHERE[foreign[1]]}, got: {foreign[1]}"
        return BadExpression(what, text, foreign.start(1))
    offset = place + len(text[place:]) - len(text[place:].lstrip())
    if text[offset] in "'\"":
        return BadExpression(f"expected a text to end with {text[offset]}", text, offset)
    if text[offset] in "{}":
        return BadExpression("expected a path without braces in a condition", text, offset)
    if text[offset] in "+-*/%":
        return BadExpression(
            f"expected a value or a comparison, got: {text[offset]}; there is no arithmetic", text, offset
        )
    return BadExpression(f"expected a value or a comparison, got: {shown(text[offset])}", text, offset)


def _text(whole: str, token: _Token) -> str:
    def meant(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            what = rf"expected \\, \', \", \n or \t, got: {shown(found[0])}"
            raise BadExpression(what, whole, token.offset + 1 + found.start())
        return _ESCAPES[found[1]]

    return _ESCAPE.sub(meant, token.text[1:-1])


def _number(whole: str, token: _Token) -> float:
    found = _NUMBER.fullmatch(token.text)
    if found is None:
        raise BadExpression(f"expected a number, got: {shown(token.text)}", whole, token.offset)
    if found[1] is None and found[2] is None:
        return int(token.text)
    number = float(token.text)
    if not math.isfinite(number):
        raise BadExpression(f"expected a number that fits 64 bits, got: {shown(token.text)}", whole, token.offset)
    return number
