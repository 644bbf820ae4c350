"""Output on its way to the store: whole lines by stream, both ends of too much, no secret in any split."""

from __future__ import annotations

import itertools

import pytest

from tasktrail.engine.output import KEPT_AT_EACH_END
from tasktrail.engine.printed import STDERR, STDOUT, Printed
from tasktrail.model.scrub import scrub_text

KEY = """-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED

MIIEpAIBAAKCAQEA7
x0k4mVlNn2b3
-----END RSA PRIVATE KEY-----
"""


def stored(*writes: tuple[int, str]) -> str:
    """Return all lines that are stored of what was written."""
    printed = Printed(1, 1, scrub_text)
    for stream, text in writes:
        printed.write(stream, text)
    return "".join(piece.lines for piece in printed.end())


def test_lines_know_their_stream_and_stand_in_the_order_in_which_they_ended():
    assert stored((1, "one\ntw"), (2, "oh\n"), (1, "o\nthree")) == "1one\n2oh\n1two\n1three\n"


def test_a_carriage_return_ends_a_line_and_with_a_newline_it_is_one_end():
    assert stored((1, "10%\r20%\r"), (1, "\nready\r\nlast\r")) == "110%\n120%\n1ready\n1last\n"


def test_a_secret_is_found_wherever_the_text_was_split():
    text = "a\npassword=hunter2secret b\nAKIAABCDEFGHIJKLMNOP\n"
    for at in range(len(text)):
        assert stored((1, text[:at]), (1, text[at:])) == "1a\n1password=[secret] b\n1[secret:aws]\n"


def test_nothing_of_a_private_key_is_kept_wherever_its_lines_were_split():
    text = f"before it\n{KEY}after it\n"
    for first, second in itertools.combinations(range(0, len(text), 3), 2):
        found = stored((1, text[:first]), (2, "meanwhile, all well\n"), (1, text[first:second]), (1, text[second:]))
        assert "MIIE" not in found, (first, second)
        assert "x0k4" not in found, (first, second)
        assert found.startswith("1before it\n") or first < 10
        assert found.endswith("1after it\n"), (first, second)


def test_a_heading_of_a_key_without_a_key_hides_nothing_that_follows():
    found = stored((1, "grep for -----BEGIN RSA PRIVATE KEY-----\n"), (1, "3 files found in 2 s\n"), (1, "bye\n"))

    assert found.endswith("13 files found in 2 s\n1bye\n")


def test_of_too_much_both_ends_are_kept_and_positions_say_what_is_missing():
    printed = Printed(1, 1, scrub_text)
    for number in range(40_000):
        printed.write(STDOUT, f"line {number:06d} of many, many, many, many lines\n")
    pieces = printed.end()
    text = "".join(piece.lines for piece in pieces)
    gaps = [after.position - one.position - one.length for one, after in itertools.pairwise(pieces)]

    assert text.startswith("1line 000000 ")
    assert text.endswith("line 039999 of many, many, many, many lines\n")
    assert 2 * KEPT_AT_EACH_END <= sum(piece.length for piece in pieces) <= 2 * KEPT_AT_EACH_END + 2 * 64 * 1024
    assert [gap for gap in gaps if gap] == [40_000 * 44 - sum(piece.length for piece in pieces)]


def test_a_line_that_never_ends_is_cut_at_a_word_and_the_rest_is_left_out():
    printed = Printed(1, 1, scrub_text)
    printed.write(STDERR, "word " * 30_000)
    printed.write(STDERR, "password=hun")
    printed.write(STDERR, "ter2 end\nnext\n")
    first, second = printed.end()

    assert 60_000 < len(first.lines) < 66_000
    assert first.lines.endswith(" word\n")
    assert second.lines == "2next\n"
    assert second.position == len("word " * 30_000 + "password=hunter2 end") + len("\n")


def test_what_is_stored_is_not_stored_again_and_what_was_not_is():
    printed = Printed(1, 1, scrub_text)
    printed.write(STDOUT, "one\n")
    printed.stored(printed.pieces())
    printed.write(STDOUT, "two\n")
    printed.pieces()
    printed.write(STDOUT, "three\nfour")

    assert [piece.lines for piece in printed.end()] == ["1two\n", "1three\n1four\n"]
    assert printed.end() == []


def test_lines_are_shown_scrubbed_as_they_come_and_after_the_end_too():
    shown: list[str] = []
    printed = Printed(1, 1, scrub_text, shown.append)
    printed.write(STDOUT, "token=abcdef0123456789\nbeg")
    assert shown == ["token=[secret]"]
    printed.end()
    printed.write(STDOUT, "late\n")

    assert shown == ["token=[secret]", "beg", "late"]
    assert printed.end() == []


@pytest.mark.parametrize("text", ["", "\n", "\r\n\r\n", "\0\x1b[31m", "\ud800 half\n", "no end"])
def test_odd_text_is_no_trouble(text: str):
    stored((1, text))
