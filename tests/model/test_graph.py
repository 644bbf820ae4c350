"""The graph of needs: literals to check by eye, properties against networkx and the definition."""

from __future__ import annotations

import doctest
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import graph
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import (
    MET_BY,
    Need,
    Needs,
    check_graph,
    critical_path,
    dead_needs,
    dependants,
    downstream,
    find_cycle,
    order,
    ready,
    unmet,
    unreachable,
    upstream,
)
from tasktrail.model.task import STATUSES, Status

TRACKER: frozenset[Status] = frozenset({"completed"})


def edges(text: str) -> dict[str, list[Need]]:
    """Read "b: a c?, d: b" as: b needs a and, optionally, c; d needs b."""
    graph: dict[str, list[Need]] = {}
    for line in filter(None, text.split(", ")):
        key, needed = line.split(": ")
        graph[key] = [Need(word.rstrip("?"), optional=word.endswith("?")) for word in needed.split()]
    return graph


def stand(text: str) -> dict[str, Status]:
    """Read "a completed, b pending" as statuses by key."""
    words = dict(pair.split() for pair in text.split(", "))
    return {key: next(status for status in STATUSES if status == word) for key, word in words.items()}


def digraph(keys: Sequence[str], needs: Needs) -> nx.DiGraph[str]:
    """Return the same graph for networkx, edges from the needed task to the one that needs it."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(keys)
    graph.add_edges_from((need.key, key) for key, listed in needs.items() for need in listed)
    return graph


@st.composite
def graphs(draw: st.DrawFn, *, cyclic: bool = False, size: int = 12) -> tuple[list[str], dict[str, list[Need]]]:
    """Draw keys in any order and needs between them; without cycles unless asked."""
    count = draw(st.integers(1, size))
    keys = draw(st.permutations([f"t{index}" for index in range(count)]))
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b and (cyclic or a < b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    needs: dict[str, list[Need]] = {}
    for needed, key in chosen:
        needs.setdefault(f"t{key}", []).append(Need(f"t{needed}", optional=draw(st.booleans())))
    return keys, needs


@st.composite
def standing(draw: st.DrawFn) -> tuple[dict[str, Status], dict[str, list[Need]]]:
    """Draw a graph, perhaps with cycles and with needs on a task that does not exist, and a status for each task."""
    keys, needs = draw(graphs(cyclic=True, size=8))
    for key in draw(st.lists(st.sampled_from(keys), unique=True, max_size=2)):
        needs.setdefault(key, []).append(Need("ghost", optional=draw(st.booleans())))
    words: tuple[Status, ...] = ("pending", "pending", "pending", *STATUSES)
    return {key: draw(st.sampled_from(words)) for key in keys}, needs


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(graph).failed == 0


# ---------------------------------------------------------------------------------------------------------------- check


def test_a_sound_graph_has_no_faults() -> None:
    assert check_graph(["a", "b", "c"], edges("b: a, c: a b?")) == []
    assert check_graph([], {}) == []


def test_every_fault_is_named_at_once() -> None:
    keys = ["fetch", "clean", "fetch", "load", "loop", "x", "y"]
    assert check_graph(keys, edges("clean: fetc, load: zzzz, loop: loop, x: y, y: x, ghost: fetch")) == [
        "task fetch is given 2 times",
        "needs are given for ghost, which does not exist",
        "task clean needs fetc, which does not exist; did you mean fetch?",
        "task load needs zzzz, which does not exist",
        "task loop needs itself",
        "tasks need each other in a cycle: x -> y -> x",
    ]


def test_a_fault_is_named_also_where_all_needs_point_back() -> None:
    assert check_graph(["a", "b", "a"], edges("b: a")) == ["task a is given 2 times"]
    assert check_graph(["a"], edges("ghost: a")) == ["needs are given for ghost, which does not exist"]


def test_each_cycle_is_named_once_with_its_path() -> None:
    graph = edges("a: b, b: c, c: a, d: e a, e: d, f: e")
    assert check_graph(list("abcdef"), graph) == [
        "tasks need each other in a cycle: a -> b -> c -> a",
        "tasks need each other in a cycle: d -> e -> d",
    ]


def test_two_cycles_through_one_task_are_both_named() -> None:
    assert check_graph(["T1", "T2", "T3"], edges("T1: T2, T2: T1 T3, T3: T2")) == [
        "tasks need each other in a cycle: T1 -> T2 -> T1",
        "tasks need each other in a cycle: T2 -> T3 -> T2",
    ]


def test_a_need_given_twice_names_its_cycle_once() -> None:
    assert check_graph(["a", "b"], edges("a: b, b: a a?")) == ["tasks need each other in a cycle: a -> b -> a"]


def test_a_long_cycle_is_shortened_and_many_are_counted() -> None:
    ring = {f"k{n}": [Need(f"k{(n + 1) % 20}")] for n in range(20)}
    path = " -> ".join(f"k{n}" for n in range(12))
    assert check_graph(list(ring), ring) == [
        f"tasks need each other in a cycle: {path} -> … 8 more … -> k0",
    ]
    pairs = {f"{side}{n}": [Need(f"{other}{n}")] for n in range(25) for side, other in ("ab", "ba")}
    faults = check_graph(list(pairs), pairs)
    assert faults[0] == "tasks need each other in a cycle: a0 -> b0 -> a0"
    assert faults[20:] == ["and 5 more cycles"]


def test_a_key_that_would_break_the_line_is_quoted() -> None:
    assert check_graph(["a"], {"a": [Need("b\nc")]}) == ["task a needs 'b\\nc', which does not exist"]
    assert check_graph(["a"], {"a": [Need("")]}) == ["task a needs '', which does not exist"]


@given(graphs(cyclic=True))
def test_cycles_are_named_exactly_where_networkx_sees_one(drawn: tuple[list[str], dict[str, list[Need]]]) -> None:
    keys, needs = drawn
    faults = check_graph(keys, needs)
    assert len(faults) == len(set(faults))
    assert bool(faults) == (not nx.is_directed_acyclic_graph(digraph(keys, needs)))
    for fault in (fault for fault in faults if "… " not in fault and fault.startswith("tasks")):
        path = fault.removeprefix("tasks need each other in a cycle: ").split(" -> ")
        assert_is_cycle(path, needs)


def assert_is_cycle(path: list[str], needs: Needs) -> None:
    assert path[0] == path[-1]
    assert len(set(path)) == len(path) - 1
    assert all(needed in {need.key for need in needs[key]} for key, needed in pairwise(path))


@given(graphs(cyclic=True))
def test_find_cycle_finds_one_when_there_is_one(drawn: tuple[list[str], dict[str, list[Need]]]) -> None:
    keys, needs = drawn
    cycle = find_cycle(needs)
    assert (cycle is None) == nx.is_directed_acyclic_graph(digraph(keys, needs))
    if cycle is not None:
        assert_is_cycle(cycle, needs)


def test_a_task_that_needs_itself_is_the_shortest_cycle() -> None:
    assert find_cycle(edges("a: b, b: b")) == ["b", "b"]
    assert find_cycle(edges("a: b c, b: c")) is None


# ---------------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("keys", "needs", "expected"),
    [
        ("c a b", "", "c a b"),  # nothing is needed: as given
        ("a b c", "a: c", "b c a"),
        ("d c b a", "d: c b, c: a, b: a", "a c b d"),  # ties by position: c was given before b
        ("a b c", "a: b?", "b a c"),  # optional needs count
        ("a b", "a: ghost", "a b"),  # unknown ones do not
        ("a b a", "", "a b"),
        ("b a", "b: a a?", "a b"),  # given twice
    ],
)
def test_order_puts_needs_first_and_keeps_the_given_order(keys: str, needs: str, expected: str) -> None:
    assert order(keys.split(), edges(needs)) == expected.split()


@given(graphs())
def test_order_is_the_first_topological_one_by_position(drawn: tuple[list[str], dict[str, list[Need]]]) -> None:
    keys, needs = drawn
    expected = nx.lexicographical_topological_sort(digraph(keys, needs), key=keys.index)
    assert order(keys, needs) == list(expected)


def test_order_names_the_cycle_that_makes_it_impossible() -> None:
    with pytest.raises(BadInput, match=r"^tasks need each other in a cycle: b -> c -> b$"):
        order(list("abcd"), edges("b: a c, c: b, d: c"))


# -------------------------------------------------------------------------------------------------- reach, longest path


def test_downstream_and_upstream_are_transitive_and_in_the_given_order() -> None:
    needs = edges("b: a, c: b?, d: a, e: x")
    assert downstream(list("edcba"), needs, "a") == ["d", "c", "b"]
    assert upstream(list("abcde"), needs, "c") == ["a", "b"]
    assert downstream(list("abcdex"), needs, "b", "x") == ["c", "e"]
    assert downstream(list("abcde"), needs, "nobody") == []
    assert dependants(needs) == {"a": ["b", "d"], "b": ["c"], "x": ["e"]}


@given(graphs(cyclic=True))
def test_reach_is_what_networkx_calls_descendants(drawn: tuple[list[str], dict[str, list[Need]]]) -> None:
    keys, needs = drawn
    oracle = digraph(keys, needs)
    for start in keys:
        assert set(downstream(keys, needs, start)) == nx.descendants(oracle, start)
        assert set(upstream(keys, needs, start)) == nx.ancestors(oracle, start)


@pytest.mark.parametrize(
    ("needs", "durations_s", "expected"),
    [
        ("", {}, ([], 0.0)),
        ("", {"a": 2.0, "b": 3.0, "c": 3.0}, (["b"], 3.0)),  # of equals the first
        ("d: b c, b: a, c: a", {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0}, (["a", "b", "d"], 7.0)),
        ("b: a, c: b", {"a": 2.0, "c": 3.0}, (["a", "b", "c"], 5.0)),  # b took no time
        ("b: ghost", {"b": 1.0}, (["b"], 1.0)),
    ],
)
def test_the_critical_path_is_the_chain_that_takes_longest(
    needs: str, durations_s: dict[str, float], expected: tuple[list[str], float]
) -> None:
    assert critical_path(edges(needs), durations_s) == expected


@given(graphs(), st.data())
def test_the_critical_path_is_as_long_as_networkx_says(
    drawn: tuple[list[str], dict[str, list[Need]]], data: st.DataObject
) -> None:
    keys, needs = drawn
    durations_s = {key: float(data.draw(st.integers(0, 9))) for key in keys}
    path, length_s = critical_path(needs, durations_s)
    weighted = nx.DiGraph((need.key, key, {"s": durations_s[key]}) for key in needs for need in needs[key])
    weighted.add_edges_from(("start", key, {"s": durations_s[key]}) for key in keys)
    assert length_s == nx.dag_longest_path_length(weighted, weight="s") == sum(durations_s[key] for key in path)
    assert all(key in {need.key for need in needs[after]} for key, after in pairwise(path))


# ---------------------------------------------------------------------------------------------- met, ready, unreachable


@pytest.mark.parametrize(
    ("status", "met", "optional_met", "tracker_met", "optional_tracker_met"),
    [
        ("pending", False, False, False, False),
        ("in_progress", False, False, False, False),
        ("blocked", False, False, False, False),
        ("completed", True, True, True, True),
        ("skipped", True, True, False, True),
        ("failed", False, True, False, True),
        ("cancelled", False, True, False, True),
    ],
)
def test_when_a_need_is_met(
    status: Status, met: bool, optional_met: bool, tracker_met: bool, optional_tracker_met: bool
) -> None:
    statuses: dict[str, Status] = {"a": status, "b": "pending"}
    required, optional = edges("b: a"), edges("b: a?")
    assert ("b" not in unmet(statuses, required)) is met
    assert ("b" not in unmet(statuses, optional)) is optional_met
    assert ("b" not in unmet(statuses, required, met_by=TRACKER)) is tracker_met
    assert ("b" not in unmet(statuses, optional, met_by=TRACKER)) is optional_tracker_met


def test_a_need_on_a_task_that_does_not_exist_is_unmet_but_not_dead() -> None:
    statuses = stand("b pending, c pending")
    needs = edges("b: ghost, c: ghost?")
    assert unmet(statuses, needs) == {"b": ["ghost"], "c": ["ghost"]}
    assert dead_needs(statuses, needs) == {}
    assert unreachable(statuses, needs) == set()


def test_ready_is_what_is_pending_with_all_needs_met() -> None:
    statuses = stand("a completed, b pending, c pending, d in_progress, e blocked, f pending, g skipped, h pending")
    needs = edges("b: a, c: b, e: a, f: a g, h: g d")
    assert ready(statuses, needs) == ["b", "f"]
    assert ready(statuses, needs, met_by=TRACKER) == ["b"]
    assert unmet(statuses, needs) == {"c": ["b"], "h": ["d"]}


@pytest.mark.parametrize(
    ("statuses", "needs", "expected"),
    [
        ("a failed, b pending, c blocked", "b: a, c: b", {"b", "c"}),
        ("a cancelled, b pending", "b: a", {"b"}),
        ("a skipped, b pending", "b: a", set()),
        ("a failed, b in_progress, c pending", "b: a, c: b", set()),  # b started: c still may
        ("a failed, b pending, c pending", "b: a?, c: b", set()),  # b goes on without a
        ("a failed, b pending, c pending, d pending", "b: a, c: b?, d: c", {"b"}),  # c goes on without b
        ("a pending, b pending", "a: b, b: a", set()),  # a cycle waits, nothing ended
        ("a failed, b pending, c pending", "b: a c, c: b", {"b", "c"}),
    ],
)
def test_unreachable_is_what_waits_for_something_that_cannot_happen(
    statuses: str, needs: str, expected: set[str]
) -> None:
    assert unreachable(stand(statuses), edges(needs)) == expected


def test_an_optional_need_is_met_once_the_needed_task_is_unreachable() -> None:
    statuses = stand("a failed, b pending, c pending")
    assert ready(statuses, edges("b: a, c: b?")) == ["c"]


def test_dead_needs_say_why_a_task_can_never_start() -> None:
    statuses = stand("a failed, b pending, c completed, d pending, e in_progress")
    needs = edges("b: a c, d: c b a?, e: a")
    assert dead_needs(statuses, needs) == {"b": ["a"], "d": ["b"], "e": ["a"]}


def test_where_completed_alone_meets_a_need_a_skipped_task_holds_its_dependants_up_for_ever() -> None:
    statuses = stand("a skipped, b pending, c pending")
    assert unreachable(statuses, edges("b: a, c: b"), met_by=TRACKER) == {"b", "c"}


@given(standing())
def test_unreachable_is_what_networkx_reaches_from_what_ended(drawn: tuple[dict[str, Status], Needs]) -> None:
    statuses, needs = drawn
    waiting = {key for key, status in statuses.items() if status in ("pending", "blocked")}
    ended = {key for key, status in statuses.items() if status in ("failed", "cancelled")}
    required = {key: [need for need in needs.get(key, ()) if not need.optional] for key in waiting}
    reached = nx.descendants(digraph(["end"], {**required, **{key: [Need("end")] for key in ended}}), "end")
    assert unreachable(statuses, needs) == reached - ended


@given(standing(), st.sampled_from([MET_BY, TRACKER]))
def test_counters_are_those_of_the_definition_taken_literally(
    drawn: tuple[dict[str, Status], Needs], met_by: frozenset[Status]
) -> None:
    statuses, needs = drawn
    lost = slow_unreachable(statuses, needs, met_by)
    given_up = lost | {key for key, word in statuses.items() if word in ("failed", "skipped", "cancelled")}
    expected = {}
    for key in statuses:
        open_needs = []
        for need in needs.get(key, ()):
            met = need.key in statuses and statuses[need.key] in met_by
            if not met and not (need.optional and need.key in given_up):
                open_needs.append(need.key)
        if open_needs:
            expected[key] = open_needs
    assert unmet(statuses, needs, met_by=met_by) == expected
    assert unreachable(statuses, needs, met_by=met_by) == lost
    assert {
        key for key in dead_needs(statuses, needs, met_by=met_by) if statuses[key] in ("pending", "blocked")
    } == lost
    assert not lost & set(ready(statuses, needs, met_by=met_by))


def slow_unreachable(statuses: Mapping[str, Status], needs: Needs, met_by: Collection[Status]) -> set[str]:
    """Apply the definition until nothing changes."""
    hopeless = {key for key, word in statuses.items() if word in ("failed", "cancelled", "skipped")}
    hopeless = {key for key in hopeless if statuses[key] not in met_by}
    lost: set[str] = set()
    while True:
        more = {
            key
            for key, word in statuses.items()
            if word in ("pending", "blocked")
            and any(not need.optional and need.key in hopeless | lost for need in needs.get(key, ()))
        }
        if more == lost:
            return lost
        lost = more


# ----------------------------------------------------------------------------------------------------------------- size


def test_a_chain_of_100_000_tasks_needs_no_recursion() -> None:
    size = 100_000
    keys = [f"t{n}" for n in range(size)]
    needs = {f"t{n}": [Need(f"t{n - 1}")] for n in range(1, size)}
    statuses: dict[str, Status] = dict.fromkeys(keys, "pending")
    backwards = keys[::-1]
    assert check_graph(backwards, needs) == []
    assert order(backwards, needs) == keys
    assert ready(statuses, needs) == ["t0"]
    assert len(unmet(statuses, needs)) == size - 1
    assert len(unreachable({**statuses, "t0": "failed"}, needs)) == size - 1
    assert len(downstream(keys, needs, "t0")) == len(upstream(keys, needs, keys[-1])) == size - 1
    assert critical_path(needs, dict.fromkeys(keys, 1.0)) == (keys, 100_000.0)
    ring = {**needs, "t0": [Need(keys[-1])]}
    assert len(find_cycle(ring) or []) == size + 1
    assert check_graph(keys, ring)[0].endswith("-> … 99988 more … -> t0")


def test_a_large_graph_full_of_faults_is_checked_in_one_go() -> None:
    keys = [f"task_{n}" for n in range(2_000)]
    dense = {key: [Need(other) for other in keys[max(0, n - 20) : n + 20]] for n, key in enumerate(keys)}
    unknown = {f"task_{n}": [Need(f"tusk_{n}")] for n in range(2_000)}
    assert check_graph(keys, dense)[-1].endswith("more cycles")
    faults = check_graph(keys, unknown)
    assert faults[0] == "task task_0 needs tusk_0, which does not exist; did you mean task_0?"
    assert faults[-1] == "task task_1999 needs tusk_1999, which does not exist"
