"""What the shapes are made of that every subject executes."""

from __future__ import annotations

from typing import Final

AT_ONCE: Final = 8
"""How many steps of a fan-out run at the same time."""
STEPS_PER_RUN: Final = 5
CONNECTIONS: Final = 4
"""How many processes claim and finish in batches, each on one connection."""
BATCH: Final = 10
