"""What the engine asks of the place of a document, whether it is a file or an object, and what it is told."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from tasktrail.model.errors import BadInput, Conflict

MAX_BYTES: Final = 64 * 1024 * 1024
YOUNG_US: Final = 2_000_000
"""Within this time a second change may leave the same times behind: file systems keep them as coarsely as 2 s (FAT)."""


class Signature(NamedTuple):
    """What tells cheaply that a file changed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Look:
    """A document as it was when it was read or written.

    Args:
        digest: SHA-256 of a file's bytes; of an object what its service calls this content.
        looked_at: Microseconds since 1970, by the clock that files get their times from.
    """

    signature: Signature
    digest: str
    looked_at: int

    @property
    def was_young(self) -> bool:
        """Whether the file had changed so shortly before that a later change may not show in its times."""
        changed_ns = max(self.signature.mtime_ns, self.signature.ctime_ns)
        return self.looked_at - changed_ns // 1000 < YOUNG_US


class Reading(NamedTuple):
    """What stands in a document, with all its line ends and a byte order mark where it has them."""

    text: str
    look: Look


class DocumentPlace(Protocol):
    """Where one document lies. What each of these does in detail, and raises, `DocumentFile` says."""

    @property
    def where(self) -> str:
        """Its path or URL, as messages and rows have it."""
        ...

    def has_folder(self) -> bool:
        """Whether a document could lie there: without its folder it can be neither locked nor written."""
        ...

    def signature(self) -> Signature | None:
        """Return what tells cheaply that it changed; None when there is none."""
        ...

    def recognise(self, look: Look | None) -> Look | None:
        """Return a look when the content is still that of `look`; None when it is another, or it is gone."""
        ...

    def read(self) -> Reading | None:
        """Return what stands in it; None when there is none."""
        ...

    def lock(self, timeout_s: float) -> AbstractContextManager[None]:
        """Keep others away who ask for the lock."""
        ...

    def replace(self, text: str, was: Look | None) -> Look:
        """Under `lock`, put `text` in the place of what `was` read; else raise Overtaken, with nothing changed."""
        ...

    def remove(self) -> None:
        """Under `lock`, remove it; no matter when it is gone already."""
        ...

    def try_again(self, tries: int) -> bool:
        """Whether to go on after being overtaken so many times; where that helps, a little later."""
        ...


class Overtaken(Conflict):
    """Another program changed the document since it was read; it stays as that left it."""

    def __init__(self, place: DocumentPlace) -> None:
        super().__init__(f"{place.where} was changed by another program meanwhile", hint="run it again")
        self.place = place


def text_of(raw: bytes, where: str) -> str:
    """Return the text of a document.

    Raises:
        BadInput: It is no UTF-8; the message has line and column.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise BadInput(f"{where}:{line}:{column}: expected UTF-8 text") from None
