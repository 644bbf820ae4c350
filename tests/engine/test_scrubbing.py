"""The scrubber of a project: allow-list, key, scrubbers of one's own, and what happens when one of these fails."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from tasktrail.config import load
from tasktrail.engine.scrubbing import Scrubber, scrubber_of
from tasktrail.model.scrub import STRICT, TEXT


def with_own(**own: Callable[[str], object]) -> Scrubber:
    return Scrubber(TEXT, own=lambda: tuple(own.items()))


def fail(text: str) -> str:
    raise ValueError(text)


def leave(_: str) -> str:
    raise SystemExit(3)


def close(_: str) -> str:
    raise GeneratorExit


def test_settings_say_what_stays_and_by_which_key() -> None:
    environ = {"TASKTRAIL_SCRUB_ALLOW": "127.0.0.1, ann@example.org", "TASKTRAIL_SCRUB_KEY": "k" * 16}
    scrub = scrubber_of(load(environ=environ), "strict")

    assert scrub("ann@example.org at 127.0.0.1") == "ann@example.org at 127.0.0.1"
    named = scrub("bob@example.org")
    assert named.startswith("[email:")
    assert scrub(f"eve@example.org BOB@example.org {named}").endswith(f"] {named} {named}")


def test_the_profile_is_text_unless_strict_is_asked_for() -> None:
    assert scrubber_of(load(environ={}))("10.0.0.1 a@example.org") == "10.0.0.1 [email]"
    assert scrubber_of(load(environ={}), "strict")("10.0.0.1 a@example.org") == "[ip] [email]"


@pytest.mark.requirement("AX-016")
def test_texts_of_one_record_are_named_alike() -> None:
    scrub = Scrubber(STRICT, own=lambda: ())

    assert scrub.together(["a@example.org", "b@example.org a@example.org", ""]) == ("[email]", "[email:2] [email]", "")
    later = scrub.record()
    assert [later(text) for text in ("a@example.org", "b@example.org", "a@example.org")] == [
        "[email]", "[email:2]", "[email]",
    ]  # fmt: skip


def test_scrubbers_of_ones_own_come_after_ours_one_after_the_other() -> None:
    scrub = with_own(first=lambda text: text.replace("[email]", "them"), second=str.upper)

    assert scrub("mail ann@example.org") == "MAIL THEM"
    assert scrub.together(["a@example.org", "x"]) == ("THEM", "X")


@pytest.mark.parametrize(
    ("own", "kind"),
    [
        (fail, "ValueError"), (leave, "SystemExit"), (close, "GeneratorExit"), (lambda _: None, "TypeError"),
        (len, "TypeError"),
    ],
)  # fmt: skip
def test_a_text_is_withheld_when_a_scrubber_fails_and_the_log_says_so_once(
    own: Callable[[str], object], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    scrub = with_own(mine=own)

    with caplog.at_level(logging.ERROR):
        assert scrub("the words of ann") == "[withheld: scrubber mine failed]"
        assert scrub.together(["one", "two"]) == ("[withheld: scrubber mine failed]",) * 2
    assert caplog.messages == [f"scrubber mine failed with {kind}; texts are withheld"]
    assert caplog.records[0].exc_info is None
    assert scrub(caplog.messages[0]) == caplog.messages[0]  # a log that is scrubbed by it can say it
    assert scrub("") == ""


def test_what_a_scrubber_of_ones_own_returns_can_be_stored() -> None:
    scrub = with_own(half=lambda text: text.replace("x", "\ud800"), none=lambda text: text.replace("y", "\0"))

    assert scrub("x and y") == "\\ud800 and \\0"
    assert scrub.together(["x", "ü"]) == ("\\ud800", "ü")


def test_one_that_would_come_later_is_not_asked_for_a_text_that_is_withheld() -> None:
    seen: list[str] = []

    def see(text: str) -> str:
        seen.append(text)
        return text

    with_own(a=fail, b=see)("the words of ann")
    assert seen == []
