"""What the doctor says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        level: A warning can be lived with; a problem endangers records.
        hint: What to do about it.
    """

    name: str
    level: Level
    message: str
    hint: str | None = None
