"""Scrubbers that somebody else installed, and the settings of scrubbing: what reaches the store, logs and exports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer

Call = Callable[..., Answer]
WITHHELD = "[withheld: scrubber names failed]"


@pytest.fixture
def tasktrail(spawn: Call) -> Call:
    """The command, where a distribution with one scrubber is installed."""
    info = Path("site/own-1.0.dist-info")
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[tasktrail.scrubbers]\nnames = own_scrubber:scrub\n", "utf-8")
    paths = os.pathsep.join(filter(None, ["site", os.environ.get("PYTHONPATH")]))
    return lambda *arguments, **more: spawn(*arguments, **{"PYTHONPATH": paths, **more})


def scrubber(body: str) -> None:
    Path("site/own_scrubber.py").write_text(f"def scrub(text):\n    {body}\n", "utf-8")


def bytes_of_store() -> bytes:
    return b"".join(path.read_bytes() for path in Path(".tasktrail").iterdir() if path.is_file())


def note(tasktrail: Call, text: str, **environment: str) -> str:
    """Write a note, and return what was stored of it."""
    tasktrail("add", "Ask her", **environment)
    assert tasktrail("note", "T1", text, **environment).code == 0
    noted: str = tasktrail("show", "T1", "--json").data["notes"][-1]["note"]
    return noted


def test_an_installed_scrubber_sees_what_ours_left(tasktrail: Call) -> None:
    scrubber('return text.replace("Lovelace", "[name]")')

    assert note(tasktrail, "Lovelace is ada@example.org") == "[name] is [email]"
    assert b"Lovelace" not in bytes_of_store()


@pytest.mark.parametrize("body", ["raise ValueError(text)", "return None", "raise SystemExit"])
def test_a_text_that_it_fails_on_is_never_stored(tasktrail: Call, body: str) -> None:
    scrubber(body)
    tasktrail("add", "Ask her")
    answer = tasktrail("note", "T1", "the words of Lovelace")

    assert answer.code == 0
    assert answer.err.count("scrubber names failed with") == 1
    assert "Lovelace" not in answer.err
    assert tasktrail("show", "T1", "--json").data["notes"][-1]["note"] == WITHHELD
    assert b"Lovelace" not in bytes_of_store()


def test_one_that_cannot_be_imported_withholds_too(tasktrail: Call) -> None:
    Path("site/own_scrubber.py").write_text("raise RuntimeError('the words of Lovelace')", "utf-8")

    assert note(tasktrail, "anything") == WITHHELD


def test_a_key_names_equal_values_alike_in_all_records_and_is_never_shown(tasktrail: Call) -> None:
    scrubber("return text")
    key = {"TASKTRAIL_SCRUB_KEY": "a-very-long-secret-key"}
    first, second = (note(tasktrail, f"{who} ann@example.org", **key) for who in ("for", "from"))

    assert first.removeprefix("for ") == second.removeprefix("from ")
    assert first.startswith("for [email:")
    assert len(first) == len("for [email:]") + 12
    for answer in (tasktrail("config", "show", **key), tasktrail("config", "show", "--json", **key)):
        assert "***" in answer.out
        assert key["TASKTRAIL_SCRUB_KEY"] not in answer.out
    refused = tasktrail("config", "show", TASKTRAIL_SCRUB_KEY="tooshort")
    assert (refused.code, "tooshort" in refused.err) == (2, False)


def test_an_allowed_value_is_stored(tasktrail: Call) -> None:
    scrubber("return text")
    Path("tasktrail.toml").write_text('[scrub]\nallow = ["help@example.org"]\n', "utf-8")

    assert note(tasktrail, "help@example.org, ann@example.org") == "help@example.org, [email]"
    assert [one["value"] for one in tasktrail("config", "show", "--json").data if one["id"] == "scrub.allow"] == [
        ["help@example.org"]
    ]
    assert "help@example.org  " in tasktrail("config", "show").out


def test_an_export_that_is_scrubbed_is_scrubbed_strictly_and_task_by_task(tasktrail: Call) -> None:
    scrubber("return text")
    tasktrail("add", "Ask ann@example.org or bob@example.org at 10.0.0.1")
    tasktrail("add", "Ask bob@example.org", "--after", "T1")
    answer = tasktrail("export", "--scrub")

    tasks = json.loads(answer.out)["tasks"]
    assert [task["description"] for task in tasks] == ["Ask [email:1] or [email:2] at [ip]", "Ask [email]"]
    assert [task["id"] for task in tasks] == ["T1", "T2"]
