"""`list-errors`, `show-error`, `resolve`, `ignore`, and what other commands tell of errors that are known."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cli.conftest import Call

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop.py", line {}, in pay
    connect()
BankError: no route to {}
"""


@pytest.fixture
def known(call: Call) -> str:
    """Two tasks that failed alike, the first of which was done afterwards."""
    call("add", "Pay")
    call("add", "Pay again")
    call("start", "T1")
    call("fail", "T1", "--error", TRACEBACK.format(3, "10.0.0.1"))
    call("note", "T1", "the cable was loose")
    call("retry", "T1")
    call("start", "T1")
    call("complete", "T1", "--result", "plugged it in")
    call("start", "T2")
    call("fail", "T2", "--error", TRACEBACK.format(9, "10.9.9.9"))
    (error,) = data(call, "list-errors")
    return str(error["id"])


def data(call: Call, *arguments: str) -> Any:
    return json.loads(call(*arguments, "--json").out)["data"]


@pytest.mark.requirement("AX-012", "AX-014", "AX-081")
def test_failures_of_one_kind_are_one_error_with_what_helped(call: Call, known: str) -> None:
    error = data(call, "show-error", known[4:8])

    assert (error["id"], error["occurrences"], error["status"]) == (known, 2, "open")
    assert error["tasks"] == ["main:T2", "main:T1"]
    assert [(one["task"], one["attempt"]) for one in error["mended"]] == [("main:T1", 2)]
    assert error["mended"][0]["notes"] == ["the cable was loose", "plugged it in"]
    assert (
        "attempt 2 of main:T1 succeeded afterwards: “the cable was loose” “plugged it in”"
        in call("show-error", known).out
    )


def test_a_failure_that_was_seen_before_is_told_with_what_helped(call: Call, known: str) -> None:
    call("add", "Once more")
    call("start", "T3")
    answer = call("fail", "T3", "--error", TRACEBACK.format(1, "x"))

    assert answer.out == "main:T3 is failed\n"
    assert f"error {known}, seen 3 times: TaskFailed: BankError: no route to x\n  in main:T2, main:T1\n" in answer.err
    assert "“plugged it in”" in answer.err


def test_a_failure_that_is_new_is_told_without_a_word_more(call: Call) -> None:
    call("add", "Pay")
    call("start", "T1")
    answer = call("fail", "T1", "--error", "no route")

    assert "error" not in answer.err
    assert data(call, "show", "T1")["known_error"] is None
    assert "error fp1" not in call("prime").out


def test_who_begins_a_task_that_failed_before_is_told_how(call: Call, known: str) -> None:
    call("retry", "T2")
    assert data(call, "show", "T2")["known_error"]["id"] == known
    claimed = call("next", "--claim")
    assert f"error {known}, seen 2 times" in claimed.err
    token = claimed.out.split()[-1]
    assert f'; error {known} seen 2 times; then attempt 2 of main:T1 succeeded "plugged it in"' in call("prime").out

    call("release", "T2", "--token", token)
    assert data(call, "next", "--claim")["known_error"]["mended"][0]["attempt"] == 2


def test_a_task_that_begins_for_the_first_time_is_told_nothing(call: Call, known: str) -> None:
    call("add", "Something else")

    assert data(call, "next", "--claim")["known_error"] is None


def test_an_error_that_comes_back_has_regressed_and_that_is_told(call: Call, known: str) -> None:
    assert call("resolve", known, "--note", "a new cable").out == f"{known} is resolved\n"
    assert data(call, "list-errors", "--status", "open") == []
    call("retry", "T2")
    call("start", "T2")
    answer = call("fail", "T2", "--error", TRACEBACK.format(4, "y"))

    assert re.search(rf"error {known}, seen 3 times, regressed: .*it was resolved \d", answer.err)
    assert call("list-errors").out.splitlines()[1].split()[:3] == [known, "regressed", "3"]
    assert call("doctor", "--verify").code == 0


def test_an_ignored_error_is_in_no_list_that_does_not_ask(call: Call, known: str) -> None:
    assert call("ignore", known).out == f"{known} is ignored\n"

    assert call("list-errors").out == ""
    assert [one["id"] for one in data(call, "list-errors", "--status", "ignored")] == [known]
    assert call("ignore", known, "--off").out == f"{known} is open\n"
    assert data(call, "list-errors", "--since", "1h")[0]["id"] == known


def test_what_is_said_of_errors_is_in_the_log_of_all_runs(call: Call, known: str) -> None:
    call("resolve", known, "--note", "a new cable")
    from tasktrail.cli.session import Session
    from tasktrail.engine.readers import Reader

    told = [one for one in Reader(Session().ledger()).page() if one.run is None]

    assert [(one.event.verb, one.event.note) for one in told] == [("error_resolved", "a new cable")]


def test_an_error_that_nobody_knows_is_not_found(call: Call, known: str) -> None:
    answer = call("show-error", "ffff")

    assert (answer.code, "no error has a fingerprint 'ffff'" in answer.err) == (3, True)
