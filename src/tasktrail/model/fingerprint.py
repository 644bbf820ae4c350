"""A fingerprint: what failures have in common that are one and the same error, however often and wherever it happens.

It is made of the chain of causes, outermost first: of each exception its type, and the functions of the user's own code
that it went through. Lines, addresses, folders and messages are left out, so it stays the same on other machines, in
other processes, when lines are added, and from Python 3.11 to 3.14. What has no stack is told by its type and by its
message, with placeholders for what differs each time.

`fp1` is the version: other rules get another number, so that old fingerprints keep what they mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Final, NamedTuple

__all__ = ["FINGERPRINT", "fingerprint_of_exception", "fingerprint_of_place", "fingerprint_of_text"]

FINGERPRINT: Final = r"fp\d+:[0-9a-f]{16}"
"""A regular expression. Like the others it is compiled when it is needed: most commands never do."""

_VERSION: Final = "fp1"
_DIGITS: Final = 16
_MOST_STEPS: Final = 100_000
"""Exceptions and frames of one failure that are looked at."""
_MOST_LINKS: Final = 50
"""Distinct exceptions that count, from the root; of a group, how many of those that it holds."""
_MOST_FRAMES: Final = 50
"""Distinct functions that count, from the one that failed."""
_DEEPEST_GROUP: Final = 5
_FOREIGN_FRAMES: Final = 5
"""How many of the last frames tell a failure in which there is none of the user's own."""
_LONGEST_MESSAGE: Final = 1_000
_LONGEST_TEXT: Final = 200_000

_OURS: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - texts are compared, no files
_STDLIB: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120
_FOREIGN: Final = (
    r"(?i:[\\/](?:site|dist)-packages[\\/]"
    r"|[\\/]lib(?:64)?[\\/](?:python|pypy)\d[\d.]*t?[\\/]"  # the standard library, also of another machine
    r"|[\\/]Python\d+(?:-\d+)?[\\/]Lib[\\/]"
    r"|[\\/]python\d+\.zip[\\/])"
)
_INLINED: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})
"""Frames that some versions of Python have and others have not."""
_MAINS: Final = frozenset({"__main__", "__mp_main__"})


class _Frame(NamedTuple):
    """One function that an exception went through; our own ones are none."""

    module: str
    function: str
    is_own: bool


class _Link(NamedTuple):
    """One exception of a chain; a group has what it holds."""

    type: str
    frames: tuple[_Frame, ...]
    held: tuple[str, ...] = ()


def fingerprint_of_exception(error: BaseException, message: str) -> str:
    """Return the fingerprint of an exception. Nothing of the exception's own code is called.

    Args:
        message: What it says, in case nothing else tells it from others.
    """
    links = _links(error, iter(range(_MOST_STEPS)), set(), 0)
    return _of_links(links) or _of_words(_type_name(error), message)


def fingerprint_of_text(text: str, type_name: str, message: str) -> str:
    """Return the fingerprint of what somebody or something says of a failure.

    Args:
        text: A traceback of Python may stand anywhere in it; the names of its files stand for modules.
        type_name: With the message it tells a failure of which the text has no traceback.
    """
    return _of_links(_told_links(text[-_LONGEST_TEXT:])) or _of_words(type_name, message)


def fingerprint_of_place(type_name: str, place: str) -> str:
    """Return the fingerprint of a failure of which only the place is known: a time-out, a death, silence."""
    return _digest(["place", type_name, place])


# exceptions: what Python itself keeps of them is read past all attributes and properties of their own

_CAUSE: Final = BaseException.__dict__["__cause__"]
_CONTEXT: Final = BaseException.__dict__["__context__"]
_SUPPRESSED: Final = BaseException.__dict__["__suppress_context__"]
_TRACEBACK: Final = BaseException.__dict__["__traceback__"]
_HELD: Final = BaseExceptionGroup.__dict__["exceptions"]
_TYPE_NAME: Final = type.__dict__["__name__"]


def _links(error: BaseException, steps: Iterator[int], seen: set[int], depth: int) -> list[_Link]:
    """Return the chain of causes, outermost first; of links that are alike the last, so that the root always counts."""
    links: dict[_Link, None] = {}
    one: BaseException | None = error
    for _ in steps:
        if one is None or id(one) in seen:
            break
        seen.add(id(one))
        link = _Link(_type_name(one), _frames(_TRACEBACK.__get__(one), steps), _held(one, steps, seen, depth))
        links.pop(link, None)
        links[link] = None
        one = _cause(one)
    return list(links)[-_MOST_LINKS:]


def _cause(error: BaseException) -> BaseException | None:
    cause: BaseException | None = _CAUSE.__get__(error)
    if cause is None and not _SUPPRESSED.__get__(error):
        cause = _CONTEXT.__get__(error)
    return cause


def _held(error: BaseException, steps: Iterator[int], seen: set[int], depth: int) -> tuple[str, ...]:
    """Return the fingerprints of what a group holds: how often and in which order does not matter."""
    if not issubclass(type(error), BaseExceptionGroup) or depth >= _DEEPEST_GROUP:
        return ()
    inner = (_links(one, steps, set(seen), depth + 1) for one in _HELD.__get__(error)[:_MOST_LINKS])
    return tuple(sorted({_of_links(links) or links[0].type for links in inner if links}))


def _type_name(error: BaseException) -> str:
    return str(_TYPE_NAME.__get__(type(error)))


def _frames(traceback: TracebackType | None, steps: Iterator[int]) -> tuple[_Frame, ...]:
    """Return the functions of a traceback, each where it stands last: so the depth of a recursion does not matter."""
    frames: dict[_Frame, None] = {}
    for _ in steps:
        if traceback is None:
            break
        code = traceback.tb_frame.f_code
        name = dict.get(traceback.tb_frame.f_globals, "__name__")
        _put(frames, _frame(code.co_filename, code.co_name, name if type(name) is str else None))
        traceback = traceback.tb_next
    return tuple(frames)[-_MOST_FRAMES:]


def _put(frames: dict[_Frame, None], frame: _Frame | None) -> None:
    if frame is not None:
        frames.pop(frame, None)
        frames[frame] = None


@lru_cache(maxsize=4096)
def _frame(file: str, function: str, module: str | None) -> _Frame | None:
    """Return a frame as it is compared; None for one of our own, and where only some versions of Python have one."""
    if function in _INLINED or file.startswith(_OURS):
        return None
    is_own = not (file.startswith(("<frozen", _STDLIB)) or re.search(_FOREIGN, file))
    return _Frame(_stem(file) if module is None or module in _MAINS else module, function, is_own)


def _stem(file: str) -> str:
    """Return the name of a file without its ending, of a package that of its folder: what its module would be called.

    What was typed into an interpreter has no file, and in a notebook another one each time.
    """
    if file.startswith("<") or "ipykernel" in file:
        return "__main__"
    folder, _, name = file.replace("\\", "/").rpartition("/")
    stem = name.rpartition(".")[0] or name
    return folder.rpartition("/")[2] if stem in ("__init__", "__main__") else stem


# tracebacks that are a text: the root is printed first

_TITLE: Final = "Traceback (most recent call last):"
_HELD_TITLE: Final = "+-+---------------- 1 ----------------"
_FRAME_LINE: Final = r'\s*File "([^"]*)", line \d+, in (\S+)'
_TYPE_LINE: Final = r"[^\s:]+"
_MARGIN: Final = r"^ *[|+] "
"""What stands before each line of a group."""


def _told_links(text: str) -> list[_Link]:
    """Return the exceptions of a text, outermost first; those of a group in an order of their own."""
    is_group = _HELD_TITLE in text
    links: list[_Link] = []
    frames: dict[_Frame, None] | None = None
    indent = ""
    for whole in text.splitlines():
        line = re.sub(_MARGIN, "", whole) if is_group else whole.removeprefix(indent)
        if line.endswith(_TITLE):
            frames, indent = {}, whole.removesuffix(whole.lstrip())
        elif frames is None:
            continue
        elif found := re.match(_FRAME_LINE, line):
            _put(frames, _frame(found[1], found[2], None))
        elif named := re.match(_TYPE_LINE, line):
            links.append(_Link(named[0].rpartition(".")[2], tuple(frames)[-_MOST_FRAMES:]))
            frames = None
    distinct = [*dict.fromkeys(links)][:_MOST_LINKS]
    return sorted(distinct) if is_group else distinct[::-1]


# from parts to a fingerprint


def _of_links(links: Sequence[_Link]) -> str | None:
    """Return the fingerprint of a chain; None where no function is known that any of it went through."""
    if not any(link.frames or link.held for link in links):
        return None
    only_own = any(link.held for link in links) or any(frame.is_own for link in links for frame in link.frames)
    return _digest(["chain", [[link.type, _shown(link.frames, only_own=only_own), link.held] for link in links]])


def _shown(frames: Sequence[_Frame], *, only_own: bool) -> list[tuple[str, str]]:
    shown = [(frame.module, frame.function) for frame in frames if frame.is_own or not only_own]
    return shown if only_own else shown[-_FOREIGN_FRAMES:]


def _of_words(type_name: str, message: str) -> str:
    return _digest(["words", type_name, _template(message)])


def _digest(parts: object) -> str:
    text = json.dumps(parts, separators=(",", ":"))
    return f"{_VERSION}:{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


_DIFFERING: Final = (
    r"(?P<mail>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8})"
    r"|(?P<value>(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|`[^`\n]*`)"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<path>(?:\w+:)?[\w.~-]*(?:[\\/]+[\w.~%+@=?&#-]+)+[\\/]?)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b)"
    r"|(?P<number>\d+(?:[.,:]\d+)*)"
)
"""What differs each time in a message. It is read in a text of limited length, so no repetition needs a bound."""


def _template(message: str) -> str:
    text = re.sub(_DIFFERING, lambda found: f"<{found.lastgroup}>", message[:_LONGEST_MESSAGE])
    return " ".join(text.split())
