"""Which few tasks to see to, so that the most others can go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from tasktrail.model.graph import MET_BY, Needs, dependants_of, unmet
from tasktrail.model.task import Status

MOST: Final = 3
"""More tasks are no advice on what to do first."""
MOST_EXACT: Final = 30
"""Of so many blockers every set is looked at: 4,525 of up to three."""

_Groups = Mapping[frozenset[str], int]


@dataclass(frozen=True, slots=True)
class Unblocking:
    """What to see to first.

    Args:
        alone: By key, how many tasks each frees when nothing else of them is done; the most first.
        together: How many tasks all of them free.
        held: How many pending tasks wait for a blocker, whatever else is done.
        exact: Whether no set of so few frees more. Else it was found by taking again and again what frees the most
            tasks for each blocker.
    """

    alone: Mapping[str, int]
    together: int
    held: int
    exact: bool


def unblocking(
    statuses: Mapping[str, Status],
    needs: Needs,
    *,
    met_by: Collection[Status] = MET_BY,
    most: int = MOST,
    most_exact: int = MOST_EXACT,
) -> Unblocking | None:
    """Return the smallest set of blockers that frees the most pending tasks; None when no task waits for one.

    A blocker is what pending tasks need, and what no start brings about: a task that is failed, cancelled, blocked or
    in progress, or one that does not exist. A set of them frees a task if that could start, sooner or later, once
    they are done and whatever can start is, and could not without. Tasks in a cycle, and behind one, are not looked at.

    Args:
        statuses: Of every task, in the order in which ties go.
        most: No set has more blockers.
        most_exact: Of so many blockers every set is looked at.

    Returns:
        `alone` is empty where no set of so few frees anything.
    """
    waiting = unmet(statuses, needs, met_by=met_by)
    blockers = _blockers({key: waiting.get(key, []) for key, one in statuses.items() if one == "pending"}, most)
    held = sum(found is None or bool(found) for found in blockers.values())
    if not held:
        return None
    groups = Counter(found for found in blockers.values() if found)
    ordered = [*statuses, *sorted({key for group in groups for key in group if key not in statuses})]
    named = {key for group in groups for key in group}
    keys = [key for key in ordered if key in named]
    exact = len(keys) <= most_exact
    chosen = _best(keys, groups, most) if exact else _greedy(groups, most)
    alone = {key: groups.get(frozenset((key,)), 0) for key in keys if key in chosen}
    listed = dict(sorted(alone.items(), key=lambda one: -one[1]))
    return Unblocking(listed, _freed(sorted(chosen), groups), held, exact)


def _blockers(waiting: Mapping[str, Sequence[str]], most: int) -> dict[str, frozenset[str] | None]:
    """Return by pending task what it waits for in the end; None for more than `most`. Cycles are left out."""
    followers = dependants_of(waiting)
    left = {key: sum(need in waiting for need in listed) for key, listed in waiting.items()}
    front = [key for key, number in left.items() if not number]
    found: dict[str, frozenset[str] | None] = {}
    while front:
        key = front.pop()
        found[key] = _union([found[need] if need in waiting else frozenset((need,)) for need in waiting[key]], most)
        for follower in followers.get(key, ()):
            left[follower] -= 1
            if not left[follower]:
                front.append(follower)
    return found


def _union(sets: Sequence[frozenset[str] | None], most: int) -> frozenset[str] | None:
    union: set[str] = set()
    for one in sets:
        if one is None or len(union := union | one) > most:
            return None
    return frozenset(union)


def _freed(keys: Sequence[str], groups: _Groups) -> int:
    return sum(groups.get(frozenset(part), 0) for part in _parts(keys, len(keys)))


def _parts(keys: Sequence[str], most: int) -> Iterator[tuple[str, ...]]:
    for size in range(1, most + 1):
        yield from combinations(keys, size)


def _best(keys: Sequence[str], groups: _Groups, most: int) -> Collection[str]:
    """Of equally good sets the first: the smallest, and in the order of the keys."""
    return max(_parts(keys, most), key=lambda part: _freed(part, groups), default=())


def _greedy(groups: _Groups, most: int) -> Collection[str]:
    chosen: frozenset[str] = frozenset()
    while True:
        before = _freed(sorted(chosen), groups)
        gains = {
            wider: (_freed(sorted(wider), groups) - before) / len(wider - chosen)
            for group in groups
            if len(wider := chosen | group) <= most and wider != chosen
        }
        if not gains:
            return chosen
        chosen = max(gains, key=gains.__getitem__)
