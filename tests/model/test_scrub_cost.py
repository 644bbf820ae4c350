"""What scrubbing costs: linear time, whatever the text; and every rule is looked at here."""

from __future__ import annotations

import time

import pytest

from benchmarks.hostile import HOSTILE, OPENING
from tasktrail.model.scrub import STRICT, scrub


def test_every_rule_has_its_hostile_texts() -> None:
    assert HOSTILE.keys() == {rule.name for rule in STRICT.rules}


def test_the_opening_makes_every_rule_look() -> None:
    assert STRICT.due(OPENING, OPENING.lower()) == list(STRICT.rules)


@pytest.mark.parametrize("piece", [piece for pieces in HOSTILE.values() for piece in pieces], ids=repr)
@pytest.mark.parametrize("head", ["", "a" * 5_000], ids=["", "run"])
def test_ten_times_the_text_takes_about_ten_times_as_long(piece: str, head: str) -> None:
    """Quadratic time would be a hundredfold; what is measured is the processor's time, the best of three."""
    short, long = (OPENING + head + piece * (size // len(piece)) for size in (4_000, 40_000))
    scrub(short, STRICT)  # compiles

    assert best_time_s(long) < 40 * max(best_time_s(short), 0.000_2)


def best_time_s(text: str) -> float:
    """Return the least processor time that scrubbing the text took."""
    times_s = []
    for _ in range(3):
        started_s = time.process_time()
        scrub(text, STRICT)
        times_s.append(time.process_time() - started_s)
    return min(times_s)
