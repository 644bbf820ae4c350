"""From a place in the file system to the ledger of its project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from tasktrail.config import Config, StoreLocation, find_store_for_folder, load, prepare_folder
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.scrubbing import scrubber_of
from tasktrail.logs import logger
from tasktrail.model.errors import NewerStore, NotAStore, NotFound, StoreError
from tasktrail.store.clock import SYSTEM_CLOCK, Clock
from tasktrail.store.migrate import any_version
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store

NO_FLAGS: Final[Mapping[str, str]] = MappingProxyType({})
T = TypeVar("T")
_clock: Final[ContextVar[Clock]] = ContextVar("tasktrail_clock", default=SYSTEM_CLOCK)


@contextmanager
def clocked(clock: Clock) -> Iterator[None]:
    """Let the ledgers that are made meanwhile live by another clock."""
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


def current_clock() -> Clock:
    """Return the clock that ledgers which are made now live by."""
    return _clock.get()


class FolderProject:
    """The store of the project around a folder: made by the first write, never by a read.

    Args:
        folder: It need not exist.
        flags: Settings by name that were given on the command line.
    """

    def __init__(self, folder: Path, flags: Mapping[str, str] = NO_FLAGS) -> None:
        self._folder, self._flags = folder, flags
        self._location = find_store_for_folder(folder, flags.get("store.url"))

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of the store, which is made when it is first asked for."""
        return ledger_of(self._location, self._config)

    @property
    def _config(self) -> Config:
        return load(self._folder, self._flags)

    def has_store(self) -> bool:
        """Whether there is one already."""
        path = self._location.path
        return path is None or path.exists()

    def looking(self) -> Ledger:
        """Return the ledger for reading alone: where there is no store yet, of an empty one that nobody keeps."""
        return self.ledger if self.has_store() else self.unsaved()

    def unsaved(self) -> Ledger:
        """Return the ledger of a new store in memory, which nobody else sees."""
        return _ledger(open_store("memory:"), self._config)

    def reading(self, stored: Callable[[], T], parsed: Callable[[], T]) -> T:
        """Ask the store; where there is none yet, or it cannot be written, the files alone, and store nothing."""
        if not self.has_store():
            return parsed()
        try:
            return stored()
        except (NotAStore, NewerStore):
            raise
        except StoreError as error:
            logger(__name__).warning("answering from the files alone: %s", error)
            return parsed()


def open_project(start: Path | None = None, flags: Mapping[str, str] = NO_FLAGS, *, create: bool = True) -> Ledger:
    """Return the ledger of the project around a folder.

    Args:
        start: Where the search begins; None is the working directory.
        flags: Settings by name that were given on the command line.
        create: Make the store when there is none; a reader passes False and sees an empty one.

    Raises:
        StoreError: The store cannot be opened.
        BadInput: A setting cannot be.
    """
    config = load(start, flags)
    return ledger_of(config.store, config, create=create)


def ledger_of(location: StoreLocation, config: Config, *, create: bool = True) -> Ledger:
    """Return the ledger of a store's location."""
    store = _made(location, config) if create else existing(location, config) or open_store("memory:")
    return _ledger(store, config)


def existing_ledger(location: StoreLocation, config: Config) -> Ledger | None:
    """Return the ledger of a store's location, None when there is no store yet; nothing is made."""
    store = existing(location, config)
    return None if store is None else _ledger(store, config)


def _ledger(store: Store, config: Config) -> Ledger:
    return Ledger(store, actor=config.actor, clock=_clock.get(), scrub=scrubber_of(config))


def existing(location: StoreLocation, config: Config) -> Store | None:
    """Return the store of a location, None when there is none yet; nothing is made.

    Raises:
        StoreError: It cannot be opened.
    """
    if location.url == "memory:" or (location.path is not None and not location.path.exists()):
        return None
    try:
        return _opened(location, config, _refuse_to_make)
    except NotFound:
        return None


def _made(location: StoreLocation, config: Config) -> Store:
    prepare_folder(location)
    return _opened(location, config, any_version)


def _opened(location: StoreLocation, config: Config, accepts: Callable[[int], None]) -> Store:
    return open_store(
        location.url, synchronous=config.store_synchronous, busy_s=config.store_busy_timeout_s, accepts=accepts
    )


def _refuse_to_make(version: int) -> None:
    if version == 0:
        raise NotFound("there is no store yet")
