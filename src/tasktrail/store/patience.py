"""How long a connection to a SQLite file waits for the locks of other processes."""

from __future__ import annotations

import random
import time
from typing import Final

_LONGEST_NAP_S: Final = 0.005


class Patience:
    """How long one connection waits for other processes' locks; short naps keep the queue fair."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self, patience_s: float) -> None:
        self._until = time.monotonic() + patience_s

    def nap(self, waited: int) -> bool:
        """SQLite asks here whether to wait once more."""
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(_LONGEST_NAP_S, 0.0002 * (waited + 1), left_s) * (0.5 + random.random() / 2))
        return True
