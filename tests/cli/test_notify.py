"""`notify --once`: the commands of tasktrail.toml are run for what happened since the last time."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call

SAID = '[[notify]]\non = ["completed"]\nrun = ["sh", "-c", "cat >> told.jsonl; echo >> told.jsonl"]\n'


def test_what_happened_since_the_last_time_is_told_once(call: Call):
    Path("tasktrail.toml").write_text(SAID, encoding="utf-8")
    call("add", "Before")
    call("complete", "T1")
    assert call("notify", "--once").code == 0
    assert not Path("told.jsonl").exists()

    call("add", "After")
    call("complete", "T2", "--result", "It works")
    for _ in range(2):
        assert call("notify", "--once").code == 0

    (event,) = map(json.loads, Path("told.jsonl").read_text().splitlines())
    assert (event["task"], event["to_status"]) == ("main:T2", "completed")


def test_without_tables_it_says_where_to_put_them(call: Call):
    answer = call("notify", "--once")

    assert (answer.code, "[[notify]]" in answer.err) == (2, True)
