"""JSON values written as YAML: in lines of their own, or between braces and brackets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tasktrail.formats.yaml_load import LINE_END, MAX_DEPTH
from tasktrail.formats.yaml_scalars import written, written_key
from tasktrail.model.errors import BadInput

__all__ = ["Broken", "Manner", "block", "dump", "flow", "flow_pair"]

_JSON: Final = re.compile(r"[\s\[]*(?:\{\s*|\[\s*)\"")
_COMPACT_COLON: Final = re.compile(r'[\s\[]*\{\s*"[^"\\]*":(?! )')
_NESTED: Final = re.compile(
    r"^( *)[^\s#-][^\n\r]*:[ \t]*(?:#[^\n\r]*)?\r?\n(?:[ \t]*\r?\n| *#[^\n\r]*\r?\n)*+\1( +)[^\s#-]", re.MULTILINE
)
_LIST_BELOW_KEY: Final = re.compile(r"^( *)[^\s#-][^\n\r]*:[ \t]*\r?\n\1- ", re.MULTILINE)
_NEWLINES: Final = ("\n", "\r\n", "\r")


class Manner:
    """How a text is written, which what is added to it follows."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.is_json = _JSON.match(text) is not None
        """Whether it is in JSON's notation, or nearly: texts have double quotes then, whatever they are."""

    @cached_property
    def newline(self) -> str:
        """The end of a line."""
        found = LINE_END.search(self._text)
        return found[0] if found and found[0] in _NEWLINES else "\n"

    @cached_property
    def unit(self) -> int:
        """How much deeper a mapping in block style stands than its key."""
        found = _NESTED.search(self._text)
        return len(found[2]) if found else 2

    @cached_property
    def list_unit(self) -> int:
        """How much deeper a list in block style stands than its key."""
        return 0 if _LIST_BELOW_KEY.search(self._text) else self.unit

    @cached_property
    def colon(self) -> str:
        """What stands between a key and a value in flow style."""
        return ":" if _COMPACT_COLON.match(self._text) else ": "

    @property
    def comma(self) -> str:
        """What stands between two members in flow style that share a line."""
        return ", " if self.colon.endswith(" ") else ","

    @property
    def quotes(self) -> str:
        """The quotes of a text that had none before."""
        return '"' if self.is_json else ""


def dump(value: object) -> str:
    """Return a value as a YAML text: block style, indented by 2, with a final newline.

    >>> print(dump({"items": {"A": {"tags": ["x", "no"], "at": None}}}), end="")
    items:
      A:
        tags:
          - x
          - "no"
        at: null

    Raises:
        BadInput: It is no JSON value: another type, NaN, half of a surrogate pair, an empty key, a key over 1,000
            characters, or nested deeper than 64.
    """
    return "".join(f"{line}\n" for line in block(value, 0, Manner(""), 0))


def block(value: object, indent: int, manner: Manner, depth: int) -> list[str]:
    """Return the lines of a value, without their ends.

    Args:
        indent: The column in which it stands.
        depth: How many lists and mappings it is in.
    """
    if not isinstance(value, dict | list | tuple) or not value:
        return [" " * indent + flow(value, manner, depth)]
    lines: list[str] = []
    _write_block(value, " " * indent, " " * indent, manner, depth, lines)
    return lines


def _write_block(
    value: dict[object, object] | list[object] | tuple[object, ...],
    lead: str,
    indent: str,
    manner: Manner,
    depth: int,
    lines: list[str],
) -> None:
    """Add the lines of a list or a mapping that is not empty; `lead` is what stands before its first one."""
    _check_depth(depth)
    if isinstance(value, dict):
        for key, inner in value.items():
            name = f"{lead}{written_key(key)}:"
            if isinstance(inner, dict | list | tuple) and inner:
                lines.append(name)
                deeper = indent + " " * (manner.unit if isinstance(inner, dict) else manner.list_unit)
                _write_block(inner, deeper, deeper, manner, depth + 1, lines)
            else:
                lines.append(f"{name} {flow(inner, manner, depth + 1)}")
            lead = indent
        return
    for item in value:
        if isinstance(item, dict | list | tuple) and item:
            _write_block(item, f"{lead}- ", f"{indent}  ", manner, depth + 1, lines)
        else:
            lines.append(f"{lead}- {flow(item, manner, depth + 1)}")
        lead = indent


@dataclass(frozen=True, slots=True)
class Broken:
    """That the members of a value in flow style have lines of their own.

    Args:
        indent: Of the line that the value begins in.
        unit: What a member has more of it.
    """

    indent: str
    unit: str

    @property
    def deeper(self) -> Broken:
        """The same for a member."""
        return Broken(self.indent + self.unit, self.unit)


def flow(value: object, manner: Manner, depth: int, broken: Broken | None = None, *, inside: bool = False) -> str:
    """Return a value in one line, or in several if it shall be broken.

    Args:
        depth: How many lists and mappings it is in.
        inside: Whether it stands between braces or brackets.
    """
    if isinstance(value, dict | list | tuple):
        _check_depth(depth)
        return _flow_of(value, manner, depth + 1, broken)
    return written(value, manner.quotes, in_flow=inside)


def flow_pair(key: object, value: object, manner: Manner, depth: int, broken: Broken | None) -> str:
    """Return a member of a mapping in flow style."""
    text = flow(value, manner, depth, broken, inside=True)
    return f"{written_key(key, manner.quotes, in_flow=True)}{manner.colon}{text}"


def _flow_of(
    value: dict[object, object] | list[object] | tuple[object, ...], manner: Manner, depth: int, broken: Broken | None
) -> str:
    deeper = broken.deeper if broken else None
    if isinstance(value, dict):
        opening, closing = "{}"
        members = [flow_pair(key, inner, manner, depth, deeper) for key, inner in value.items()]
    else:
        opening, closing = "[]"
        members = [flow(inner, manner, depth, deeper, inside=True) for inner in value]
    if not members or deeper is None or broken is None:
        return f"{opening}{manner.comma.join(members)}{closing}"
    gap = f"{manner.newline}{deeper.indent}"
    return f"{opening}{gap}{f',{gap}'.join(members)}{manner.newline}{broken.indent}{closing}"


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise BadInput(f"expected at most {MAX_DEPTH} levels of nesting")
