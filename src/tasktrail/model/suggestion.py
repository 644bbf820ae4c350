"""What was probably meant: of the known names, the one that is nearest to a name nobody knows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

MOST_COMPARISONS: Final = 50_000
"""difflib manages some 100,000 in a second; a file with thousands of faults must not take minutes."""


class Suggestions:
    """Suggestions for one text or file, as long as they do not cost too much time together.

    >>> Suggestions()("timeuot", ["id", "run", "timeout"])
    '; did you mean timeout?'
    """

    def __init__(self, comparisons: int = MOST_COMPARISONS) -> None:
        self._left = comparisons

    def __call__(self, name: str, known: Collection[str]) -> str:
        """Return what an error text ends with; empty when no name is near, or there were too many to compare."""
        self._left -= len(known)
        if self._left < 0:
            return ""
        from difflib import get_close_matches  # needed when something is wrong only

        near = get_close_matches(name[:200], known, n=1)
        return f"; did you mean {near[0]}?" if near else ""
