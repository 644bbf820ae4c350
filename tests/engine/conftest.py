"""A store and a clock of its own for each test of the runner."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
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


@pytest.fixture(params=["sqlite", "postgres"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The same, in a file and on a server."""
    with ExitStack() as stack:
        url = str(tmp_path / "tasks.db")
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("server").schema())
        clock, store = FakeClock(), stack.enter_context(closing(open_store(url, synchronous="normal")))
        yield Engine(Ledger(store, actor="tester", clock=clock), clock)
        assert verify(store) == []


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads wait for; opened at the end so that none outlives its test."""
    gate = threading.Event()
    yield gate
    gate.set()
