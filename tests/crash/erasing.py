"""Takes a text out of a store, and says before and after."""

from __future__ import annotations

import sys

from tasktrail.engine.erasing import Erasing
from tasktrail.engine.ledger import Ledger
from tasktrail.store.opening import open_store


def main(url: str, text: str) -> None:
    ledger = Ledger(open_store(url), actor="eraser")
    print("begins", flush=True)
    Erasing(ledger, text).erase()
    ledger.store.compact()
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
