"""What one attempt prints, on its way to the store: whole lines, scrubbed, and of too many both ends."""

from __future__ import annotations

import io
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from tasktrail.engine.output import KEPT_AT_EACH_END, Piece

STDOUT: Final = 1
STDERR: Final = 2

_LONGEST_LINE: Final = 64 * 1024
_LARGEST_PIECE: Final = 64 * 1024
_LONGEST_WORD: Final = 4 * 1024
_BREAK: Final = re.compile(r"[^\w.+/=~-]")
_KEY_BODY: Final = re.compile(r"(?:[ \t]*+[0-9A-Za-z+/=\\]*+\n|[A-Z][\w-]*+: [^\n]*+\n)*+(-----END [^\n]*+\n)?")
"""The lines of a private key, as far as they are one; headers may stand in front."""

Clean = Callable[[str], str]
"""Scrubs a text of whole lines."""


class LineJoiner:
    """Puts whole lines together from what one stream brings, and scrubs them.

    A carriage return ends a line too: progress bars draw over themselves with it.
    """

    __slots__ = ("_clean", "_dropped", "_inside_key", "_newlines", "_rest", "_skips", "left_out")

    def __init__(self) -> None:
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._rest = ""
        self._skips = False
        self._dropped = 0
        self._inside_key = False
        self.left_out = 0
        """Characters of a line too long that are not kept, since somebody last set it to 0."""

    def feed(self, text: str) -> str:
        """Take what came, and return the lines that are whole; the end of a line that is too long is left out."""
        text = self._newlines.decode(text)
        self.left_out, self._dropped = self.left_out + self._dropped, 0
        if self._skips:
            line, newline, text = text.partition("\n")
            self.left_out += len(line)
            self._skips = not newline
        whole, newline, self._rest = (self._rest + text).rpartition("\n")
        return whole + newline + (self._cut() if len(self._rest) > _LONGEST_LINE else "")

    def end(self) -> str:
        """Return the line that has no end yet, with one."""
        rest, self._rest = self._rest + self._newlines.decode("", final=True), ""
        return rest if not rest or rest.endswith("\n") else f"{rest}\n"

    def _cut(self) -> str:
        """Never within a word: half of a secret would not be known as one."""
        breaks = list(_BREAK.finditer(self._rest, _LONGEST_LINE - _LONGEST_WORD, _LONGEST_LINE))
        at = breaks[-1].start() if breaks else _LONGEST_LINE
        line, self._dropped = self._rest[:at], len(self._rest) - at
        self._rest, self._skips = "", True
        return f"{line}\n"

    def without_keys(self, lines: str) -> str:
        """Return these whole lines without what belongs to a private key that begins or ends elsewhere.

        A key has many lines, and they need not come together; its heading stays, for the scrubber to name.
        """
        if self._inside_key:
            body = _KEY_BODY.match(lines)
            assert body is not None  # it matches nothing too
            self._inside_key = body.end() == len(lines) and not body[1]
            lines = lines[body.end() :]
        at = lines.rfind("-----BEGIN ")
        if at < 0 or "PRIVATE KEY" not in (heading := lines[at : lines.find("\n", at) + 1]):
            return lines
        body = _KEY_BODY.match(lines, at + len(heading))
        if body is None or body.end() < len(lines) or body[1]:
            return lines
        self._inside_key = True
        return lines[: at + len(heading)]


@dataclass(slots=True)
class _Block:
    """Whole lines that came together from one stream; scrubbed when they are shown or stored, else never."""

    position: int
    length: int
    stream: int
    text: str
    clean: bool = False

    def scrub(self, clean: Clean) -> str:
        if not self.clean:
            self.text, self.clean = clean(self.text), True
        return self.text

    def marked(self, clean: Clean) -> str:
        text = self.scrub(clean)
        return "".join([f"{self.stream}{line}\n" for line in text.removesuffix("\n").split("\n")]) if text else ""


class Printed:
    """The output of one attempt. Any thread may write.

    Args:
        clean: Scrubs a text.
        say: Shows a scrubbed line at once; None shows nothing.
    """

    __slots__ = ("_attempt", "_clean", "_ended", "_head", "_joiners", "_lock", "_position", "_say", "_tail",
                 "_tail_chars", "_task_id", "_unstored")  # fmt: skip

    def __init__(self, task_id: int, attempt: int, clean: Clean, say: Callable[[str], None] | None = None) -> None:
        self._task_id = task_id
        self._attempt = attempt
        self._clean = clean
        self._say = say
        self._lock = threading.Lock()
        self._joiners: dict[int, LineJoiner] = {}
        self._head: list[_Block] = []
        self._tail: deque[_Block] = deque()
        self._tail_chars = 0
        self._position = 0
        self._unstored: list[Piece] = []
        self._ended = False

    def write(self, stream: int, text: str) -> None:
        """Take what was printed; after the end it is shown alone."""
        with self._lock:
            joiner = self._joiners.get(stream) or self._joiners.setdefault(stream, LineJoiner())
            blocks = [
                block
                for at in range(0, len(text), _LARGEST_PIECE)
                if (block := self._block(stream, joiner, joiner.feed(text[at : at + _LARGEST_PIECE])))
            ]
        self._show(blocks)

    def pieces(self) -> list[Piece]:
        """Return what is to be stored: whole lines that came since `stored` was called."""
        with self._lock:
            self._unstored += self._cut()
            return list(self._unstored)

    def stored(self, pieces: list[Piece]) -> None:
        """The pieces are in the store."""
        with self._lock:
            del self._unstored[: len(pieces)]

    def end(self) -> list[Piece]:
        """Return all that is not stored yet, unfinished lines too; the attempt is over."""
        if not self._joiners:  # it printed nothing, as most do
            self._ended = True
            return []
        with self._lock:
            joiners = self._joiners.items()
            blocks = [block for number, one in joiners if (block := self._block(number, one, one.end()))]
            self._unstored += self._cut()
            self._ended = True
            pieces, self._unstored = self._unstored, []
        self._show(blocks)
        return pieces

    def _block(self, stream: int, joiner: LineJoiner, lines: str) -> _Block | None:
        self._position, joiner.left_out = self._position + joiner.left_out, 0
        if not lines:
            return None
        block = _Block(self._position, len(lines), stream, joiner.without_keys(lines))
        self._position += block.length
        if self._say is not None:
            block.scrub(self._clean)
        if not self._ended:
            self._keep(block)
        return block

    def _keep(self, block: _Block) -> None:
        if block.position < KEPT_AT_EACH_END:
            self._head.append(block)
            return
        self._tail.append(block)
        self._tail_chars += block.length
        while self._tail_chars - self._tail[0].length >= KEPT_AT_EACH_END:
            self._tail_chars -= self._tail.popleft().length

    def _cut(self) -> Iterator[Piece]:
        """Make pieces of the blocks that wait; where something was left out in between, a new one begins."""
        waiting = [*self._head, *self._tail]
        self._head.clear()
        self._tail.clear()
        self._tail_chars = 0
        together: list[_Block] = []
        for block in waiting:
            last = together[-1] if together else block
            if together and (
                block.position > last.position + last.length
                or block.position + block.length - together[0].position > _LARGEST_PIECE
            ):
                yield self._piece(together)
                together = []
            together.append(block)
        if together:
            yield self._piece(together)

    def _piece(self, blocks: list[_Block]) -> Piece:
        start, length = blocks[0].position, blocks[-1].position + blocks[-1].length - blocks[0].position
        lines = "".join([block.marked(self._clean) for block in blocks])
        return Piece(self._task_id, self._attempt, start, length, lines)

    def _show(self, blocks: list[_Block]) -> None:
        if self._say is None:
            return
        for block in blocks:
            for line in block.text.removesuffix("\n").split("\n") if block.text else ():
                self._say(line)


printing: Final[ContextVar[Printed | None]] = ContextVar("tasktrail_printing", default=None)
"""The output of the attempt that the present code belongs to."""
