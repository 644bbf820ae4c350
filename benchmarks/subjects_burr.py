"""Burr with its SQLite persister: the state is saved after every action."""

# Burr is annotated in part only.
# mypy: disable-error-code="no-untyped-call, no-any-return, override, type-arg"

from __future__ import annotations

import itertools
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from burr.core import Application, ApplicationBuilder, State, action
from burr.core.application import ApplicationContext
from burr.core.parallelism import MapStates
from burr.core.persistence import SQLitePersister
from measuring import Reading, peak_rss_mb, sqlite_settings, timed
from shapes import AT_ONCE, STEPS_PER_RUN


@action(reads=["done"], writes=["done"])
def no_op(state: State) -> State:
    return state.update(done=state["done"] + 1)


class Leaves(MapStates):
    """A thousand one-action applications, eight threads, each saved by the parent's persister."""

    def action(self, state: State, inputs: dict[str, Any]) -> Any:
        return no_op

    def states(self, state: State, context: ApplicationContext, inputs: dict[str, Any]) -> Generator[State, None, None]:
        for _ in range(state["n"]):
            yield state.update(done=0)

    def reduce(self, state: State, results: Generator[State, None, None]) -> State:
        return state.update(done=state["done"] + sum(result["done"] for result in results))

    @property
    def reads(self) -> list[str]:
        return ["done", "n"]

    @property
    def writes(self) -> list[str]:
        return ["done"]


def chain(n: int, folder: Path) -> Reading:
    with _persister(folder) as persister:
        application = _chain_application("chain", n, persister)
        with timed() as watch:
            _, _, state = application.run(halt_after=[f"s{n - 1}"])
    assert state["done"] == n
    return _reading(n, watch.seconds, folder)


def fan(n: int, folder: Path) -> Reading:
    with _persister(folder) as persister:
        application = _fan_application(n, persister)
        with timed() as watch:
            _, _, state = application.run(halt_after=["join"])
    assert state["done"] == n + 2
    return _reading(n + 2, watch.seconds, folder)


def runs(n: int, folder: Path) -> Reading:
    with _persister(folder) as persister, timed() as watch:
        for run in range(n):
            application = _chain_application(f"run-{run}", STEPS_PER_RUN, persister)
            application.run(halt_after=[f"s{STEPS_PER_RUN - 1}"])
    return _reading(n, watch.seconds, folder)


def _chain_application(app_id: str, n: int, persister: SQLitePersister) -> Application[Any]:
    names = [f"s{index}" for index in range(n)]
    return (
        ApplicationBuilder()
        .with_actions(**dict.fromkeys(names, no_op))
        .with_transitions(*itertools.pairwise(names))
        .with_state(done=0)
        .with_entrypoint(names[0])
        .with_identifiers(app_id=app_id)
        .with_state_persister(persister)
        .build()
    )


def _fan_application(n: int, persister: SQLitePersister) -> Application[Any]:
    return (
        ApplicationBuilder()
        .with_actions(root=no_op, leaves=Leaves(), join=no_op)
        .with_transitions(("root", "leaves"), ("leaves", "join"))
        .with_state(done=0, n=n)
        .with_entrypoint("root")
        .with_identifiers(app_id="fan")
        .with_state_persister(persister)
        .with_parallel_executor(lambda: ThreadPoolExecutor(AT_ONCE))
        .build()
    )


def _persister(folder: Path) -> SQLitePersister:
    persister = SQLitePersister(str(_file(folder)), connect_kwargs={"check_same_thread": False, "timeout": 60})
    persister.initialize()
    return persister


def _reading(n: int, seconds: float, folder: Path) -> Reading:
    return Reading(n, seconds, peak_rss_mb(), sqlite_settings(_file(folder)))


def _file(folder: Path) -> Path:
    return folder / "burr.sqlite"


SUBJECTS = {"burr-chain": chain, "burr-fan": fan, "burr-runs": runs}
