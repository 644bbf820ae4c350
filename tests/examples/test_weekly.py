"""The example `weekly`: a killed worker repeats nothing, and what its page says to try next works."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Call

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "weekly"))  # the example's files find each other as they do when a user runs them
show: Any = importlib.import_module("show")
sys.path.remove(str(EXAMPLES / "weekly"))
sys.path.remove(str(EXAMPLES / "atlas"))


def installed() -> dict[str, list[str]]:
    """What is installed here, by letter; letters with few come first."""
    found: dict[str, list[str]] = {}
    for entry in show.demo.take_inventory(show.demo.folders())["entries"]:
        found.setdefault(entry["key"][0].upper(), []).append(entry["name"])
    return dict(
        sorted(((letter, names) for letter, names in found.items() if letter.isalpha()), key=lambda x: len(x[1]))
    )


def tracker_of(letter: str) -> Path:
    [path] = Path("data/weeks").glob(f"*-{letter}/tracker.yaml")
    return path


def starts(folder: Path = Path()) -> list[str]:
    """The names of the tasks that began, in order."""
    return [line.split()[0] for line in (folder / "journal.txt").read_text("utf-8").splitlines()]


def dead_links(folder: Path) -> list[str]:
    pages = [*(folder / "website").rglob("*.md"), *(folder / "content").glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)]+\.md)\)", page.read_text("utf-8"))]
    return [f"{page.name}: {link}" for page, link in links if not (page.parent / link).is_file()]


@pytest.mark.crash
@pytest.mark.requirement("CN-079")
def test_the_show_kills_a_worker_and_repeats_nothing() -> None:
    weeks = {letter: names for letter, names in installed().items() if len(names) > 1}
    letters = sorted([*weeks][:3])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKTRAIL_")}
    command = [sys.executable, str(EXAMPLES / "weekly" / "show.py"), *letters, "--seconds", "1"]
    shown = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    [folder] = Path("example-out").iterdir()
    lines = [line.split() for line in (folder / "journal.txt").read_text("utf-8").splitlines()]
    workers = Counter(pid for name, _, pid in lines if not name.endswith(":blog_post"))
    print(f"tasks begun by each worker: {[*workers.values()]}")

    assert len(workers) == 2, "both workers have begun something"
    assert "nothing tidied up" in shown.stdout
    assert re.search(r"done again +0 of these [1-9]", shown.stdout)
    assert re.search(r"left to do +0 of [1-9]", shown.stdout)
    begun = Counter(name for name, _, _ in lines)
    names = {
        f"{letter}:{item}/{key}" for letter in letters for item in weeks[letter] for key in ("research", "content")
    }
    assert {name for name in begun if not name.endswith(":blog_post")} == names
    assert max(begun[name] for name in names) <= 2
    for letter in letters:
        [tracker] = folder.glob(f"data/weeks/*-{letter}/tracker.yaml")
        week = yaml.safe_load(tracker.read_text("utf-8"))
        post = week["week_tasks"]["tasks"]["blog_post"]
        assert (post["status"], post["error_message"]) == ("completed", None)
        assert 2 <= post["retry_count"] <= 4, "more only when the kill met it"
        assert [*week["items"]] == weeks[letter]
        for item in week["items"].values():
            facts = yaml.safe_load((folder / item["tasks"]["research"]["output_file"]).read_text("utf-8"))
            assert facts["version"] == item["content_hash"]
            page = (folder / item["tasks"]["content"]["output_file"]).read_text("utf-8")
            assert f"| **Licence** | {facts['licence']} |" in page.replace("\\", "")
            assert Path(item["tasks"]["content"]["output_file"]).name in (folder / post["output_file"]).read_text(
                "utf-8"
            )
    assert dead_links(folder) == []


@pytest.fixture
def week(call: Call) -> str:
    """A week that is finished, in the folder of the test, as the show leaves it."""
    for file in show.FILES:
        shutil.copy(file, Path.cwd())
    letter = next(letter for letter, names in installed().items() if len(names) > 1)
    listed = subprocess.run(
        [sys.executable, "inventory.py", letter.lower()], capture_output=True, timeout=60, check=True
    )
    Path("weeks.json").write_bytes(listed.stdout)
    assert call("matrix", "sync", "weeks.json").code == 0
    assert call("matrix", "run", "--all", "--pooled").out == f"{letter}\n"
    assert call("worker", "--drain").code == 0
    assert "(100 %)" in call("matrix", "progress").out
    return letter


def again(call: Call, letter: str, begun: int) -> list[str]:
    """Take up what is stale, and return what was begun since."""
    assert call("reopen", "--stale", letter).code == 0
    assert call("worker", "--drain").code == 0
    assert "(100 %)" in call("matrix", letter).out
    return list(dict.fromkeys(starts()[begun:]))


def test_a_page_is_written_again_where_its_status_is_edited_and_the_comment_stays(call: Call, week: str) -> None:
    tracker, begun = tracker_of(week), len(starts())
    text = tracker.read_text("utf-8")
    first, second = text.index("      content:"), text.index("status: completed", text.index("      content:"))
    edited = f"# ours\n{text[:second]}status: pending  # once more{text[second + len('status: completed') :]}"
    tracker.write_text(edited, "utf-8")
    item = text[:first].splitlines()[1].strip(" :")

    assert re.search(rf"^{item} +completed +ready$", call("matrix", week).out, re.M)
    assert call("worker", "--drain").code == 0
    now = tracker.read_text("utf-8")
    assert now.startswith("# ours\nitems:\n")
    assert "        status: completed  # once more\n" in now
    assert starts()[begun:] == [f"{week}:{item}/content"]
    assert "adopted from a document changed at" in call("history", week).out
    assert re.search(r"^blog_post +stale$", call("matrix", week).out, re.M)
    assert again(call, week, begun) == [f"{week}:{item}/content", f"{week}:blog_post"]


def test_another_version_makes_its_item_and_the_post_stale_and_nothing_else(call: Call, week: str) -> None:
    weeks, begun = json.loads(Path("weeks.json").read_text("utf-8")), len(starts())
    [item, *others] = [one["name"] for one in weeks[week]]
    weeks[week][0]["content_hash"] = "another"
    Path("weeks.json").write_text(json.dumps(weeks), "utf-8")

    assert "1 changed" in call("matrix", "sync", "weeks.json").out
    shown = call("matrix", week).out
    assert re.search(rf"^{item} +stale +stale$", shown, re.M)
    assert re.search(rf"^{others[0]} +completed +completed$", shown, re.M)
    assert again(call, week, begun) == [f"{week}:{item}/research", f"{week}:{item}/content", f"{week}:blog_post"]


def test_what_is_taken_out_is_kept_and_comes_back(call: Call, week: str) -> None:
    whole, begun = Path("weeks.json").read_text("utf-8"), len(starts())
    weeks = json.loads(whole)
    gone = weeks[week].pop(0)["name"]
    Path("weeks.json").write_text(json.dumps(weeks), "utf-8")
    assert "1 removed" in call("matrix", "sync", "weeks.json").out

    assert gone not in call("matrix", week).out
    assert f"{gone} (removed)" in call("matrix", week, "--all").out
    Path("weeks.json").write_text(whole, "utf-8")
    assert "1 restored" in call("matrix", "sync", "weeks.json").out
    assert re.search(rf"^{gone} +completed +completed$", call("matrix", week).out, re.M)
    assert len(starts()) == begun
    assert call("doctor", "--verify").code == 0
