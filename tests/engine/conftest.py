"""A store and a clock of its own for each test of the runner."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock
from tests.engine.executing import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty store; whatever a test did to it, its history must fold to its rows."""
    clock, store = FakeClock(), open_store(str(tmp_path / "tasks.db"), synchronous="normal")
    yield Engine(Ledger(store, actor="tester", clock=clock), clock)
    assert verify(store) == []
    store.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads wait for; opened at the end so that none outlives its test."""
    gate = threading.Event()
    yield gate
    gate.set()
