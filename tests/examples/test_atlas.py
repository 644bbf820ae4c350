"""The atlas: what it reads, what it writes, and that its show survives its own kill."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ATLAS = ROOT / "examples" / "atlas"
sys.path.insert(0, str(ATLAS))  # the example's files find each other as they do when a user runs them
atlas: Any = importlib.import_module("atlas")
pages: Any = importlib.import_module("pages")
demo: Any = importlib.import_module("demo")
sys.path.remove(str(ATLAS))

LINUX = {
    "extra": "",
    "os_name": "posix",
    "python_version": "3.11",
    "python_full_version": "3.11.7",
    "sys_platform": "linux",
}


def install(
    folder: Path, name: str, *, requires: tuple[str, ...] = (), extra: str = "", files: str | None = None
) -> None:
    """Lay down what an installer would: a dist-info folder with its metadata."""
    info = folder / f"{name.replace('/', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{extra}{needs}\nLong text\n")
    if files is not None:
        (info / "RECORD").write_text(files)


def facts(key: str, **changes: Any) -> dict[str, Any]:
    plain = {"key": key, "name": key, "version": "1.0", "summary": "", "licence": "MIT", "python": "any", "url": "",
             "home": "the interpreter", "files": 2, "size_bytes": 1500, "needs": [], "elsewhere": [], "extras": {},
             "commands": [], "entry_points": {}, "gaps": []}  # fmt: skip
    return {**plain, **changes}


def need(name: str, versions: str = "", marker: str = "") -> dict[str, str]:
    return {"key": name.lower(), "name": name, "versions": versions, "marker": marker}


def card(key: str, *needs: str, size_bytes: int | None = None, licence: str = "MIT") -> dict[str, Any]:
    return {"key": key, "name": key.upper(), "version": "1.0", "summary": f"{key} does it", "licence": licence,
            "files": 1, "size_bytes": size_bytes, "needs": list(needs)}  # fmt: skip


# ---- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("click", need("click")),
        ("click (>=7, <9)", need("click", ">=7,<9")),
        ("rich[jupyter]>=13", need("rich", ">=13")),
        ('colorama; platform_system == "Windows"', need("colorama", "", 'platform_system == "Windows"')),
        ("pip @ https://example.org/pip.zip", need("pip")),
        ("-- no requirement", None),
    ],
)
def test_a_requirement_line_is_read(line: str, expected: dict[str, str] | None) -> None:
    assert atlas.read_need(line) == expected


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("", True),
        ('python_version < "3.9"', False),
        ('python_version >= "3.9"', True),
        ('python_full_version == "3.11.7.0"', True),
        ('sys_platform == "win32" or os_name == "posix"', True),
        ('(sys_platform == "win32" or os_name == "posix") and python_version < "3"', False),
        ('sys_platform in "linux darwin"', True),
        ('"lin" not in sys_platform', False),
        ('python_version ~= "3.9"', True),  # not read, so it counts as holding
        ('__import__("os").abort()', True),  # never run
    ],
)
def test_a_marker_holds_or_not(marker: str, expected: bool) -> None:
    assert atlas.marker_holds(marker, LINUX) is expected


def test_needs_are_sorted_into_here_elsewhere_and_extras() -> None:
    lines = ["b>=1", 'a; os_name == "nt"', 'c; extra == "x"', 'd; extra == "x" or extra == "y"', 'b; os_name == "nt"']
    here, elsewhere, extras = atlas.sort_needs(lines, LINUX)
    assert here == [need("b", ">=1")]
    assert elsewhere == [need("a", "", 'os_name == "nt"')]
    assert extras == {"x": ["c", "d"], "y": ["d"]}


def test_the_inventory_takes_the_first_of_two_and_counts_unusable_names(tmp_path: Path) -> None:
    install(tmp_path / "env", "Big_Lib", requires=("small", "missing", "Big.Lib[all]"))
    install(tmp_path / "base", "big-lib")
    install(tmp_path / "base", "Small")
    install(tmp_path / "base", "../escape")
    (tmp_path / "base" / "empty-1.0.dist-info").mkdir()
    inventory = atlas.take_inventory([str(tmp_path / "env"), str(tmp_path / "base")])
    assert [(entry["key"], entry["name"], entry["folder"]) for entry in inventory["entries"]] == [
        ("big-lib", "Big_Lib", str(tmp_path / "env")),
        ("small", "Small", str(tmp_path / "base")),
    ]
    assert (inventory["letters"], inventory["nameless"]) == (["b", "s"], 2)


def test_profiles_are_tied_to_what_is_installed() -> None:
    big = facts("big", needs=[need("Small", "<4"), need("missing")])
    [tied, small] = atlas.tie([big, facts("small", name="Small")])
    assert (tied["facts"], tied["names"], tied["dependants"]) == (big, {"small": "Small"}, [])
    assert small["dependants"] == [{"key": "big", "name": "big", "version": "1.0", "asks_for": "<4"}]
    assert pages.card_of(tied)["needs"] == ["small"]


def test_research_reads_what_is_stated(tmp_path: Path) -> None:
    said = (
        "Summary: Does things\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n"
        "Requires-Python: >=3.9\nProject-URL: Docs, https://example.org/d\nProject-URL: Source, https://example.org/s\n"
    )
    install(
        tmp_path,
        "Thing",
        extra=said,
        requires=("dep<2", "thing[all]"),
        files="thing.py,,1200\nthing/x.py,,34\nRECORD,,\n",
    )
    (tmp_path / "Thing-1.0.dist-info" / "entry_points.txt").write_text(
        "[console_scripts]\nthing = thing:main\n[plug]\np = t\n"
    )
    [entry] = atlas.take_inventory([str(tmp_path)])["entries"]
    found = atlas.research(entry)
    assert (found["version"], found["summary"], found["licence"]) == ("1.0", "Does things", "MIT License")
    assert (found["python"], found["url"]) == (">=3.9", "https://example.org/s")
    assert found["needs"] == [need("dep", "<2")]
    assert (found["commands"], found["entry_points"], found["gaps"]) == (["thing"], {"plug": ["p"]}, [])
    if sys.version_info < (3, 12):  # later versions leave out recorded files that are not there
        assert (found["files"], found["size_bytes"]) == (3, 1234)


def test_research_names_what_it_cannot_read_and_goes_on(tmp_path: Path) -> None:
    install(tmp_path, "torn", files="a.py,,many\n")
    [entry] = atlas.take_inventory([str(tmp_path)])["entries"]
    (tmp_path / "torn-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[broken")
    found = atlas.research(entry)
    assert found["version"] == "1.0"
    assert [gap.partition(":")[0] for gap in found["gaps"]][-1] == "entry points"


def test_research_says_when_a_distribution_is_gone(tmp_path: Path) -> None:
    entry = {"key": "gone", "name": "gone", "folder": str(tmp_path), "home": "the interpreter"}
    with pytest.raises(LookupError, match="gone was in the inventory and is no longer installed"):
        atlas.research(entry)


def test_the_mirror_answers_at_the_third_attempt() -> None:
    for attempt in (1, 2):
        with pytest.raises(ConnectionError, match=f"attempt {attempt}"):
            atlas.licence_families(attempt)
    assert "permissive" in atlas.licence_families(3)


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", "permissive"),
        ("Apache-2.0 OR GPL-2.0", "permissive"),
        ("GNU Lesser General Public License v3", "weak copyleft"),
        ("LGPLv3+", "weak copyleft"),
        ("GNU General Public License v2 (GPLv2)", "copyleft"),
        ("Submit Only", "other"),
        ("not stated", "not stated"),
    ],
)
def test_a_licence_belongs_to_a_family(licence: str, expected: str) -> None:
    assert atlas.family_of(licence, atlas.licence_families(3)) == expected


def test_spelling_fails_without_a_word_list_and_works_with_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no word list dictionary\.txt beside the pages"):
        atlas.unknown_words([card("abcd")], tmp_path / "dictionary.txt")
    (tmp_path / "dictionary.txt").write_text("Does\n")
    assert atlas.unknown_words([card("abcd")], tmp_path / "dictionary.txt") == ["abcd"]


def test_a_page_is_saved_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    atlas.save(tmp_path / "deep" / "page.md", "old")
    atlas.save(tmp_path / "deep" / "page.md", "new\n")
    assert {path.name: path.read_bytes() for path in (tmp_path / "deep").iterdir()} == {"page.md": b"new\n"}


# ---- pages ---------------------------------------------------------------------------------------------------------


def test_a_profile_says_what_it_needs_and_what_needs_it() -> None:
    flask = facts("flask", name="Flask", summary="A | web <framework>", needs=[need("Click", ">=8"), need("lost")],
                  elsewhere=[need("colorama", "", 'os_name == "nt"')], extras={"async": ["asgiref"]},
                  commands=["flask"], url="https://example.org")  # fmt: skip
    other = facts("dash", needs=[need("flask", "<4")])
    assert pages.profile_page(atlas.tie([flask, other, facts("click")])[0]) == (
        "[F](../letters/f.md) · [the atlas](../index.md)\n\n# Flask 1.0\n\n> A \\| web \\<framework\\>\n\n"
        "| | |\n|---|---|\n| **Licence** | MIT |\n| **Python** | `any` |\n| **Files** | 2 files, 1.5 kB |\n"
        "| **Lives in** | the interpreter |\n| **Home** | <https://example.org> |\n\n"
        "## What it needs\n\n- [click](click.md) `>=8`\n- lost — *not installed*\n\n"
        'Not on this machine: colorama (`os_name == "nt"`).\n\nWith extras:\n\n- `async`: asgiref\n\n'
        "## What needs it\n\n- [dash](dash.md) 1.0 asks for `<4`\n\n## What it brings\n\nCommands: `flask`\n"
    )


def test_a_letter_page_has_a_line_for_each_profile() -> None:
    assert pages.letter_page("a", [card("abc")]) == (
        "[the atlas](../index.md)\n\n# A\n\n1 distribution.\n\n| name | version | what it is | licence |\n"
        "|---|---|---|---|\n| [ABC](../profiles/abc.md) | 1.0 | abc does it | MIT |\n"
    )


def test_the_index_draws_and_lists_the_graph() -> None:
    page = pages.index_page(
        [card("a", "b"), card("b"), card("lone", licence="GPL")], atlas.licence_families(3), "3.11.7"
    )
    assert "3 distributions for Python 3.11.7 on this machine, 3 files (0 B), tied together by 1 need." in page
    assert '```mermaid\nflowchart LR\n  n0["A"]\n  n1["B"]\n  n0 --> n1\n```' in page
    assert "- [A](profiles/a.md) needs [B](profiles/b.md)\n\nOn their own (1): [LONE](profiles/lone.md)." in page
    assert "| copyleft | 1 |" in page
    assert "An arrow points from what needs to what is needed." in page


def test_the_picture_is_capped_and_says_so() -> None:
    cards = [card(f"c{n:03}", f"c{n - 1:03}") if n else card("c000") for n in range(100)]
    page = pages.index_page(cards, {}, "3.11.7")
    assert "The picture shows the 60 with the most needs, of 100 that are tied; the list below has all." in page
    assert len(re.findall(r"^  n\d+\[", page, re.M)) == 60
    assert len(re.findall(r"^- ", page, re.M)) == 99


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(None, "size not recorded"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000_000, "2.5 GB")],
)
def test_sizes_are_for_people(size_bytes: int | None, expected: str) -> None:
    assert pages.human_size(size_bytes) == expected


# ---- the show ------------------------------------------------------------------------------------------------------


def test_the_journal_is_read_without_a_torn_last_line() -> None:
    assert demo.read_journal("mirror 1 77\nresearch-a 2 77\nresearch-b 1") == [("mirror", 1, 77), ("research-a", 2, 77)]


def test_survival_tells_repeated_from_broken_off() -> None:
    before = [demo.Start("a", 1, 7), demo.Start("b", 1, 7), demo.Start("c", 1, 7)]
    after = [demo.Start("b", 2, 8), demo.Start("c", 2, 8), demo.Start("d", 1, 8)]
    assert demo.survival({"a", "b"}, before, after) == demo.Survival(finished_before=2, again=["b"], broken_off=["c"])


@pytest.mark.parametrize(
    ("steps", "seconds", "expected"), [(1600, 12, 0.06), (45, 12, 0.5), (45, 0, 0.0), (45, -1, 0.0), (0, 1, 0.5)]
)
def test_small_machines_rest_more_than_large_ones(steps: int, seconds: float, expected: float) -> None:
    assert demo.rest_for(steps, seconds) == expected


def test_each_showing_has_its_own_folder(tmp_path: Path) -> None:
    assert [demo.new_folder(tmp_path, "atlas-x").name for _ in range(3)] == ["atlas-x", "atlas-x-2", "atlas-x-3"]


def dead_links(folder: Path) -> list[str]:
    links = [
        (page, link)
        for page in folder.rglob("*.md")
        for link in re.findall(r"\]\(([^)]+\.md)\)", page.read_text("utf-8"))
    ]
    return [f"{page.name}: {link}" for page, link in links if not (page.parent / link).is_file()]


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with the example in it, as a user has it, and commands that are typed there."""

    folder: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(ROOT / "src")]))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKTRAIL_")}
        environment |= {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
        command, pipe = [sys.executable, *arguments], subprocess.PIPE
        return subprocess.run(
            command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, encoding="utf-8", timeout=60
        )

    def tasktrail(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "tasktrail", *arguments)

    @property
    def pages(self) -> Path:
        """The folder of the only run."""
        [folder] = (self.folder / "atlas-out").iterdir()
        return folder

    def starts(self) -> list[Any]:
        starts: list[Any] = demo.read_journal((self.pages / "journal.txt").read_text())
        return starts


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(ATLAS, tmp_path / "examples" / "atlas", ignore=shutil.ignore_patterns("__pycache__"))
    return Project(tmp_path)


@pytest.mark.crash
def test_the_show_is_killed_in_the_middle_and_repeats_nothing(project: Project) -> None:
    shown = project.python("examples/atlas/demo.py", "--seconds", "2")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "\x1b" not in shown.stdout
    starts, folder = project.starts(), project.pages
    keys = {entry["key"] for entry in atlas.take_inventory(atlas.folders())["entries"]}
    print(f"killed after {[start.pid for start in starts].count(starts[0].pid)} starts for {len(keys)} distributions")

    assert len({start.pid for start in starts}) == 2, "the kill came too late to be one"
    assert "no goodbye, nothing tidied up" in shown.stdout
    assert re.search(r"executed again +0 of these [1-9]", shown.stdout)
    assert max(Counter(start.step for start in starts if start.step != "mirror").values()) <= 2
    attempts = [start.attempt for start in starts if start.step == "mirror"]
    assert attempts[0] == 1
    assert attempts == sorted(set(attempts))
    assert 3 <= attempts[-1] <= 4, "a fourth only when the kill met the third"
    assert "spelling, which is optional: no word list dictionary.txt" in " ".join(shown.stdout.split())
    assert "PARTIAL_SUCCESS" in shown.stdout
    assert {page.stem for page in (folder / "profiles").glob("*.md")} == keys
    assert dead_links(folder) == []
    assert f"history {folder.name}:mirror" in " ".join(shown.stdout.split())
    assert project.tasktrail("doctor", "--verify").returncode == 0


def test_what_the_readme_says_to_try_next_works(project: Project) -> None:
    file = project.folder / "examples" / "atlas" / "atlas.yaml"
    first = project.tasktrail("run", "dag", str(file), "--run-id", "one")
    assert first.returncode == 5, first.stderr  # spelling failed
    file.write_text(file.read_text("utf-8").replace("timeout: 1m", "timeout: 30s"), "utf-8")
    begun = len(project.starts())

    told = project.tasktrail("resume", "one")
    assert (told.returncode, "step research: timeout 1m -> 30s" in told.stderr) == (4, True)
    assert len(project.starts()) == begun
    assert project.tasktrail("resume", "one", "--accept-changes").returncode == 5
    (project.pages / "dictionary.txt").write_text("the\n", "utf-8")
    assert project.tasktrail("resume", "one").returncode == 0
    assert [start.step for start in project.starts()[begun:]] == ["spelling", "spelling"]

    assert project.tasktrail("retry", "one", "--from", "letters").returncode == 0
    again = {start.step.partition("#")[0] for start in project.starts()[begun + 2 :]}
    assert again == {"letters", "front_page"}
    assert "one (completed)" in project.tasktrail("graph", "one").stdout
    assert "distributions: " in project.tasktrail("logs", "one:front_page").stdout
    assert "complete" in project.tasktrail("history", "one:research#3").stdout
