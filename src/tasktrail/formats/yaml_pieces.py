"""Pieces of a YAML text that are replaced, and the text that comes of it."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final, NamedTuple

import yaml

from tasktrail.formats.yaml_chart import BLOCK_SCALARS, Chart
from tasktrail.formats.yaml_load import LINE_END
from tasktrail.formats.yaml_values import PAIR, end_of, start_of

__all__ = ["Pieces"]

_LINE_ENDS: Final = "\n\r\x85\u2028\u2029"
_COMMENT_LINE: Final = re.compile(rf"( *)#[^{_LINE_ENDS}]*+(?:\r\n|[{_LINE_ENDS}]|\Z)")
_BLANK_LINES: Final = re.compile(rf"(?:[ \t]*+(?:\r\n|[{_LINE_ENDS}]))*+(?:[ \t]+\Z)?")
_IDLE_LINE: Final = re.compile(rf" *+(\t[ \t]*+)?(?:#[^{_LINE_ENDS}]*+)?(?:\r\n|[{_LINE_ENDS}]|\Z)")


class _Piece(NamedTuple):
    start: int
    end: int
    text: str
    is_lines: bool


class Pieces:
    """Collects replacements of spans of a text; they never overlap.

    Args:
        original: The text that is edited. That of the chart may have shorter escapes; the places are places there.
        newline: The end of a line.
    """

    def __init__(self, original: str, chart: Chart, newline: str) -> None:
        self.text = chart.text
        self._original = original
        self._newline = newline
        self._block_ends = {end_of(event).index for event in chart.blocks}
        # Two characters are lost with each pair of escapes.
        pairs = PAIR.finditer(original) if len(original) != len(chart.text) else ()
        self._pairs = [pair.start(2) - 2 - 2 * at for at, pair in enumerate(pairs)]
        self._has_tabs = "\t" in chart.text
        self._pieces: list[_Piece] = []

    def put(self, start: int, end: int, text: str) -> None:
        """Replace a span."""
        if text or start != end:
            self._pieces.append(_Piece(start, end, text, is_lines=False))

    def put_lines(self, at: int, lines: str) -> None:
        """Insert whole lines before the line that begins here, or behind the last one."""
        if lines:
            self._pieces.append(_Piece(at, at, lines, is_lines=True))

    def next_line(self, at: int) -> int:
        """Return where the next line begins; the end of the text when there is none."""
        found = LINE_END.search(self.text, at)
        return found.end() if found else len(self.text)

    def rest_of_line(self, at: int) -> str:
        """Return what stands in the line from here."""
        found = LINE_END.search(self.text, at)
        return self.text[at : found.start() if found else None]

    def after(self, last: yaml.Event, column: int | None = None) -> int:
        """Return the beginning of the line behind a value that ends with this event.

        Args:
            column: Lines of comment that are deeper are part of it; None for none.
        """
        at = self._behind(last)
        while column is not None and (comment := _COMMENT_LINE.match(self.text, at)) and len(comment[1]) > column:
            at = comment.end()
        return at

    def _behind(self, last: yaml.Event) -> int:
        start, end = start_of(last).index, end_of(last).index
        if not isinstance(last, yaml.ScalarEvent) or last.style not in BLOCK_SCALARS:
            return self.next_line(end)
        lines = self.text[start:end]
        if "+" in lines[:3]:
            return end  # the empty lines behind are part of the text
        return min(self.next_line(start + len(lines.rstrip("\r\n"))), end)

    def result(self) -> str | None:
        """Return the text with the pieces in it; None when there are none."""
        if not self._pieces:
            return None
        pieces = sorted(self._pieces, key=lambda piece: piece[:2])
        out = _Output(self._newline)
        at, bare = 0, False
        for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
            out.add(self._original[self._place(at) : self._place(max(at, piece.start))])
            # A block scalar that the lines were cut off behind must not take the empty lines that follow them.
            bare = not piece.text and (piece.start in self._block_ends or (bare and piece.start <= at))
            out.add(piece.text, is_lines=piece.is_lines)
            at = max(at, piece.end)
            if bare:
                at = _BLANK_LINES.match(self.text, at).end()  # type: ignore[union-attr]  # it matches the empty text
            elif self._has_tabs:
                at = self._without_tabs(at, len(self.text) if following is None else following.start, out)
            if self.text[at : at + 1] == "#":
                out.add_blank()
        ends_open = bool(self.text) and self.text[-1] not in _LINE_ENDS and at == len(self.text)
        out.add(self._original[self._place(at) :])
        return out.result(drop_newline=ends_open and bool(pieces[-1].text))

    def _place(self, at: int) -> int:
        """Return the place in the original text."""
        return at + 2 * bisect_left(self._pairs, at) if self._pairs else at

    def _without_tabs(self, at: int, limit: int, out: _Output) -> int:
        """Leave out tabs at the beginning of empty lines and comments that follow: only plain scalars permit them."""
        line = at if at == 0 or self.text[at - 1] in _LINE_ENDS else self.next_line(at)
        while line < limit and (idle := _IDLE_LINE.match(self.text, line)):
            if idle[1]:
                out.add(self._original[self._place(at) : self._place(idle.start(1))])
                at = idle.end(1)
            line = idle.end()
        return at


class _Output:
    """The parts of the new text."""

    def __init__(self, newline: str) -> None:
        self._newline = newline
        self._parts: list[str] = []

    def add(self, part: str, *, is_lines: bool = False) -> None:
        if not part:
            return
        last = self._parts[-1][-1] if self._parts else "\n"
        if is_lines and last not in _LINE_ENDS:
            self._parts.append(self._newline)
        elif last == ":" and part[0] in ",]}":
            self._parts.append(" ")  # `{a: }` has nothing behind the colon, and needs the blank
        self._parts.append(part)

    def add_blank(self) -> None:
        """Part a comment from what stands before it."""
        if self._parts and not self._parts[-1][-1].isspace():
            self._parts.append(" ")

    def result(self, *, drop_newline: bool) -> str:
        text = "".join(self._parts)
        return text.removesuffix(self._newline) if drop_newline else text
