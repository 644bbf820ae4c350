"""Tools for tests of what is built on Tasktrail: a clock to set, identifiers that count, and the contracts of stores,
of documents, of executors and of trackers.

`DocumentContract`, `ExecutorContract` and `TrackerContract` need pytest, `StoreContract` and `LedgerMachine` hypothesis
too; the others need nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tasktrail.testing.document_contract import DocumentContract
    from tasktrail.testing.executor_contract import ExecutorContract
    from tasktrail.testing.fakes import FakeClock, FixedIds, using_clock
    from tasktrail.testing.ledger_machine import LedgerMachine
    from tasktrail.testing.store_contract import StoreContract
    from tasktrail.testing.tracker_contract import TrackerContract

__all__ = [
    "DocumentContract", "ExecutorContract", "FakeClock", "FixedIds", "LedgerMachine", "StoreContract",
    "TrackerContract", "using_clock",
]  # fmt: skip

_ROOMS: Final = {
    "DocumentContract": "document_contract", "ExecutorContract": "executor_contract", "FakeClock": "fakes",
    "FixedIds": "fakes",
    "LedgerMachine": "ledger_machine", "StoreContract": "store_contract", "TrackerContract": "tracker_contract",
    "using_clock": "fakes",
}  # fmt: skip
_ASSERTING: Final = (
    "document_contract",
    "draft_contract",
    "errors_contract",
    "executor_contract",
    "ledger_machine",
    "needs_contract",
    "race_contract",
    "store_contract",
    "stored",
    "tracker_contract",
)


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = f"{__name__}.{_ROOMS[name]}"
    if _ROOMS[name] in _ASSERTING:
        import pytest

        # So that a failed assertion shows the values; of a room that somebody imported by its own name it is too late.
        rooms = [f"{__name__}.{one}" for one in _ASSERTING]
        pytest.register_assert_rewrite(*(one for one in rooms if one not in sys.modules))
    return getattr(import_module(room), name)
