"""A block of lines between two marks in a text of somebody else's, who gets every other character back as it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tasktrail.model.errors import BadInput

BEGIN: Final = "<!-- tasktrail:begin -->"
END: Final = "<!-- tasktrail:end -->"
_MARK: Final = re.compile(rf"^({BEGIN}|{END})[ \t]*(\r?\n|\Z)", re.MULTILINE)

Marks = tuple[re.Match[str], re.Match[str]]


def put(text: str, lines: Sequence[str], name: str) -> str:
    """Return the text with the block in it: in the place of the one that is there, else at its end.

    >>> put("Be kind.", ["Be brief."], "AGENTS.md")
    'Be kind.\\n\\n<!-- tasktrail:begin -->\\nBe brief.\\n<!-- tasktrail:end -->'

    Args:
        name: Of the file, for errors.

    Raises:
        BadInput: Its marks do not enclose one block.
    """
    found = _marks(text, name)
    eol = _line_end(text) if found is None else found[0][2]
    block = eol.join([BEGIN, *lines, END])
    if found is not None:
        return text[: found[0].start()] + block + text[found[1].end(1) :]
    if not text or text.endswith("\n"):
        return f"{text}{eol if text else ''}{block}{eol}"
    return text + eol * 2 + block  # as the text ends without a line end, so does the block, and `take_out` knows


def take_out(text: str, name: str) -> str:
    """Return the text as it was before `put`, with what was written around the block since.

    Raises:
        BadInput: Its marks do not enclose one block.
    """
    found = _marks(text, name)
    if found is None:
        return text
    begin, end = found
    before, eol = text[: begin.start()], begin[2]
    if not end[2]:
        return before.removesuffix(eol).removesuffix(eol)
    blank_above = before.removesuffix(eol).endswith("\n")
    return (before.removesuffix(eol) if blank_above else before) + text[end.end() :]


def _marks(text: str, name: str) -> Marks | None:
    found = list(_MARK.finditer(text))
    if not found:
        return None
    words = [mark[1] for mark in found]
    if words == [BEGIN, END]:
        return found[0], found[1]
    odd = next((place for place, word in enumerate(words) if word != (BEGIN, END)[place % 2]), len(words) - 1)
    line = text.count("\n", 0, found[min(odd, 2)].start()) + 1
    raise BadInput(
        f"{name}:{line}: expected one block from {BEGIN} to {END}, got: {', '.join(words)}",
        hint=f"delete what is left of the block in {name}, then run it again",
    )


def _line_end(text: str) -> str:
    first, newline, _ = text.partition("\n")
    return "\r\n" if newline and first.endswith("\r") else "\n"
