"""Texts that are too long: no private value passes because a cut went through it."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.engine.failures import StepFailed, failure_of, told_failure
from tasktrail.engine.ledger import Ledger
from tasktrail.model.lifecycle import Failure
from tasktrail.model.plain import GUARD, held, trimmed
from tasktrail.model.scrub import scrub_text
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock, FixedIds
from tests.executions.told import told

LENGTHS = (10_000, 23_000, 110_000, 200_000)


@cache
def words(length: int) -> str:
    return ("the shelf was moved to the other wall\n" * (length // 38 + 1))[:length]


def random_text(characters: str, length: int) -> str:
    return "".join(random.Random(7).choices(characters, k=length))


BODY = random_text(string.ascii_letters + string.digits, 3_136)
VALUES = {
    "card": ("4111 1111 1111 1111", ("1111",)),
    "email": ("ann.somebody@example.org", ("somebody", "example.org")),
    "pem": (
        f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----",
        tuple(BODY[at : at + 12] for at in range(0, len(BODY) - 12, 64)),
    ),
    "aws": ("AKIA" + "QWERTZUIOPASDFGH", ("QWERTZ", "PASDFGH")),
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with closing(open_store(str(tmp_path_factory.mktemp("long") / "tasks.db"))) as store:
        yield Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())


def places(value: str, length: int, longest: int) -> list[int]:
    """Where a value may stand so that a cut goes through it, and where none does."""
    room = length - len(value)
    cuts = (longest // 2, longest // 2 + GUARD)
    near = [cut - 22 - back for cut in cuts for back in (0, len(value) // 2, len(value))]
    return sorted({at for one in (0, *near) for at in (one, room - one) if 0 <= at <= room})


def planted(longest: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    for value, parts in VALUES.values():
        for length in LENGTHS:
            around = words(length - len(value) - 2)
            for at in places(value, length - 2, longest):
                yield f"{around[:at]} {value} {around[at:]}", parts


def of_exception(ledger: Ledger, text: str) -> list[str]:
    kept = ledger.clean_failure(failure_of(ValueError(text)))
    return [kept.message]


def from_elsewhere(ledger: Ledger, text: str) -> list[str]:
    kept = ledger.clean_failure(failure_of(StepFailed(failure_of(StepFailed(Failure(text, text, text))))))
    return [kept.type, kept.message, kept.stack or ""]


def of_words(ledger: Ledger, text: str) -> list[str]:
    told = told_failure(text, "failed")
    assert told is not None
    kept = ledger.clean_failure(told)
    return [kept.message, kept.stack or ""]


def of_factory(_: Ledger, text: str) -> list[str]:
    experience = told(status="failed", response_text=text, error={"type": text, "message": text, "stack_trace": text})
    error = experience.content.structured["error"]
    summary = told(status="failed", error={"message": text}).content.text
    return [experience.content.text, error["type"], error["message"], error["stack_trace"], summary]


@pytest.mark.requirement("AX-016", "AX-024")
@pytest.mark.parametrize(
    ("store", "longest"),
    [
        (of_exception, 4_000),
        (from_elsewhere, 4_000),
        (from_elsewhere, 16_000),
        (of_words, 16_000),
        (of_factory, 100_000),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_no_value_passes_wherever_it_stands(
    ledger: Ledger, store: Callable[[Ledger, str], list[str]], longest: int
) -> None:
    for text, parts in planted(longest):
        kept = store(ledger, text)
        assert not [part for part in parts for one in kept if part in one]
        assert len(kept[-1]) <= 16_000
        assert max(map(len, kept)) <= max(longest, 16_000)


@given(
    st.integers(60, 20_000),
    st.lists(
        st.sampled_from(["a" * 5_000, "\n", "…", "…… 7 characters left out ……", "……" + "9" * 39 + "……", "x@y.org"])
    ),
)
def test_what_is_kept_is_never_too_long_and_doing_it_again_changes_nothing(longest: int, pieces: list[str]) -> None:
    text = "".join(pieces)
    kept = trimmed(scrub_text(held(text, longest)), longest)

    assert len(kept) <= longest
    assert held(held(text, longest), longest) == held(text, longest)
    assert trimmed(scrub_text(held(kept, longest)), longest) == kept


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text.translate(dict.fromkeys(map(ord, string.digits), "#"))]
)
def test_a_mark_that_another_scrubber_changed_is_one_still(change: Callable[[str], str]) -> None:
    for back in range(0, 30, 3):
        around = words(1_978 + GUARD - back)
        kept = trimmed(change(scrub_text(held(f"{around} ann.somebody@example.org {words(20_000)}", 4_000))), 4_000)
        assert "somebody"[:4] not in kept.lower()
        assert len(kept) <= 4_000


def test_what_is_left_out_is_counted() -> None:
    kept = trimmed(held("a" * 1_000_000, 4_000), 4_000)

    assert kept == "a" * 1_978 + "\n… 996044 characters left out …\n" + "a" * 1_978
    assert trimmed("b" * 4_000, 4_000) == "b" * 4_000
