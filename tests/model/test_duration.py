"""Durations: what is read, what is refused, and how people read them."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import duration
from tasktrail.model.duration import LONGEST_MS, MS_BY_UNIT, duration_text, parse_duration_ms
from tasktrail.model.errors import BadInput


def test_docstring_examples_hold() -> None:
    assert doctest.testmod(duration).failed == 0


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1, 1_000),
        (90, 90_000),
        (0.5, 500),
        (0.001, 1),
        (1.0005, 1_000),
        ("500ms", 500),
        ("90s", 90_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("1.5h", 5_400_000),
        (" 5 m ", 300_000),
        ("3650d", LONGEST_MS),
    ],
)
def test_a_duration_is_read_in_milliseconds(value: object, ms: int) -> None:
    assert parse_duration_ms(value) == ms


@pytest.mark.parametrize(
    "value", ["", "s", "90", "1h30m", "-5s", "5 minutes", "5M", "1e3s", "٣s", "5s\0", None, True, [5]]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(
        BadInput, match=r"^expected a duration to be a number of seconds or a text like 500ms, 90s, 5m, 2h, 7d, got: "
    ):
        parse_duration_ms(value)


@pytest.mark.parametrize("value", [0, 0.0, -1, "0s", "0.1ms", 0.0001, "3651d", 1e300, float("nan"), float("inf")])
def test_a_duration_of_nothing_or_beyond_ten_years_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match=r"^expected a duration to be from 1ms to 3650d, got: "):
        parse_duration_ms(value)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_cannot_even_be_written_is_refused(sign: int) -> None:
    with pytest.raises(BadInput, match=r"got: int too long to show$"):
        parse_duration_ms(sign * 10**5_000)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("90", "a text needs its unit, and a number no quotes"),
        ("1h30m", "write one number with one unit, 90m instead of 1h30m"),
    ],
)
def test_a_near_miss_is_told_how_it_is_written(value: str, advice: str) -> None:
    with pytest.raises(BadInput, match=advice):
        parse_duration_ms(value)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(1, "1ms"), (1_500, "1500ms"), (90_000, "90s"), (300_000, "5m"), (5_400_000, "90m"), (86_400_000, "1d")],
)
def test_a_duration_is_written_in_its_largest_whole_unit(ms: int, text: str) -> None:
    assert duration_text(ms) == text


@given(st.integers(1, LONGEST_MS))
def test_a_duration_is_read_as_it_was_written(ms: int) -> None:
    assert parse_duration_ms(duration_text(ms)) == ms


@given(st.integers(1, 3_650), st.sampled_from(sorted(MS_BY_UNIT)))
def test_a_unit_is_what_it_is_called(number: int, unit: str) -> None:
    assert parse_duration_ms(f"{number}{unit}") == number * MS_BY_UNIT[unit]
