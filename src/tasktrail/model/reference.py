"""References: how people name a run, a task, a cell or a mapped step, and what such a text may mean."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass

from tasktrail.model.errors import BadInput

KINDS = ("plan", "dag", "matrix", "job", "cards")
MAX_KEY_CHARS = 200
MAX_RUN_ID_CHARS = 128
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # for fullmatch: `$` would let a final newline through

_RUN = re.compile(rf"(?:({'|'.join(KINDS)})/)?({RUN_ID.pattern})")
_MAX_INDEX_DIGITS = 9
_MAX_CHARS = len("matrix/") + 128 + len(":/#") + 2 * MAX_KEY_CHARS + _MAX_INDEX_DIGITS

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 60


@dataclass(frozen=True, slots=True)
class Reference:
    """One reading of a reference: a run (`run`), a task in it (`run`, `key`), or a bare key (`key` alone).

    Args:
        run: The run's public id; None for a bare key, to be looked for in open runs, then in all.
        kind: The run's kind where the reference names it (`dag/nightly`).
        key: The task's key; in a matrix its type. None when the run itself is meant.
        item: The matrix item of a cell.
        index: The number of a mapped step, from 0.
    """

    run: str | None
    kind: str | None = None
    key: str | None = None
    item: str | None = None
    index: int | None = None

    def __str__(self) -> str:
        """The text that has this reading.

        >>> str(Reference("A", "matrix", "research", "ch01"))
        'matrix/A:ch01/research'
        """
        run = f"{self.kind}/{self.run}" if self.kind else self.run or ""
        if self.key is None:
            return run
        task = format_task(run, self.key, self.item or "", -1 if self.index is None else self.index)
        return task if run else task[1:]


def check_run_id(text: str) -> str:
    """Return `text` when it may name a run.

    Raises:
        BadInput: For everything else; the value is shown shortened and escaped.
    """
    if _is_text(text) and RUN_ID.fullmatch(text):
        return text
    raise BadInput(
        "expected a run id to be 1-128 characters of A-Z a-z 0-9 . _ -, starting with a letter or digit, "
        f"got: {_shortened.repr(text)}"
    )


def check_key(text: str, what: str = "key") -> str:
    """Return `text` when it may name a task or an item: 1-200 printable characters.

    Blanks inside are fine; one at either end is refused, since nobody sees it in a list and a shell drops it.
    Printable is `str.isprintable`: no line breaks, tabs, control, invisible or direction-changing characters.

    Args:
        what: The word for it in the error message: key, item, type.

    Raises:
        BadInput: For everything else; the value is shown shortened and escaped.
    """
    if _is_text(text) and _is_key(text):
        return text
    article = "an" if what[:1] in "aeiou" else "a"
    raise BadInput(
        f"expected {article} {what} to be 1-{MAX_KEY_CHARS} printable characters without a blank at either end, "
        f"got: {_shortened.repr(text)}"
    )


def format_task(run: str, key: str, item: str = "", index: int = -1) -> str:
    """Write a task's reference. Nothing is checked: it is called for every listed task.

    >>> format_task("A", "T1"), format_task("A", "research", "ch01"), format_task("A", "parse", index=2)
    ('A:T1', 'A:ch01/research', 'A:parse#2')
    """
    if not item and index < 0:
        return f"{run}:{key}"
    if index < 0:
        return f"{run}:{item}/{key}"
    return f"{run}:{item}/{key}#{index}" if item else f"{run}:{key}#{index}"


def cell_name(item: str, key: str) -> str:
    """Return how a matrix names one of its cells.

    >>> cell_name("ch01", "research"), cell_name("", "blog_post")
    ('ch01/research', 'blog_post')
    """
    return f"{item}/{key}" if item else key


def parse_run(text: str) -> Reference:
    """Read a text that can only mean a run: `ID` or `KIND/ID`.

    >>> parse_run("dag/nightly")
    Reference(run='nightly', kind='dag', key=None, item=None, index=None)

    Raises:
        BadInput: When it is neither.
    """
    kind, slash, run = text.rpartition("/")
    if slash and kind not in KINDS:
        raise BadInput(f"expected a run's kind to be one of {', '.join(KINDS)}, got: {_shortened.repr(kind)}")
    return Reference(check_run_id(run), kind or None)


def readings(text: str) -> list[Reference]:
    """All that a reference may mean, the preferred reading first; the store knows which of them exists.

    The text splits at its first `:` when a run stands before it. The rest is read as split as possible first, so a
    cell or a mapped step that exists wins over a key that merely looks like one:

    >>> def show(text):
    ...     for r in readings(text):
    ...         print(f"run={r.run} item={r.item} key={r.key} index={r.index}")
    >>> show("A:ch01/research")
    run=A item=ch01 key=research index=None
    run=A item=None key=ch01/research index=None
    >>> show("A:parse#2")
    run=A item=None key=parse index=2
    run=A item=None key=parse#2 index=None

    With both marks the index goes first. The last `/` goes before the others, which are tried so that each task's
    reference leads back to it, whatever its item and type are called:

    >>> show("A:a/b/c#0")
    run=A item=a/b key=c index=0
    run=A item=a key=b/c index=0
    run=A item=None key=a/b/c index=0
    run=A item=a/b key=c#0 index=None
    run=A item=a key=b/c#0 index=None
    run=A item=None key=a/b/c#0 index=None

    Without a run before a `:`, the text is a run, then a bare task read in the same order:

    >>> show("T1")
    run=T1 item=None key=None index=None
    run=None item=None key=T1 index=None
    >>> show("dag/nightly")
    run=nightly item=None key=None index=None
    run=None item=dag key=nightly index=None
    run=None item=None key=dag/nightly index=None
    >>> show("fix: typo")
    run=None item=None key=fix: typo index=None

    Returns:
        At least one reading.

    Raises:
        BadInput: When no reading is possible.
    """
    if len(text) > _MAX_CHARS:
        raise BadInput(f"expected a reference to be at most {_MAX_CHARS} characters, got: {_shortened.repr(text)}")
    before, colon, after = text.partition(":")
    run = _RUN.fullmatch(before)
    # A blank after the colon is prose ("fix: typo"), no key: such a text is one bare key.
    if colon and run and not after.startswith(" "):
        return list(_tasks(after, run[2], run[1])) or [Reference(run[2], run[1], check_key(after))]
    whole = [Reference(run[2], run[1])] if run and not colon else []
    return [*whole, *_tasks(text)] or [Reference(None, key=check_key(text))]


def _tasks(text: str, run: str | None = None, kind: str | None = None) -> Iterator[Reference]:
    """The readings of what stands after a run's colon, or of a bare task."""
    body, mark, digits = text.rpartition("#")
    if mark and _is_index(digits):
        yield from _cells(body, run, kind, int(digits))
    yield from _cells(text, run, kind, None)


def _cells(text: str, run: str | None, kind: str | None, index: int | None) -> Iterator[Reference]:
    slash = text.rfind("/")
    while slash > 0:
        item, key = text[:slash], text[slash + 1 :]
        if _is_key(item) and _is_key(key):
            yield Reference(run, kind, key, item, index)
        slash = text.rfind("/", 0, slash)
    if _is_key(text):
        yield Reference(run, kind, text, None, index)


def _is_text(value: object) -> bool:
    """Untyped callers (JSON, YAML) bring anything; to the type checker it is text already."""
    return isinstance(value, str)


def _is_key(text: str) -> bool:
    return 0 < len(text) <= MAX_KEY_CHARS and text.isprintable() and text[0] != " " and text[-1] != " "


def _is_index(digits: str) -> bool:
    """Written as we write it: no sign, no leading zero, so that each mapped step has one reference."""
    return digits.isascii() and digits.isdigit() and len(digits) <= _MAX_INDEX_DIGITS and str(int(digits)) == digits
