"""Tools for tests of what is built on Tasktrail: a clock to set, identifiers that count, and the contract of a store.

`StoreContract` and `LedgerMachine` need pytest and hypothesis; the others need nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tasktrail.testing.fakes import FakeClock, FixedIds
    from tasktrail.testing.ledger_machine import LedgerMachine
    from tasktrail.testing.store_contract import StoreContract

__all__ = ["FakeClock", "FixedIds", "LedgerMachine", "StoreContract"]

_ROOMS: Final = {
    "FakeClock": "fakes", "FixedIds": "fakes", "LedgerMachine": "ledger_machine", "StoreContract": "store_contract",
}  # fmt: skip
_ASSERTING: Final = ("ledger_machine", "needs_contract", "store_contract", "stored")


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = f"{__name__}.{_ROOMS[name]}"
    if name in ("LedgerMachine", "StoreContract"):
        import pytest

        # So that a failed assertion shows the values.
        pytest.register_assert_rewrite(*(f"{__name__}.{one}" for one in _ASSERTING))
    return getattr(import_module(room), name)
