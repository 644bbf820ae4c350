"""Text within a number of tokens: never over it, cut by rank and in whole lines, and what is left out is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model.budget import Section, fitted, tokens_at_most
from tasktrail.model.errors import BadInput

LINES = st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=60), max_size=8)


@pytest.mark.parametrize(
    ("line", "tokens"),
    [("", 1), ("the", 2), ("the cat", 4), ("1234567", 4), ("a, b; c", 6), ("é日🙂", 7), ("T12 34", 5), ("x" * 9, 4)],
)
def test_a_line_is_reckoned_with_more_tokens_than_it_has(line: str, tokens: int) -> None:
    assert tokens_at_most(line) == tokens


@given(st.text(max_size=200))
def test_no_line_is_reckoned_with_less_than_a_third_of_its_bytes(line: str) -> None:
    assert tokens_at_most(line) >= len(line.encode()) / 3


@given(st.lists(LINES, max_size=4), st.integers(1, 400))
def test_a_text_is_within_its_budget_and_of_whole_lines(lists: list[list[str]], budget: int) -> None:
    sections = [Section(f"s{number}", lines, len(lines) + number) for number, lines in enumerate(lists)]
    try:
        text = fitted(["head"], sections, budget)
    except BadInput:
        return
    assert sum(map(tokens_at_most, text.split("\n")[:-1])) <= budget
    assert len(text.encode()) / 3 <= budget
    assert set(text.split("\n")) <= {"", "head", *(f"## {line}" for line in titles(sections))} | set().union(*lists)


def titles(sections: list[Section]) -> set[str]:
    return {
        f"{one.title} ({one.total}{f'; {left} left out' if left else ''})"
        for one in sections
        for left in range(one.total + 1)
    }


def test_the_first_line_of_each_section_comes_before_the_second_of_any() -> None:
    sections = [Section("a", ["a1", "a2", "a3"], 9), Section("b", ["b1", "b2"], 2), Section("none", [], 0)]
    all_of_it = fitted(["head"], sections, 1000)
    needed = next(budget for budget in range(1, 100) if text_within(sections, budget))

    assert all_of_it == "head\n\n## a (9; 6 left out)\na1\na2\na3\n\n## b (2)\nb1\nb2\n"
    kept = [[word for word in text_within(sections, needed + more).split() if word[-1] in "123" and len(word) == 2]
            for more in range(0, 18, 3)]  # fmt: skip
    assert kept == [
        [],
        ["a1"],
        ["a1", "b1"],
        ["a1", "a2", "b1"],
        ["a1", "a2", "b1", "b2"],
        ["a1", "a2", "a3", "b1", "b2"],
    ]


def text_within(sections: list[Section], budget: int) -> str:
    try:
        return fitted(["head"], sections, budget)
    except BadInput:
        return ""


def test_a_budget_for_less_than_the_titles_is_refused_with_the_one_that_is_needed() -> None:
    with pytest.raises(BadInput, match="expected a budget of 18 tokens or more, got: 17"):
        fitted(["head"], [Section("a", ["a1"], 1)], 17)
    assert "(1; 1 left out)" in fitted(["head"], [Section("a", ["a1"], 1)], 18)
