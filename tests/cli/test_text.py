"""Text for people: tables as document 003 draws them, spans, widths, and nothing that steers a terminal."""

from __future__ import annotations

import pytest

from tasktrail.cli.text import Ink, box, columns, first_line, local, pad, plain, shorten, span, width
from tasktrail.formats.moment import iso_utc as utc

PLAIN = Ink(on=False)
HEADER = ("Step ID", "Status", "Retries", "Duration")
SAMPLE = [
    ("fetch_data", "SUCCESS", "0/3", "2.1s"),
    ("process", "FAILED", "3/3", "15.5s"),
    ("save", "PENDING", "0/3", "-"),
]


def no_style(column: int, cell: str) -> None:
    return None


@pytest.mark.requirement("BL-107")
def test_a_table_is_drawn_as_in_the_document():
    assert (
        "\n".join(box(HEADER, SAMPLE, limit=None, ink=PLAIN, style=no_style))
        == """\
┌─────────────┬──────────┬──────────┬─────────┐
│ Step ID     │ Status   │ Retries  │ Duration│
├─────────────┼──────────┼──────────┼─────────┤
│ fetch_data  │ SUCCESS  │ 0/3      │ 2.1s    │
│ process     │ FAILED   │ 3/3      │ 15.5s   │
│ save        │ PENDING  │ 0/3      │ -       │
└─────────────┴──────────┴──────────┴─────────┘"""
    )


def test_the_first_column_gives_way_on_a_narrow_terminal_and_never_in_a_pipe():
    rows = [("a-step-with-a-name-of-forty-characters-xx", "SUCCESS", "0/3", "2.1s")]

    narrow = list(box(HEADER, rows, limit=50, ink=PLAIN, style=no_style))
    piped = list(box(HEADER, rows, limit=None, ink=PLAIN, style=no_style))

    assert {width(line) for line in narrow} == {50}
    assert narrow[3].startswith("│ a-step-with-a… │ SUCCESS")
    assert "a-step-with-a-name-of-forty-characters-xx" in piped[3]


def test_wide_characters_keep_the_frame_straight():
    rows = [("日本語", "SUCCESS", "0/3", "-"), ("emoji 🚀", "FAILED", "0/3", "-"), ("e\u0301", "PENDING", "0/3", "-")]

    assert len({width(line) for line in box(HEADER, rows, limit=None, ink=PLAIN, style=no_style)}) == 1


def test_an_empty_table_has_a_head():
    assert (
        list(box(HEADER, [], limit=None, ink=PLAIN, style=no_style))[1] == "│ Step ID  │ Status  │ Retries  │ Duration│"
    )


def test_columns_are_two_blanks_apart_and_lines_have_no_blanks_at_the_end():
    rows = [("a", "dag", ""), ("long-name", "plan", "x")]

    assert list(columns(("RUN", "KIND", "NOTE"), rows, limit=None, ink=PLAIN, style=no_style)) == [
        "RUN        KIND  NOTE",
        "a          dag",
        "long-name  plan  x",
    ]


@pytest.mark.requirement("BL-108")
def test_ink_colours_only_when_it_is_on():
    assert Ink(on=True)("red", "FAILED") == "\x1b[31mFAILED\x1b[0m"
    assert Ink(on=False)("red", "FAILED") == "FAILED"
    assert Ink(on=True)(None, "x") == "x"


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (None, "-"), (0, "0ms"), (999, "0ms"), (1_000, "1ms"),
        (99_999, "99ms"), (100_000, "0.1s"), (59_949_999, "59.9s"), (59_950_000, "1m 00s"),
        (3_599_000_000, "59m 59s"), (3_600_000_000, "1h 00m"), (86_399_600_000, "1d 00h"),
    ],
)  # fmt: skip
def test_a_span_is_humanised(us: int | None, words: str):
    assert span(us) == words


def test_times_are_local_for_people_and_utc_for_programs(monkeypatch: pytest.MonkeyPatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert local(1_748_428_200_000_000) == "2025-05-28 16:00:00"
        assert utc(1_748_428_200_000_001) == "2025-05-28T10:30:00.000001Z"
        assert (local(None), utc(None)) == ("-", None)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_people_wrote_cannot_steer_the_terminal():
    assert plain("a\x1b[2Jb\r\n\u202ec") == "a\\x1b[2Jb\\x0d\\x0a\\u202ec"
    assert first_line("\n  \n  here\nthere") == "here"


def test_the_only_column_of_a_table_is_shown():
    assert list(columns(("N",), [["12345"]], limit=None, ink=PLAIN, style=no_style)) == ["N", "12345"]


def test_shorten_and_pad_count_columns():
    assert (shorten("日本語", 5), shorten("abc", 3), shorten("abcd", 3)) == ("日本…", "abc", "ab…")
    assert pad("日", 4) == "日  "
