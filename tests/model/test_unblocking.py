"""Which few tasks to see to first, compared with trying every set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model.graph import Need, Needs, ready
from tasktrail.model.task import STATUSES, Status
from tasktrail.model.unblocking import Unblocking, unblocking

KEYS = [f"T{n}" for n in range(8)]
MISSING = ["X", "Y"]


@st.composite
def plans(draw: st.DrawFn) -> tuple[dict[str, Status], Needs]:
    """Most tasks wait; some needs do not exist, and some are in a cycle."""
    words = st.sampled_from(["pending", "pending", "pending", "pending", *STATUSES])
    statuses: dict[str, Status] = {key: draw(words) for key in KEYS}
    needs = st.lists(st.sampled_from([*KEYS, *MISSING]), max_size=3)
    return statuses, {key: [Need(one) for one in draw(needs)] for key in KEYS}


def come_to_start(statuses: Mapping[str, Status], needs: Needs, done: Collection[str]) -> set[str]:
    """Let blockers be done, then whatever can start, again and again."""
    now: dict[str, Status] = {**statuses, **dict.fromkeys(done, "completed")}
    started: set[str] = set()
    while found := ready(now, needs):
        now.update(dict.fromkeys(found, "completed"))
        started.update(found)
    return started


def freed(statuses: Mapping[str, Status], needs: Needs, done: Collection[str]) -> int:
    return len(come_to_start(statuses, needs, done)) - len(come_to_start(statuses, needs, ()))


def by_trying(statuses: Mapping[str, Status], needs: Needs, most: int) -> tuple[int, int]:
    """Return how many tasks the best set frees, and how small one can be that does."""
    blockers = [key for key in (*KEYS, *MISSING) if statuses.get(key) not in ("pending", "completed", "skipped")]
    sets = [one for size in range(most + 1) for one in combinations(blockers, size)]
    best = max(freed(statuses, needs, one) for one in sets)
    return best, min(len(one) for one in sets if freed(statuses, needs, one) == best)


@pytest.mark.parametrize("most", [1, 2, 3])
@given(plan=plans())
def test_of_few_blockers_the_smallest_set_that_frees_the_most_is_found(
    most: int, plan: tuple[dict[str, Status], Needs]
):
    statuses, needs = plan
    best, size = by_trying(statuses, needs, most)

    found = unblocking(statuses, needs, most=most)

    if found is None:
        assert best == 0
        return
    assert found.exact
    assert found.together == best
    if best:
        assert len(found.alone) == size
    assert found.held == len(held(statuses, needs))
    assert found.alone == {key: freed(statuses, needs, [key]) for key in found.alone}
    assert freed(statuses, needs, found.alone) == best


def held(statuses: Mapping[str, Status], needs: Needs) -> set[str]:
    """What comes to start only with the blockers."""
    every = [key for key in (*KEYS, *MISSING) if statuses.get(key) != "pending"]
    return come_to_start(statuses, needs, every) - come_to_start(statuses, needs, ())


@given(plan=plans())
def test_of_many_blockers_what_is_found_frees_what_it_says_and_never_more_than_the_best(
    plan: tuple[dict[str, Status], Needs],
):
    statuses, needs = plan

    found = unblocking(statuses, needs, most_exact=0)

    if found is not None:
        best, _ = by_trying(statuses, needs, 3)
        assert found.together == freed(statuses, needs, found.alone) <= best
        assert (found.together > 0) == (best > 0)


def test_a_chain_is_freed_by_its_root_and_what_needs_two_by_both():
    statuses: dict[str, Status] = {"a": "failed", "b": "blocked", "c": "pending", "d": "pending", "e": "pending"}
    needs = {"c": [Need("a")], "d": [Need("c")], "e": [Need("a"), Need("b")]}

    assert unblocking(statuses, needs) == Unblocking({"a": 2, "b": 0}, together=3, held=3, exact=True)
    assert unblocking(statuses, needs, most=1) == Unblocking({"a": 2}, together=2, held=3, exact=True)


def test_nothing_is_to_be_seen_to_where_ready_tasks_lead_everywhere():
    assert unblocking({"a": "pending", "b": "pending"}, {"b": [Need("a")]}) is None


def test_ten_thousand_tasks_behind_thousands_of_failures_are_no_special_case():
    statuses: dict[str, Status] = {f"F{n}": "failed" for n in range(3_000)}
    statuses.update({f"P{n}": "pending" for n in range(10_000)})
    needs = {f"P{n}": [Need(f"F{n % 3_000}"), *([Need(f"P{n - 3_000}")] if n >= 3_000 else [])] for n in range(10_000)}
    needs["P0"] = [Need(f"P{n}") for n in range(1, 10)]

    found = unblocking(statuses, needs)

    assert found is not None
    assert (found.exact, found.held, found.together, len(found.alone)) == (False, 10_000, 12, 3)
