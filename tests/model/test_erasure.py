"""Taking a text out of others: whatever its case, inside the strings of JSON, never what holds these together."""

from __future__ import annotations

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import erasure
from tasktrail.model.erasure import Eraser
from tasktrail.model.errors import BadInput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
TEXTS = st.text('abXY"\\\u00e9', min_size=3, max_size=4)


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(erasure).failed == 0


@pytest.mark.parametrize("text", ["", "ab", "  ab  ", "era", "[ERASED", "d]"])
def test_what_is_too_short_or_part_of_the_placeholder_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Eraser(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"who": "Ann Example", "n": [1.50, "x"]}', '{"who": "[erased]", "n": [1.50, "x"]}'),
        ('"by ann example"', '"by [erased]"'),
        ('{ "a" :"Ann\\u0020Example" }', '{ "a" :"[erased]" }'),
        ('["\\"Ann Example\\"", "\\\\Ann Example"]', '["\\"[erased]\\"", "\\\\[erased]"]'),
        ('{"Ann Example": 1}', '{"Ann Example": 1}'),
        ('["Ann", " Example"]', '["Ann", " Example"]'),
    ],
)
def test_json_changes_within_its_strings_alone(before: str, after: str) -> None:
    assert Eraser("Ann Example").inside(before) == after


def test_names_of_members_go_with_somebodys_own_values() -> None:
    assert Eraser("ann").value('{"Ann": {"x\\"ann": "ann"}}') == '{"[erased]": {"x\\"[erased]": "[erased]"}}'


@given(JSON, TEXTS, st.booleans())
def test_json_stays_json_and_nothing_of_the_text_is_left_in_it(value: object, text: str, ascii_alone: bool) -> None:
    eraser = Eraser(text)
    before = json.dumps({"said": [value, text.upper()]}, ensure_ascii=ascii_alone)

    after = json.loads(eraser.value(before))

    strings = list(_strings(after))
    assert not any(eraser.text(one) != one for one in strings)


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [one for pair in value.items() for part in pair for one in _strings(part)]
    return [one for part in value for one in _strings(part)] if isinstance(value, list) else []


def test_an_event_says_of_a_column_what_the_column_says() -> None:
    eraser = Eraser("ann")
    output, summary = '{"by": "Ann"}', 'said "ann"'
    told = json.dumps({"output": [None, output], "summary": [None, summary], "last_outcome": ["ann", "ok"]})

    after = json.loads(eraser.changes(told, {"output": eraser.value, "last_outcome": None}))

    assert after == {
        "output": [None, eraser.value(output)],
        "summary": [None, eraser.text(summary)],
        "last_outcome": ["ann", "ok"],
    }
