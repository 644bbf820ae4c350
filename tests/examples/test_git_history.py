"""The example `git-history`, by the command line, on real repositories: a small one, a cut-off one, this one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Call

ROOT = Path(__file__).resolve().parents[2]
FLOW = ROOT / "examples" / "git-history" / "git-history.yaml"

pytestmark = pytest.mark.platform_only("git is not on every machine")


@pytest.fixture(autouse=True)
def _git_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings, and no repository that an outer git command works in."""
    if shutil.which("git") is None:
        pytest.skip("git is not there")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False)


def commit(folder: Path, file: str, text: str, who: str, day: str) -> None:
    """Write a file and commit it."""
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text, "utf-8")
    about = {"NAME": who, "EMAIL": f"{who}@example.org", "DATE": f"{day}T12:00:00+0000"}
    person = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in about.items()}
    assert git(folder, "add", "-A").returncode == 0
    done = git(folder, "commit", "-q", "-m", f"Write\t{file}", **person)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Four commits by two authors in two months; one file is no text, one has a name that git quotes."""
    folder = tmp_path / "a repository; with blanks"
    folder.mkdir()
    assert git(folder, "init", "-q").returncode == 0
    commit(folder, "README", "one\ntwo\n", "first", "2025-01-31")
    commit(folder, "src/a.py", "1\n2\n3\n", "first", "2025-02-01")
    commit(folder, 'src/with "quotes".py', "1\n", "second", "2025-02-02")
    commit(folder, "README", "one\n\0", "second", "2025-02-03")
    return folder


def report(spawn: Call, run: str, *params: str) -> tuple[Answer, str]:
    """Run the example and return what the command said, and the page."""
    options = [word for param in params for word in ("-p", param)]
    done = spawn("run", "dag", str(FLOW), "--run-id", run, "--no-wait", *options)
    page = Path("example-out", "git-history", run, "history.md")
    return done, page.read_text("utf-8") if page.exists() else ""


def rows(page: str) -> list[str]:
    """The lines of the page's tables, without heads and bars."""
    return [line for line in re.findall(r"^\| (.*?) \|(?: █+ \|)?$", page, re.MULTILINE) if "commits" not in line]


def statuses(spawn: Call, run: str) -> dict[str, Any]:
    tasks = spawn("run", "dag", "--status", run, "--json").data["tasks"]
    return {task["id"].partition(":")[2]: task["status"] for task in tasks}


def test_a_history_is_counted_by_month_and_folder_and_nobody_is_named(repository: Path, spawn: Call) -> None:
    done, page = report(spawn, "r1", f"repository={repository}")

    assert done.code == 0, done.err
    assert "4 commits by 2 people, 2025-01 to 2025-02: 6 lines added, 0 removed." in page
    assert rows(page) == ["2025-01 | 1 | 1 | +2 −0", "2025-02 | 3 | 2 | +4 −0", "(top) | 2", "src | 2"]
    left = "".join(file.read_text("utf-8") for file in Path("example-out").rglob("*.*"))
    stored = b"".join(file.read_bytes() for file in Path(".tasktrail").iterdir() if file.is_file())
    assert not re.search("first|second|@", left)
    assert b"@example.org" not in stored
    assert spawn("doctor", "--verify").code == 0


def test_names_are_shown_to_who_asks_for_them(repository: Path, spawn: Call) -> None:
    done, page = report(spawn, "r1", f"repository={repository}", "names=true")

    assert "Authors: first, second" in page, done.err
    assert statuses(spawn, "r1")["tidy"] == "skipped"


def test_a_clone_that_is_cut_off_and_has_one_commit_says_so(repository: Path, spawn: Call, tmp_path: Path) -> None:
    assert git(tmp_path, "clone", "-q", "--depth=1", repository.as_uri(), "cut").returncode == 0

    done, page = report(spawn, "r1", "repository=cut")

    assert "1 commit by 1 person, 2025-02 to 2025-02" in page, done.err
    assert "This clone is shallow" in page


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ((), "fatal: not a git repository"),
        (("init", "-q"), "does not have any commits yet"),
    ],
    ids=["no repository", "no commit"],
)
def test_what_has_no_history_fails_with_the_words_of_git(
    tmp_path: Path, spawn: Call, prepare: tuple[str, ...], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert not prepare or git(tmp_path / "empty", *prepare).returncode == 0

    done, page = report(spawn, "r1", "repository=empty")

    assert (done.code, page) == (5, "")
    assert words in spawn("explain", "r1").out
    found = statuses(spawn, "r1")
    assert (found["log"], found["split"], found["report"]) == ("failed", "pending", "pending")


def test_the_repository_that_the_example_lies_in_is_what_is_read_when_none_is_named(spawn: Call) -> None:
    counted = git(FLOW.parent, "rev-list", "--count", "HEAD")

    done, page = report(spawn, "r1")

    if counted.returncode:  # unpacked from an archive, or owned by somebody else: git says why
        assert done.code == 5
        assert counted.stderr.splitlines()[0] in spawn("history", "r1:log").out
    else:
        assert f"\n{int(counted.stdout):,} commit" in page, done.err
