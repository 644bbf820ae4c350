"""From a place in the file system to the ledger of its project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tasktrail.config import Config, StoreLocation, load, prepare_folder
from tasktrail.engine.ledger import Ledger
from tasktrail.store.clock import SYSTEM_CLOCK, Clock
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store

_NO_FLAGS: Final[Mapping[str, str]] = MappingProxyType({})
_clock: Final[ContextVar[Clock]] = ContextVar("tasktrail_clock", default=SYSTEM_CLOCK)


@contextmanager
def clocked(clock: Clock) -> Iterator[None]:
    """Let the ledgers that are made meanwhile live by another clock."""
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


def open_project(start: Path | None = None, flags: Mapping[str, str] = _NO_FLAGS, *, create: bool = True) -> Ledger:
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
    return Ledger(_open(location, config, create=create), actor=config.actor, clock=_clock.get())


def _open(location: StoreLocation, config: Config, *, create: bool) -> Store:
    if location.path is not None and not location.path.exists():
        if not create:
            return open_store("memory:")
        prepare_folder(location)
    return open_store(location.url, synchronous=config.store_synchronous, busy_s=config.store_busy_timeout_s)
