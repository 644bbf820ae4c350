"""What a store is to the engine, whatever database it lives in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from tasktrail.store.transaction import Transaction

T = TypeVar("T")


class Life(Protocol):
    """What others see of a living process: it ends with it, however it ends."""

    @property
    def name(self) -> str:
        """How others ask for it."""

    def free(self) -> None:
        """End it; harmless when it has ended."""


class Store(Protocol):
    """Rows, and who is alive. Its promises are tests: `tasktrail.testing.StoreContract`."""

    busy_s: float

    @property
    def path(self) -> Path | None:
        """The file it is; None in memory and on a server."""

    @property
    def where(self) -> str:
        """How messages name it."""

    def write(self, work: Callable[[Transaction], T], *, patience_s: float | None = None) -> T:
        """Run `work` in a transaction, more than once when others are faster; its effect is durable on return."""

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent snapshot; what it writes does not stay."""

    def close(self) -> None:
        """Close all connections. The next use opens anew."""

    def changed_token(self) -> object:
        """Return what differs once anybody has committed; cheap enough to poll."""

    def begin_life(self) -> Life:
        """Let others see that this process lives."""

    def is_held(self, name: str) -> bool:
        """Whether the process whose life has this name lives."""

    def held(self, names: Sequence[str]) -> set[str]:
        """Return those of the names whose process lives."""

    def is_same(self, other: Store) -> bool:
        """Whether both are one and the same."""

    def backup(self, target: Path) -> None:
        """Write a consistent copy to a new file."""

    def integrity(self) -> list[str]:
        """Return what the database itself finds wrong; empty when it is sound."""
