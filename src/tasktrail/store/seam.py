"""What a store is to the engine, whatever database it lives in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from tasktrail.store.asking import Answered
from tasktrail.store.transaction import Transaction

LEASE_S: Final = 30.0
"""How long a process may be silent before others take it for dead, where nobody says another time."""

T = TypeVar("T")


class Life(Protocol):
    """What others see of a living process: it ends with it, however it ends."""

    @property
    def name(self) -> str:
        """How others ask for it."""

    @property
    def lease_s(self) -> float | None:
        """How long others take it for alive after its last word; None: the system tells them when it ends."""

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

    def ask(self, text: str, *, most: int, timeout_s: float) -> Answered:
        """Answer one statement in SQL that reads, with so many rows at most; the database itself refuses to write."""

    def close(self) -> None:
        """Close all connections. The next use opens anew."""

    def changed_token(self) -> object:
        """Return what differs once anybody has committed; cheap enough to poll."""

    def begin_life(self, lease_s: float = LEASE_S) -> Life:
        """Let others see that this process lives; its lease is `lease_s` long where the system cannot tell them."""

    def is_held(self, name: str) -> bool:
        """Whether the process whose life has this name lives."""

    def held(self, names: Sequence[str]) -> set[str]:
        """Return those of the names whose process lives."""

    def is_same(self, other: Store) -> bool:
        """Whether both are one and the same."""

    def backup(self, target: Path) -> None:
        """Write a consistent copy to a new file."""

    def spare_bytes(self) -> int | None:
        """Return what `compact` would give back; None where the database does not say."""

    def compact(self) -> list[str]:
        """Write everything anew, so that nothing is left of what was removed; return what was in the way of that."""

    def integrity(self) -> list[str]:
        """Return what the database itself finds wrong; empty when it is sound."""
