"""The files of attached documents: looked at cheaply, locked, read, and replaced whole or not at all.

This room knows no format. What a file says is its codec's business, and what follows from it the ledger's.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasktrail.model.errors import BadInput, Busy, StoreError
from tasktrail.store.locks import sync_folder
from tasktrail.store.places import MAX_BYTES, DocumentPlace, Look, Overtaken, Reading, Signature, text_of
from tasktrail.store.transaction import Transaction

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Document", "DocumentFile", "Documents", "found_below", "place_of", "write_new"]

_POLL_S: Final = 0.01
_HINT: Final = "check that its folder exists and is writable"
_TRIES: Final = 5
_OBJECTS: Final = frozenset({"s3", "gs", "az"})
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://")


class DocumentFile:
    """One document's file. Links are followed once, so that a document has one name and a link stays a link.

    Args:
        path: Of the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.path = Path(os.path.realpath(path))
        except ValueError as error:
            raise BadInput(f"expected a file's path, got: {str(path)[:80]!r} ({error})") from None
        self._lock: BaseFileLock | None = None
        self._is_removed = False

    @property
    def where(self) -> str:
        """Its path."""
        return str(self.path)

    # looking

    def has_folder(self) -> bool:
        """Whether its folder exists."""
        return self.path.parent.is_dir()

    def signature(self) -> Signature | None:
        """Return the file's present signature, None when there is no file.

        Raises:
            StoreError: It cannot be looked at, or it is no regular file.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("cannot be read", error) from None
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{self.path} is no regular file", hint="name a file")
        return _signature(found)

    def recognise(self, look: Look | None) -> Look | None:
        """Return a fresh look when the content is still that of `look`; None when it is another, or the file is gone.

        Equal signatures are enough unless the file was young when last looked at; then, and where only its times
        moved, the content decides.

        Raises:
            StoreError: The file cannot be read.
        """
        signature = self.signature()
        if look is None or signature is None or signature.size != look.signature.size:
            return None
        if signature == look.signature and not look.was_young:
            return look
        found = self._read_bytes()
        return found[1] if found and found[1].digest == look.digest else None

    def read(self) -> Reading | None:
        """Return what stands in the file; None when there is none.

        Raises:
            StoreError: It cannot be read.
            BadInput: It is no UTF-8 text, or larger than 64 MiB.
        """
        if self.signature() is None:
            return None
        found = self._read_bytes()
        if found is None:
            return None
        raw, look = found
        return Reading(text_of(raw, self.where), look)

    def _read_bytes(self) -> tuple[bytes, Look] | None:
        try:
            with self.path.open("rb") as file:
                # The signature comes first: what is written while we read makes the next look differ.
                signature = _signature(os.fstat(file.fileno()))
                if signature.size > MAX_BYTES:
                    raise BadInput(f"{self.path}: expected at most {MAX_BYTES:,} bytes, got: {signature.size:,}")
                looked_at = _now()
                raw = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("cannot be read", error) from None
        return raw, Look(signature, _digest(raw), looked_at)

    # writing

    @contextmanager
    def lock(self, timeout_s: float) -> Iterator[None]:
        """Keep every other process and thread of ours from changing the file; `<file>.lock` stays beside it.

        Raises:
            Busy: Somebody else held it all that time.
            StoreError: The lock file cannot be made.
        """
        if not self.has_folder():  # the lock would make it, and a mistyped path would leave folders behind
            raise StoreError(f"{self.path} cannot be locked: its folder does not exist", hint=_HINT)
        from filelock import FileLock, Timeout  # heavy: 50 ms that a command which only reads does not pay

        # Not bound to a thread: a commit that others share may run on another thread than the one that took the lock.
        lock = FileLock(f"{self.path}.lock", mode=0o600, thread_local=False)
        try:
            lock.acquire(timeout=timeout_s, poll_interval=_POLL_S)
        except Timeout:
            raise Busy(f"{self.path} was locked for {timeout_s:g} s by another process", hint="run it again") from None
        except OSError as error:
            raise self._failed("cannot be locked", error, _HINT) from None
        self._lock = lock
        try:
            yield
        finally:
            self._lock = None
            if self._is_removed:  # while it is ours: who waits for it then notices that it is gone
                with suppress(OSError):
                    Path(f"{self.path}.lock").unlink(missing_ok=True)
            lock.release()

    def replace(self, text: str, was: Look | None) -> Look:
        """Put `text` in the place of what the file has, durably; whoever looks sees the old file or the new one.

        The file keeps its mode; a new one is for its owner alone (0600). To be called under `lock`.

        Args:
            was: The file as it was read under the lock; None when there was none.

        Raises:
            Overtaken: A program that does not ask for the lock changed the file since; it stays as that left it.
            StoreError: It cannot be written; it stays as it was, unless only the rename is not durable.
        """
        if self._lock is None:
            raise RuntimeError(f"{self.path} is replaced without its lock")
        raw = text.encode()
        part = self.path.with_name(f".{self.path.name}.part")
        try:
            self._write_part(part, raw)
            self._check_unchanged(was)
            part.replace(self.path)
            sync_folder(self.path.parent)
            return Look(_signature(self.path.stat()), _digest(raw), _now())
        except OSError as error:
            raise self._failed("cannot be written", error, _HINT) from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove it durably, and its lock at the end of `lock`.

        Raises:
            StoreError: It cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._failed("cannot be removed", error) from None
        self._is_removed = True

    def try_again(self, tries: int) -> bool:
        """Up to five times, at once: whoever saves a file by hand has done so."""
        return tries < _TRIES

    def _write_part(self, part: Path, raw: bytes) -> None:
        """Write the file's successor beside it. The lock makes one name enough, so the rest of a crash is cleared."""
        part.unlink(missing_ok=True)
        mode = 0o600
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(self.path.stat().st_mode)
        write_new(part, raw, mode)

    def _check_unchanged(self, was: Look | None) -> None:
        signature = self.signature()
        if signature != (was.signature if was else None):
            raise Overtaken(self)

    def _failed(self, what: str, error: OSError, hint: str | None = None) -> StoreError:
        return StoreError(f"{self.path} {what}: {error.strerror or error}", hint=hint)


def place_of(where: Path | str) -> DocumentPlace:
    """Return the place that a path names, or a URL.

    Raises:
        BadInput: No document can lie there.
    """
    scheme = _SCHEME.match(where) if isinstance(where, str) else None
    if scheme is None:
        return DocumentFile(Path(where))
    if scheme[1] not in _OBJECTS:
        raise BadInput(f"expected a path, or a URL with one of {', '.join(sorted(_OBJECTS))}, got: {scheme[0]}…")
    from tasktrail.store.objects import ObjectPlace  # who has only files pays nothing for it

    return ObjectPlace(str(where))


def found_below(where: Path | str, name: str) -> list[str]:
    """Return where a folder, or a URL without its last part, has documents called `name`: in it, or in a folder of it.

    Returns:
        Sorted, from there, with `/` between the parts; empty when the folder does not exist.

    Raises:
        StoreError: It cannot be read.
    """
    if isinstance(where, str) and _SCHEME.match(where):
        from tasktrail.store.objects import list_objects

        return [found for found in list_objects(where) if found.count("/") < 2 and found.rpartition("/")[2] == name]
    folder = Path(where)
    try:
        paths = [folder / name, *(one / name for one in folder.iterdir())]
        return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror or error}") from None


def write_new(path: Path, raw: bytes, mode: int) -> None:
    """Write a file that is not there yet, durably but for the entry of its folder; at first it is its owner's alone."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(raw)
        file.flush()
        if mode != 0o600:
            path.chmod(mode)
        os.fsync(file.fileno())


def _now() -> int:
    """Not the ledger's clock: it is compared with times that the file system sets."""
    return time.time_ns() // 1000


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _signature(found: os.stat_result) -> Signature:
    return Signature(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


# ----------------------------------------------------------------------------------------------------------- attachment


@dataclass(frozen=True, slots=True)
class Document:
    """One row of `document`. The order of the fields is the order of the columns in the query `document_columns`.

    Args:
        path: The whole path, whatever part of it the row has; or the URL.
        written: What the codec last wrote or read, as `Picture.to_json` gives it.
        detached_at: When the file was found to be gone; None while it is there.
    """

    id: int
    path: str
    codec: str
    size: int | None = None
    mtime_ns: int | None = None
    ctime_ns: int | None = None
    inode: int | None = None
    digest: str | None = None
    looked_at: int | None = None
    written: str | None = None
    detached_at: int | None = None

    @property
    def file(self) -> DocumentPlace:
        """Its file, or its object."""
        return place_of(self.path)

    @property
    def look(self) -> Look | None:
        """The file as we last read or wrote it; None when we never did."""
        numbers = (self.size, self.mtime_ns, self.ctime_ns, self.inode)
        if self.digest is None or self.looked_at is None or None in numbers:
            return None
        return Look(Signature(*numbers), self.digest, self.looked_at)  # type: ignore[arg-type]  # none is None here

    def seen(self, look: Look, written: str | None = None) -> Document:
        """Return it as it is after its file was read or written, which also attaches it again.

        Args:
            written: None keeps what it has: the content is the same.
        """
        return replace(
            self, **look.signature._asdict(), digest=look.digest, looked_at=look.looked_at,
            written=self.written if written is None else written, detached_at=None,
        )  # fmt: skip

    def gone(self, now: int) -> Document:
        """Return it as it is once its file is found to be gone; its run is kept."""
        return self if self.detached_at is not None else replace(self, detached_at=now)


_FIELDS: Final = tuple(field.name for field in fields(Document))


class Documents:
    """The rows of a store's documents.

    A file below the store's project is stored by its path from there, so that a project that is moved, or copied with
    its store, knows its own files, and no others. Any other file is stored by its whole path, an object by its URL.

    Args:
        store: The store's own file; None where it is in memory or on a server, which belongs to no project alone.
    """

    def __init__(self, store: Path | None) -> None:
        self._home = _project_of(store) if store else None

    def attach(self, tx: Transaction, path: Path | str, codec: str) -> Document:
        """Add a document that was never looked at. The path is stored with its links followed."""
        real = place_of(path).where
        row = tx.row("add_document", path=self._stored(real), codec=codec)
        assert row is not None
        return Document(int(str(row[0])), real, codec)

    def at(self, tx: Transaction, path: Path | str) -> Document | None:
        """Return the document at a path; None when that is not attached."""
        return self._document(tx.row("document_by_path", path=self._stored(place_of(path).where)))

    def by_id(self, tx: Transaction, document_id: int) -> Document | None:
        """Return a document; None when there is none."""
        return self._document(tx.row("document_by_id", id=document_id))

    def below(self, tx: Transaction, folder: Path) -> list[Document]:
        """Return the attached documents in a folder and its folders, by path."""
        real = DocumentFile(folder).path
        inside = self._home is not None and self._home != real and real.is_relative_to(self._home)
        # Above the project there are paths of both kinds, so all of them are looked at.
        rows = tx.rows("documents_below", folder=f"{self._stored(str(real))}/" if inside else "")
        found = [document for row in rows if (document := self._document(row))]
        prefix = f"{real}{os.sep}"
        return sorted((one for one in found if one.path.startswith(prefix)), key=lambda one: one.path)

    @staticmethod
    def save(tx: Transaction, document: Document) -> None:
        """Write a document's row; its path stays as it is."""
        tx.execute("put_document", dict(zip(_FIELDS, astuple(document), strict=True)))

    @property
    def folder(self) -> Path | None:
        """Of the project; None where the store belongs to none alone."""
        return self._home

    def path_in(self, other: Documents, stored: str) -> str:
        """Return how another store would store the path that this one has stored: the file stays where it is."""
        return other._stored(self._whole(stored))

    def _stored(self, whole: str) -> str:
        path = Path(whole)
        if self._home is not None and path.is_relative_to(self._home):  # no URL is: its path is relative
            return path.relative_to(self._home).as_posix()
        return whole

    def _whole(self, stored: str) -> str:
        return stored if self._home is None or _SCHEME.match(stored) else str(self._home / stored)

    def _document(self, row: tuple[object, ...] | None) -> Document | None:
        if row is None:
            return None
        document = Document(*row)  # type: ignore[arg-type]  # the query's columns are the fields
        return replace(document, path=self._whole(document.path)) if self._home is not None else document


def _project_of(store: Path) -> Path:
    folder = Path(os.path.realpath(store)).parent
    return folder.parent if folder.name == ".tasktrail" else folder
