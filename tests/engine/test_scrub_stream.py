"""A long text is scrubbed piece by piece, and no value is lost between two pieces."""

from __future__ import annotations

import pytest

from tasktrail.engine import scrub_stream
from tasktrail.engine.scrub_stream import pieces
from tasktrail.model.scrub import STRICT, Record, scrub

KEY = "-----BEGIN RSA PRIVATE" + " KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 12 + "-----END RSA PRIVATE" + " KEY-----"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub_stream, "_AROUND", 300)
    monkeypatch.setattr(scrub_stream, "_STEP", 7)


def chunks(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 333, 1_000, 100_000])
@pytest.mark.parametrize(
    "text",
    [
        "ann@example.org wrote from 10.0.0.1\n" * 200,
        "4111 1111 1111 1111 and then +49 30 1234567, " * 150,
        ('{"password": "hun ter2 with blanks", "n": 12}' * 150),
        f"before\n{KEY}\nafter\n" * 20,
        "x" * 5_000 + "550e8400-e29b-41d4-a716-446655440000" + "y" * 5_000,
        "",
    ],
    ids=["lines", "words", "quotes", "keys", "one word", "nothing"],
)
def test_in_pieces_it_reads_as_in_one(text: str, size: int) -> None:
    record = Record()
    assert "".join(record.scrubbed(one, STRICT) for one in pieces(chunks(text, size))) == scrub(text, STRICT)


def test_a_long_text_comes_in_more_than_one_piece() -> None:
    found = list(pieces(chunks("ann@example.org wrote\n" * 1_000, 1_000)))
    assert len(found) > 10
    assert all(one.endswith("\n") for one in found)


def test_what_has_no_place_to_cut_is_cut_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub_stream, "_MOST", 5_000)
    monkeypatch.setattr(scrub_stream, "_is_safe", lambda *_: False)
    found = list(pieces(chunks("x" * 20_000, 1_000)))
    assert (len(found) > 3, "".join(found)) == (True, "x" * 20_000)
