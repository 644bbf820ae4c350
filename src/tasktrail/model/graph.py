"""Who needs whom: checks, order, cycles, unmet needs, and what can no longer start.

Everything here is a function over plain mappings of keys, linear in tasks and needs and without recursion, so that a
chain of 100,000 tasks is no special case. It says what the store's counters must be, and verifies them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from tasktrail.model.errors import BadInput
from tasktrail.model.task import FINAL, WAITING, Status


@dataclass(frozen=True, slots=True)
class Need:
    """The edge "this task needs that one".

    Args:
        key: The task that is needed.
        optional: Whether it is enough that the needed task can no longer complete.
    """

    key: str
    optional: bool = False


Needs = Mapping[str, Sequence[Need]]
"""What each task needs, by its key. A task that is not in it needs nothing."""

MET_BY: Final[frozenset[Status]] = frozenset({"completed", "skipped"})
"""The statuses that meet a need, unless a matrix says otherwise."""

MET_BY_COMPLETED: Final[frozenset[Status]] = frozenset({"completed"})
"""Those that do in a matrix. Source: document 002, Dependency Management."""

MOST_CYCLES_NAMED: Final = 20
"""More are counted, not spelt out: each path may be as long as the graph."""

_MOST_KEYS_SHOWN = 12  # of one cycle's path
_MOST_COMPARISONS = 50_000  # difflib manages some 100,000 in a second; a huge broken graph must not take minutes


def check_graph(keys: Sequence[str], needs: Needs) -> list[str]:
    """Return everything that is wrong with a graph, one sentence each; empty when it can be executed.

    First keys that are given twice, then needs of or on tasks that do not exist (with the key that was probably
    meant), tasks that need themselves, and cycles. Each need that closes a cycle is named once, with one path.

    >>> check_graph(["a", "b"], {"a": [Need("b")], "b": [Need("a")]})
    ['tasks need each other in a cycle: a -> b -> a']
    """
    if _needs_point_back(keys, needs):
        return []
    return [*_repeated(keys), *_unknown(keys, needs), *_needing_themselves(needs), *_cycles(keys, needs)]


def order(keys: Iterable[str], needs: Needs) -> list[str]:
    """Return the keys so that each comes after those it needs; of those that could come next, the first given does.

    Optional needs count like the others; needs on tasks that are not among the keys do not count.

    Raises:
        BadInput: There is a cycle; the message names one.
    """
    names = list(dict.fromkeys(keys))
    position = {name: index for index, name in enumerate(names)}
    within = {name: [need for need in needs.get(name, ()) if need.key in position] for name in names}
    followers = dependants(within)
    waits = {name: len(listed) for name, listed in within.items()}
    free = [position[name] for name in names if not waits[name]]
    ordered = []
    while free:
        name = names[heappop(free)]
        ordered.append(name)
        for follower in followers.get(name, ()):
            waits[follower] -= 1
            if not waits[follower]:
                heappush(free, position[follower])
    if len(ordered) < len(names):
        cycle = find_cycle({name: within[name] for name in names if waits[name]})
        raise BadInput(cycle_text(cycle or []), hint="remove one of these needs")
    return ordered


def find_cycle(needs: Needs, start: str | None = None) -> list[str] | None:
    """Return one cycle as a path that ends where it begins, each key needing the next; None when there is none.

    Args:
        start: Look only at what this key needs, directly or not; None looks everywhere.

    >>> find_cycle({"a": [Need("b")], "b": [Need("a")]})
    ['a', 'b', 'a']
    """
    for path, place in _closings(needs, needs if start is None else (start,)):
        return [*path[place:], path[place]]
    return None


def find_cycles(needs: Needs, most: int = MOST_CYCLES_NAMED) -> list[list[str]]:
    """Return cycles as `find_cycle` does, one for each need that closes one; tasks that need themselves are none.

    Args:
        most: No more are returned.
    """
    found = ([*path[start:], path[start]] for path, start in _closings(needs, needs) if start < len(path) - 1)
    return list(islice(found, most))


def in_cycles(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the keys that need each other in a cycle, or lie between two cycles, in the order given.

    >>> in_cycles({"a": ["b"], "b": ["a"], "before": ["a"], "c": ["c"], "behind": []})
    ['a', 'b', 'c']
    """
    entangled = _within(needs, _unpeeled(needs))
    left = _unpeeled(dependants_of(entangled))
    return [key for key in entangled if key in left]


def _unpeeled(edges: Mapping[str, Sequence[str]]) -> set[str]:
    """Return what is left when keys that lead nowhere any more are taken away again and again."""
    back = dependants_of(edges)
    left = {key: len(edges.get(key, ())) for key in (*edges, *back)}
    front = [key for key, number in left.items() if not number]
    while front:
        for key in back.get(front.pop(), ()):
            left[key] -= 1
            if not left[key]:
                front.append(key)
    return {key for key, number in left.items() if number}


def _within(edges: Mapping[str, Sequence[str]], keys: Collection[str]) -> dict[str, list[str]]:
    return {key: [one for one in listed if one in keys] for key, listed in edges.items() if key in keys}


def dependants(needs: Needs) -> dict[str, list[str]]:
    """Return by key the tasks that need it directly; keys that nobody needs are not in it."""
    return dependants_of({key: [need.key for need in listed] for key, listed in needs.items()})


def dependants_of(needs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the same of needs that are keys alone."""
    followers: dict[str, list[str]] = {}
    for key, listed in needs.items():
        for needed in listed:
            followers.setdefault(needed, []).append(key)
    return followers


def downstream(keys: Iterable[str], needs: Needs, *starts: str) -> list[str]:
    """Return all that needs one of `starts`, directly or not, without `starts`, in the order of `keys`."""
    return _reached(keys, dependants(needs), starts)


def upstream(keys: Iterable[str], needs: Needs, *starts: str) -> list[str]:
    """Return all that one of `starts` needs, directly or not, without `starts`, in the order of `keys`."""
    return _reached(keys, {key: [need.key for need in listed] for key, listed in needs.items()}, starts)


def unmet(statuses: Mapping[str, Status], needs: Needs, *, met_by: Collection[Status] = MET_BY) -> dict[str, list[str]]:
    """Return by task which of its needs are not met now, whatever its own status; tasks with none are not in it.

    A need is met by `met_by`; an optional one also as soon as the needed task can no longer complete (failed,
    skipped, cancelled, unreachable); never by a task that does not exist.

    Args:
        statuses: Of every task that exists.
        met_by: The statuses that meet a need.

    Source: DESIGN §4.
    """
    given_up = unreachable(statuses, needs, met_by=met_by)
    given_up |= {key for key, status in statuses.items() if status in FINAL and status != "completed"}

    def is_met(need: Need) -> bool:
        return statuses.get(need.key) in met_by or (need.optional and need.key in given_up)

    return _select(statuses, needs, lambda need: not is_met(need))


def ready(statuses: Mapping[str, Status], needs: Needs, *, met_by: Collection[Status] = MET_BY) -> list[str]:
    """Return the pending tasks whose needs are all met, in the order of `statuses`."""
    waiting = unmet(statuses, needs, met_by=met_by)
    return [key for key, status in statuses.items() if status == "pending" and key not in waiting]


def dead_needs(
    statuses: Mapping[str, Status], needs: Needs, *, met_by: Collection[Status] = MET_BY
) -> dict[str, list[str]]:
    """Return by task which of its needs can no longer be met, whatever its own status; tasks with none are not in it.

    That is a need that is not optional, on a task that is final without meeting it (failed, cancelled) or
    unreachable. A need on a task that does not exist is unmet, but not dead: the task may still be added.
    """
    dead = unreachable(statuses, needs, met_by=met_by) | _ended_unmet(statuses, met_by)
    return _select(statuses, needs, lambda need: not need.optional and need.key in dead)


def unreachable(statuses: Mapping[str, Status], needs: Needs, *, met_by: Collection[Status] = MET_BY) -> set[str]:
    """Return the pending and blocked tasks that can never start now: one of their needs can no longer be met.

    Source: DESIGN §4.
    """
    required = {key: [need for need in listed if not need.optional] for key, listed in needs.items()}
    followers = dependants(required)
    front = list(_ended_unmet(statuses, met_by))
    found: set[str] = set()
    while front:
        for key in followers.get(front.pop(), ()):
            if key not in found and statuses.get(key) in WAITING:
                found.add(key)
                front.append(key)
    return found


def critical_path(needs: Needs, durations_s: Mapping[str, float]) -> tuple[list[str], float]:
    """Return the chain of needs that takes longest, first task first, and its length in seconds.

    Args:
        needs: Optional needs count like the others.
        durations_s: By task; one that is missing takes no time.

    Returns:
        Of equally long chains the first; no tasks give an empty chain of 0.0.

    Raises:
        BadInput: There is a cycle; the message names one.
    """
    finish_s: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for key in order([*durations_s, *needs], needs):
        needed = (need.key for need in needs.get(key, ()) if need.key in finish_s)
        before[key] = last = max(needed, key=finish_s.__getitem__, default=None)
        finish_s[key] = durations_s.get(key, 0.0) + (0.0 if last is None else finish_s[last])
    end = max(finish_s, key=finish_s.__getitem__, default=None)
    path = [*_walk_back(before, end)][::-1]
    return path, 0.0 if end is None else float(finish_s[end])


def _walk_back(before: Mapping[str, str | None], end: str | None) -> Iterator[str]:
    while end is not None:
        yield end
        end = before[end]


def _ended_unmet(statuses: Mapping[str, Status], met_by: Collection[Status]) -> set[str]:
    return {key for key, status in statuses.items() if status in FINAL and status not in met_by}


def _select(statuses: Mapping[str, Status], needs: Needs, wanted: Callable[[Need], bool]) -> dict[str, list[str]]:
    chosen = ((key, [need.key for need in needs.get(key, ()) if wanted(need)]) for key in statuses)
    return {key: found for key, found in chosen if found}


def _reached(keys: Iterable[str], edges: Mapping[str, Sequence[str]], starts: Collection[str]) -> list[str]:
    seen = set(starts)
    front = list(starts)
    while front:
        for key in edges.get(front.pop(), ()):
            if key not in seen:
                seen.add(key)
                front.append(key)
    seen.difference_update(starts)
    return [key for key in dict.fromkeys(keys) if key in seen]


def _closings(needs: Needs, roots: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """Walk every need once; at each that closes a cycle, yield the path so far and where on it the cycle begins.

    The path is the live one: copy what is to be kept. Copying here would make a graph of many cycles quadratic.
    """
    done: set[str] = set()
    for root in roots:
        if root in done:
            continue
        path, place = [root], {root: 0}
        walks = [_needed(needs, root)]
        while walks:
            key = next(walks[-1], None)
            if key is None:
                walks.pop()
                done.add(path[-1])
                del place[path.pop()]
            elif key in place:
                yield path, place[key]
            elif key not in done:
                place[key] = len(path)
                path.append(key)
                walks.append(_needed(needs, key))


def _needed(needs: Needs, key: str) -> Iterator[str]:
    return iter(dict.fromkeys(need.key for need in needs.get(key, ())))


def _needs_point_back(keys: Sequence[str], needs: Needs) -> bool:
    """Whether each key is given once and needs only those before it, as in most lists: nothing is wrong then."""
    before: set[str] = set()
    for key in keys:
        if key in before or any(need.key not in before for need in needs.get(key, ())):
            return False
        before.add(key)
    return needs.keys() <= before


def _repeated(keys: Sequence[str]) -> Iterator[str]:
    for key, times in Counter(keys).items():
        if times > 1:
            yield f"task {_shown(key)} is given {times} times"


def _unknown(keys: Sequence[str], needs: Needs) -> Iterator[str]:
    known = dict.fromkeys(keys)
    suggestions = _MOST_COMPARISONS // max(len(known), 1)
    for key in needs:
        if key not in known:
            yield f"needs are given for {_shown(key)}, which does not exist"
    for key in known:
        for name in _needed(needs, key):
            if name not in known:
                guess = _guess(name, known) if suggestions > 0 else ""
                suggestions -= 1
                yield f"task {_shown(key)} needs {_shown(name)}, which does not exist{guess}"


def _guess(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # needed when something is wrong only

    near = get_close_matches(name, known, n=1)
    return f"; did you mean {_shown(near[0])}?" if near else ""


def _needing_themselves(needs: Needs) -> Iterator[str]:
    for key, listed in needs.items():
        if any(need.key == key for need in listed):
            yield f"task {_shown(key)} needs itself"


def _cycles(keys: Sequence[str], needs: Needs) -> Iterator[str]:
    found = 0
    for path, start in _closings(needs, [*keys, *needs]):
        if start == len(path) - 1:
            continue  # needs itself, which was said already
        found += 1
        if found <= MOST_CYCLES_NAMED:
            yield cycle_text([*path[start:], path[start]])
    if found > MOST_CYCLES_NAMED:
        yield f"and {found - MOST_CYCLES_NAMED} more cycles"


def cycle_text(cycle: Sequence[str]) -> str:
    """Return the sentence about a cycle; of a long one the middle is left out."""
    if len(cycle) == 2:
        return f"task {_shown(cycle[0])} needs itself"
    return f"tasks need each other in a cycle: {path_text(cycle)}"


def path_text(path: Sequence[str]) -> str:
    """Return a path in one line; of a long one the middle is left out."""
    shown = [_shown(key) for key in path[:_MOST_KEYS_SHOWN]]
    left_out = len(path) - len(shown) - 1
    if left_out > 0:
        shown.append(f"… {left_out} more …")
    if left_out >= 0:
        shown.append(_shown(path[-1]))
    return " -> ".join(shown)


def _shown(key: str) -> str:
    # Keys are checked elsewhere; here a broken one must not break the line it is named in.
    if len(key) > 200:
        key = f"{key[:200]}…"
    return key if key.isprintable() and key else repr(key)
