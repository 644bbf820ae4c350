"""Removes all runs of a store in small batches, and says each time that one is committed."""

from __future__ import annotations

import sys

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.pruning import Pruning
from tasktrail.store.clock import SYSTEM_CLOCK
from tasktrail.store.opening import open_store


def main(url: str) -> None:
    ledger = Ledger(open_store(url), actor="pruner")
    Pruning(ledger, SYSTEM_CLOCK.now(), most_rows=20).prune(lambda number: print("gone", number, flush=True))


if __name__ == "__main__":
    main(sys.argv[1])
