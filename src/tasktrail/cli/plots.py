"""Small plots of block characters: a line of columns, and bars with their numbers; colours add nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tasktrail.cli.text import pad

_COLUMNS: Final = " ▁▂▃▄▅▆▇█"
_BAR: Final = "█"


def merged(points: Sequence[tuple[int, int, int]], most: int) -> list[tuple[int, int, int]]:
    """Return points of time with two counts each, neighbours added up until there are so many at most.

    >>> merged([(0, 1, 0), (10, 2, 1), (20, 4, 0)], 2)
    [(0, 3, 1), (20, 4, 0)]
    """
    size = -(-len(points) // max(most, 1)) or 1
    groups = (points[at : at + size] for at in range(0, len(points), size))
    return [(group[0][0], sum(one[1] for one in group), sum(one[2] for one in group)) for group in groups]


def spark(values: Sequence[int], greatest: int) -> str:
    """Return one column for each value; a blank is none at all, and what is not none is seen.

    >>> spark([0, 1, 50, 100], 100)
    ' ▁▄█'
    """
    steps = len(_COLUMNS) - 1
    return "".join(_COLUMNS[min(steps, -(-value * steps // greatest))] if greatest else " " for value in values)


def bars(counts: Mapping[str, int], room: int) -> Iterator[str]:
    """Yield a line per name: the name, a bar in proportion, the number.

    >>> list(bars({"≤ 1ms": 4, "≤ 2ms": 1}, 20))
    ['≤ 1ms  █████████  4', '≤ 2ms  ███  1']
    """
    names = max(map(len, counts), default=0)
    greatest = max(counts.values(), default=0)
    longest = max(1, room - names - len(f"{greatest:,}") - 5)
    for name, count in counts.items():
        yield f"{pad(name, names)}  {_BAR * -(-count * longest // max(greatest, 1))}  {count:,}"
