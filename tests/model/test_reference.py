"""How runs, tasks, cells and mapped steps are named, and what a name may mean."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import reference
from tasktrail.model.errors import BadInput
from tasktrail.model.reference import (
    KINDS,
    MAX_KEY_CHARS,
    RUN_ID,
    Reference,
    check_key,
    check_run_id,
    format_task,
    parse_run,
    readings,
)

RUN_IDS = st.from_regex(RUN_ID, fullmatch=True)
KEYS = st.text(min_size=1, max_size=MAX_KEY_CHARS).filter(lambda text: text.isprintable() and text == text.strip(" "))
TRICKY_KEYS = st.text(alphabet="a/#:0 1", min_size=1, max_size=12).filter(lambda text: text == text.strip(" "))
TASKS = st.builds(
    Reference,
    run=RUN_IDS,
    kind=st.none() | st.sampled_from(KINDS),
    key=KEYS | TRICKY_KEYS,
    item=st.none() | KEYS | TRICKY_KEYS,
    index=st.none() | st.integers(0, 999_999_999),
)


def test_docstring_examples_hold() -> None:
    assert doctest.testmod(reference).failed == 0


@pytest.mark.parametrize("text", ["A", "my-dag-123", "2024.01_x", "9", "a" * 128])
def test_run_id_is_returned_when_it_is_one(text: str) -> None:
    assert check_run_id(text) == text


@pytest.mark.parametrize(
    "text", ["", ".", "..", "../etc", "a/b", "-rf", "_a", "a b", "a\n", "a\0", "é", "🚀", "a" * 129, "a:b", "A\u0660"]
)
def test_run_id_is_refused_when_it_could_be_anything_else(text: str) -> None:
    with pytest.raises(BadInput, match="expected a run id to be 1-128 characters of A-Z a-z 0-9"):
        check_run_id(text)


@pytest.mark.parametrize("text", ["x" * 10_000 + "/", "\0" * 10_000, "🚀" * 10_000, "\udc80" * 10_000])
@pytest.mark.parametrize("check", [check_run_id, check_key, readings, parse_run])
def test_a_hostile_text_is_shown_short_and_escaped(check: object, text: str) -> None:
    assert callable(check)
    with pytest.raises(BadInput) as refused:
        check(text)
    assert len(refused.value.message) < 420
    assert refused.value.message.isprintable()


def test_what_is_no_text_is_refused_like_any_bad_id() -> None:
    with pytest.raises(BadInput, match="got: None"):
        check_run_id(None)  # type: ignore[arg-type]  # what untyped callers do
    with pytest.raises(BadInput, match="got: 7"):
        check_key(7)  # type: ignore[arg-type]  # what untyped callers do


@pytest.mark.parametrize("text", ["T1", "write the intro", "é", "🚀", "a:b", "a/b#2", "../x", "k" * 200])
def test_key_may_be_any_visible_text(text: str) -> None:
    assert check_key(text) == text


@pytest.mark.parametrize("text", ["", " ", " a", "a ", "a\tb", "a\nb", "a\0", "a\u200bb", "\u202ea", "\xa0", "k" * 201])
def test_key_is_refused_when_part_of_it_cannot_be_seen(text: str) -> None:
    with pytest.raises(BadInput, match="expected an item to be 1-200 printable characters"):
        check_key(text, "item")


@given(RUN_IDS)
def test_every_text_of_the_pattern_is_a_run_id(text: str) -> None:
    assert check_run_id(text) == text


@given(st.text(max_size=300))
def test_a_key_is_either_kept_as_it_is_or_refused(text: str) -> None:
    try:
        assert check_key(text) == text
    except BadInput:
        assert not text.isprintable() or text != text.strip(" ") or not 1 <= len(text) <= 200


@given(TASKS)
def test_every_task_is_among_the_readings_of_its_own_reference(task: Reference) -> None:
    assert task in readings(str(task))


@given(RUN_IDS, st.none() | st.sampled_from(KINDS))
def test_a_run_is_the_first_reading_of_its_own_reference(run: str, kind: str | None) -> None:
    assert readings(str(Reference(run, kind)))[0] == parse_run(str(Reference(run, kind))) == Reference(run, kind)


@given(st.text(max_size=60) | st.text(alphabet="Aa:/#0 .", max_size=20))
def test_readings_are_distinct_and_lead_back_to_the_text_or_are_refused(text: str) -> None:
    try:
        found = readings(text)
    except BadInput:
        return
    assert found
    assert len(set(found)) == len(found)
    assert {str(reading) for reading in found} == {text}


@given(TASKS)
def test_format_task_writes_what_the_reference_says(task: Reference) -> None:
    assert task.run is not None
    assert task.key is not None
    index = -1 if task.index is None else task.index
    plain = Reference(task.run, None, task.key, task.item, task.index)
    assert format_task(task.run, task.key, task.item or "", index) == str(plain)


def test_a_cell_goes_before_a_key_that_looks_like_one() -> None:
    assert readings("A:ch01/research") == [
        Reference("A", key="research", item="ch01"),
        Reference("A", key="ch01/research"),
    ]


def test_a_run_goes_before_a_bare_key() -> None:
    assert readings("T1") == [Reference("T1"), Reference(None, key="T1")]


def test_a_kind_before_the_run_is_read() -> None:
    assert readings("plan/A:T1") == [Reference("A", "plan", "T1")]


def test_a_reference_splits_at_its_first_colon() -> None:
    assert readings("A:b:c") == [Reference("A", key="b:c")]


@pytest.mark.parametrize("text", ["A:x#02", "A:x#-1", "A:x#", "A:x#1234567890", "A:x#\u0662"])
def test_only_an_index_as_we_write_it_is_one(text: str) -> None:
    assert readings(text) == [Reference("A", key=text[2:])]


def test_a_colon_with_nothing_after_it_is_refused() -> None:
    with pytest.raises(BadInput, match=r"expected a key to be .* got: ''"):
        readings("A:")


@pytest.mark.parametrize("text", ["", " ", "\0", "A:\n"])
def test_a_text_without_any_reading_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        readings(text)


def test_a_run_of_an_unknown_kind_is_refused_where_only_a_run_can_be_meant() -> None:
    with pytest.raises(BadInput, match="kind to be one of plan, dag, matrix, job, cards, got: 'dug'"):
        parse_run("dug/A")
