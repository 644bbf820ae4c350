"""The runner of documentation blocks itself: what it runs, what it compares, how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of, commands_of, matches, run_page


def page(text: str) -> Path:
    path = Path("page.md")
    path.write_text(text)
    return path


def test_python_blocks_of_a_page_share_one_namespace():
    run_page(page("```python\nx = 20\n```\ntext\n```python\nassert x + 1 == 21\n```\n"))


def test_a_failing_block_names_the_page_and_its_line():
    with pytest.raises(ZeroDivisionError) as error:
        run_page(page("# Title\n\n```python\nx = 1\nx / 0\n```\n"))

    place = error.traceback[-1]
    assert (Path(place.path).name, place.lineno + 1) == ("page.md", 5)


def test_a_block_that_is_not_run_is_still_compiled():
    run_page(page("```python no-run\nimport no_such_module\n```\n"))

    with pytest.raises(SyntaxError):
        run_page(page("```python no-run\nimport import\n```\n"))


def test_a_block_with_a_file_name_is_written_there():
    run_page(page("```python file=steps/a.py\nraise SystemExit\n```\n```toml file=tasktrail.toml\n[store]\n```\n"))

    assert Path("steps/a.py").read_text() == "raise SystemExit\n"
    assert Path("tasktrail.toml").read_text() == "[store]\n"


def test_blocks_inside_lists_and_longer_fences_are_seen_as_a_reader_sees_them():
    text = "1. first\n\n   ```python\n   x = 1\n   ```\n\n````markdown\n```python\nraise SystemExit\n```\n````\n"

    assert [(block.language, block.line, block.text) for block in blocks_of(page(text))] == [
        ("python", 3, "x = 1\n"),
        ("markdown", 7, "```python\nraise SystemExit\n```\n"),
    ]


def test_commands_keep_their_output_and_continued_lines():
    text = "$ cd there\n$ tasktrail run dag \\\n    a:b  # go\nRun ...\ndone\n\n$ tasktrail list-runs\n"

    assert [(command.argv, command.expected) for command in commands_of(text)] == [
        (("run", "dag", "a:b"), "Run ...\ndone"),
        (("list-runs",), ""),
    ]


def test_a_command_must_end_with_the_code_the_page_says():
    run_page(page("```console exit=2\n$ tasktrail no-such-command\n```\n"))

    with pytest.raises(AssertionError, match=r"page\.md:1: tasktrail no-such-command ended with 2"):
        run_page(page("```console\n$ tasktrail no-such-command\n```\n"))


def test_output_must_be_as_shown():
    run_page(page("```console\n$ tasktrail --version\n...0.1...\n```\n"))

    with pytest.raises(AssertionError, match="the page shows:\nversion nine"):
        run_page(page("```console\n$ tasktrail --version\nversion nine\n```\n"))


def test_dots_stand_for_anything_and_nothing_else_does():
    assert matches("a ... c", "a b c")
    assert matches("first\n...\nlast", "first\n1\n2\nlast\n")
    assert not matches("a.c", "abc")
    assert not matches("first", "first\nsecond")
