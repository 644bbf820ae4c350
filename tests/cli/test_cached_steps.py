"""`cache`: a result is used again for the same code and inputs alone, and it shows where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call

FLOW = """\
name: cached
params: {n: 1}
steps:
  - {id: first, call: "own:first"}
  - {id: middle, call: "own:middle", depends_on: first}
  - {id: last, run: [python3, work.py, "{first}"], depends_on: middle, cache: 7d}
"""


@pytest.fixture(autouse=True)
def cached() -> None:
    Path("cached.yaml").write_text(FLOW, "utf-8")
    Path("own.py").write_text("import os\ndef first(n): return n\ndef middle(): return 0\n", "utf-8")
    Path("work.py").write_text("import sys; print(sys.argv[1])", "utf-8")


def last(call: Call, run: str, *arguments: str) -> dict[str, object]:
    """Execute a run and return how its last step stands."""
    call("run", "dag", "cached.yaml", "--run-id", run, *arguments)
    task: dict[str, object] = call("status", run, "--json").data["tasks"][-1]
    return task


def test_a_hit_says_in_all_views_whose_result_it_is(call: Call) -> None:
    assert last(call, "one")["attempts"] == 1

    progress = call("run", "dag", "cached.yaml", "--run-id", "two").err
    hit = call("status", "two", "--json").data["tasks"][-1]

    words = "used again: the result of one:last, attempt 1"
    assert (hit["attempts"], hit["status"], hit["reason"]) == (0, "completed", words)
    assert hit["result"] == {"exit_code": 0, "stdout": "1\n"}
    assert f"completed: {words}" in progress
    assert f"last is completed: {words}" in call("explain", "two:last").out
    assert words in call("history", "two:last").out
    assert words in call("status", "two", "-v").out
    assert call("doctor", "--verify").code == 0


def test_a_result_that_a_step_gets_through_others_is_an_input_too(call: Call) -> None:
    """`middle` gives the same in both runs; only the path in the command tells them apart."""
    last(call, "one")
    Path("own.py").write_text("import os\ndef first(n): return n + 1\ndef middle(): return 0\n", "utf-8")

    assert last(call, "two")["result"] == {"exit_code": 0, "stdout": "2\n"}


@pytest.mark.parametrize(
    "change",
    [
        ("cached.yaml", 'work.py, "{first}"', 'work.py, "{first}", "x"'),
        ("cached.yaml", "cache: 7d", "env: {A: b}, cache: 7d"),
        ("cached.yaml", 'work.py, "{first}"', 'work.py, "{run.id}"'),
        ("work.py", "print", "print()or print"),
        ("own.py", "return 0", "return 1"),
    ],
)
def test_changed_code_or_inputs_are_no_hit(call: Call, change: tuple[str, str, str]) -> None:
    last(call, "one")
    name, old, new = change
    text = Path(name).read_text("utf-8")
    assert old in text
    Path(name).write_text(text.replace(old, new), "utf-8")

    assert last(call, "two")["attempts"] == 1
    assert last(call, "three")["attempts"] == (1 if "{run.id}" in new else 0)


def test_a_failure_is_not_kept(call: Call) -> None:
    Path("work.py").write_text("import os, sys; sys.exit(0 if os.path.exists('mended') else 3)", "utf-8")
    assert last(call, "one")["status"] == "failed"
    Path("mended").touch()

    assert last(call, "two")["attempts"] == 1
    assert last(call, "three")["attempts"] == 0


def test_what_is_taken_back_is_done_again_and_not_taken_from_the_cache(call: Call) -> None:
    last(call, "one")
    assert last(call, "two")["attempts"] == 0

    assert call("retry", "two", "--from", "last").code == 0

    again = call("status", "two", "--json").data["tasks"][-1]
    assert (again["attempts"], again["reason"]) == (1, None)
