"""The example `content-week`, by the command line: a week, the next one, a busy outbox, and what is not posted."""

from __future__ import annotations

import fcntl
import inspect
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call

FLOW = Path(__file__).resolve().parents[2] / "examples" / "content-week" / "content-week.yaml"
OUTBOX = Path("example-out", "content-week", "outbox")


def command(run: str, monday: str, *params: str) -> list[str]:
    options = [word for param in (f"monday={monday}", *params) for word in ("-p", param)]
    return ["run", "dag", str(FLOW), "--run-id", run, "--no-wait", *options]


def posts() -> list[str]:
    return sorted(path.name for path in OUTBOX.glob("*.md"))


def tasks(spawn: Call, run: str) -> dict[str, Any]:
    found = spawn("run", "dag", "--status", run, "--json").data["tasks"]
    return {task["id"].partition(":")[2]: task for task in found}


@contextmanager
def busy_outbox() -> Iterator[None]:
    """Hold the outbox as another program would that posts."""
    OUTBOX.mkdir(parents=True)
    with (OUTBOX / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_week_is_researched_written_and_posted(spawn: Call) -> None:
    done = spawn(*command("w1", "2026-01-05"))

    assert done.code == 0, done.err
    assert posts() == [f"2026-01-{day}.md" for day in ("05-argparse", "06-csv", "08-textwrap", "09-zipfile")]
    post = (OUTBOX / "2026-01-08-textwrap.md").read_text("utf-8")
    lines = len(inspect.getsource(textwrap).splitlines())
    assert post.startswith(
        f"# Thursday: textwrap\n\n{inspect.getdoc(textwrap)}\n\nIts source has {lines} lines, and uses "
    )
    assert f"- `shorten`: {inspect.getdoc(textwrap.shorten)}".partition("\n")[0] in post
    found = tasks(spawn, "w1")
    assert found["content#2"]["reason"] == "when: item.lines > 0"
    times = sorted((found[f"post#{part}"]["started_at"], found[f"post#{part}"]["completed_at"]) for part in range(4))
    assert all(ended <= started for (_, ended), (started, _) in pairwise(times)), "the limit lets one post at a time"
    assert "4 posts in " in done.err
    assert "none about itertools" in done.err
    assert spawn("doctor", "--verify").code == 0


def test_the_next_week_uses_the_research_again_and_does_what_is_new(spawn: Call) -> None:
    assert spawn(*command("w1", "2026-01-05", 'topics=["csv", "textwrap"]')).code == 0
    done = spawn(*command("w2", "2026-01-12", 'topics=["textwrap", "heapq"]'))

    assert done.code == 0, done.err
    found = tasks(spawn, "w2")
    assert [found[f"research#{part}"]["attempts"] for part in (0, 1)] == [0, 1]
    assert "reading textwrap" not in done.err
    assert [found[f"content#{part}"]["attempts"] for part in (0, 1)] == [1, 1]
    first, second = ((OUTBOX / name).read_text("utf-8").splitlines() for name in posts()[1:3])
    assert (first[0], second[0]) == ("# Tuesday: textwrap", "# Monday: textwrap")
    assert first[1:] == second[1:]


def test_a_busy_outbox_is_tried_again_until_it_is_free(spawn: Call) -> None:
    arguments = command("w1", "2026-01-05", 'topics=["csv"]')
    with busy_outbox():
        run = subprocess.Popen([sys.executable, "-m", "tasktrail", *arguments], stderr=subprocess.PIPE, text=True)
        assert run.stderr is not None
        said = next((line for line in run.stderr if "exit code 75" in line), "")
    _, rest = run.communicate(timeout=60)

    assert "the outbox is busy" in said
    assert (run.returncode, posts()) == (0, ["2026-01-05-csv.md"]), rest
    assert tasks(spawn, "w1")["post#0"]["retries"] >= 1


@pytest.mark.crash
def test_a_post_whose_process_was_killed_is_not_repeated_and_a_person_decides(spawn: Call) -> None:
    """The draft becomes a pipe that nobody writes to, so the command stands in the middle of its post."""
    draft, post = Path("example-out/content-week/w1/2026-01-05-csv.md"), OUTBOX / "2026-01-05-csv.md"
    arguments = [sys.executable, "-m", "tasktrail", *command("w1", "2026-01-05", 'topics=["csv"]')]
    with busy_outbox():
        run = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        assert run.stderr is not None
        assert any("exit code 75" in line for line in run.stderr)
        draft.unlink()
        os.mkfifo(draft)
    deadline = time.monotonic() + 60
    while not post.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.kill()
    run.communicate()

    resumed = spawn("resume", "w1", "--no-wait")
    assert (resumed.code, "tasktrail complete w1:post#0" in resumed.err) == (0, True), resumed.err
    assert tasks(spawn, "w1")["post#0"]["status"] == "blocked"

    assert spawn("complete", "w1:post#0", "--note", "it is there").code == 0
    assert spawn("resume", "w1").code == 0
    assert {task["status"] for task in tasks(spawn, "w1").values()} == {"completed"}


def test_what_was_posted_before_fails_at_once_and_is_left_as_it_is(spawn: Call) -> None:
    OUTBOX.mkdir(parents=True)
    (OUTBOX / "2026-01-05-csv.md").write_text("by hand\n", "utf-8")

    done = spawn(*command("w1", "2026-01-05", 'topics=["csv", "textwrap"]'))

    assert done.code == 5
    post = tasks(spawn, "w1")["post#0"]
    assert (post["attempts"], post["status"]) == (1, "failed")
    assert "2026-01-05-csv.md was posted before" in spawn("explain", "w1").out
    assert (OUTBOX / "2026-01-05-csv.md").read_text("utf-8") == "by hand\n"


def test_a_post_that_reads_badly_is_said_and_posted_all_the_same(spawn: Call) -> None:
    done = spawn(*command("w1", "2026-01-05", 'topics=["this"]'))

    assert tasks(spawn, "w1")["proofread"]["status"] == "failed"
    assert "2026-01-05-this.md has " in spawn("history", "w1:proofread").out
    assert (done.code, posts()) == (5, ["2026-01-05-this.md"]), done.err
    assert "PARTIAL_SUCCESS" in done.out


def test_nothing_is_posted_on_a_dry_run(spawn: Call) -> None:
    done = spawn(*command("w1", "2026-01-05", "dry=true"))

    assert (done.code, posts()) == (0, []), done.err
    assert (tasks(spawn, "w1")["post"]["status"], "0 posts in " in done.err) == ("skipped", True)


@pytest.mark.parametrize(("topics", "got"), [('["csv", "no_such_module"]', "no_such_module"), ("[]", "none")])
def test_what_is_no_topic_fails_before_anything_is_written(spawn: Call, topics: str, got: str) -> None:
    done = spawn(*command("w1", "2026-01-05", f"topics={topics}"))

    assert (done.code, OUTBOX.exists()) == (5, False)
    assert f"expected 1 to 7 modules of the standard library, got: {got}\n" in done.err
