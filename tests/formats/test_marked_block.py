"""The block in somebody else's file: what stands around it is theirs, character for character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.formats.marked_block import BEGIN, END, put, take_out
from tasktrail.model.errors import BadInput

TEXTS = st.text(alphabet="a #\r\n\ufeff-é", max_size=30)
LINES = ["one", "", "two"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"{BEGIN}\none\n\ntwo\n{END}\n"),
        ("a\n", f"a\n\n{BEGIN}\none\n\ntwo\n{END}\n"),
        ("a", f"a\n\n{BEGIN}\none\n\ntwo\n{END}"),
        ("a\r\nb\r\n", f"a\r\nb\r\n\r\n{BEGIN}\r\none\r\n\r\ntwo\r\n{END}\r\n"),
    ],
)
def test_a_block_is_put_at_the_end_of_a_text_with_its_line_ends(text: str, expected: str) -> None:
    assert put(text, LINES, "f") == expected


@given(TEXTS)
def test_a_block_that_is_put_in_and_taken_out_leaves_the_text_as_it_was(text: str) -> None:
    assert take_out(put(text, LINES, "f"), "f") == text


@given(TEXTS)
def test_a_block_that_is_put_in_twice_is_there_once(text: str) -> None:
    once = put(text, LINES, "f")

    assert put(once, LINES, "f") == once
    assert put(put(text, ["older"], "f"), LINES, "f") == once


@given(TEXTS.filter(lambda text: text.endswith("\n")), TEXTS)
def test_what_is_written_below_the_block_stays_when_it_is_taken_out(above: str, below: str) -> None:
    assert take_out(put(above, LINES, "f") + below, "f") == above + below


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"a\n{BEGIN}\nb\n", 2),
        (f"a\nb\n{END}\n", 3),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", 2),
        (f"{BEGIN}\n{END}\nc\n{BEGIN}\n{END}\n", 4),
        (f"{END}\n{BEGIN}\n", 1),
    ],
)
def test_a_text_with_half_a_block_or_two_is_refused_with_its_line(text: str, line: int) -> None:
    for work in (lambda: put(text, LINES, "CLAUDE.md"), lambda: take_out(text, "CLAUDE.md")):
        with pytest.raises(BadInput, match=rf"^CLAUDE\.md:{line}: expected one block") as caught:
            work()
        assert "CLAUDE.md" in str(caught.value.hint)


def test_a_mark_inside_a_line_is_no_mark() -> None:
    text = f"Write `{BEGIN}` where it begins.\n    {END}\n"

    assert take_out(text, "f") == text
