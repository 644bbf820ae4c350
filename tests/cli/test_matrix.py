"""`matrix`: the table, what is ready, progress, lists of items, one cell set, a group executed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tasktrail.tracker import JSONTrackerBackend, get_tracker
from tests.cli.conftest import Call
from tests.cli.test_terminal import on_a_terminal

LONG = "a name that is so long that it takes more than forty columns"


@pytest.fixture(autouse=True)
def in_json() -> None:
    Path("tasktrail.toml").write_text('[tracker]\nbackend = "json"\n', encoding="utf-8")


@pytest.fixture
def week(call: Call) -> str:
    """Week A: ProjectA is researched, ProjectB failed, ProjectC is new."""
    Path("names.txt").write_text("ProjectA\n\nProjectB\n ProjectC \n", encoding="utf-8")
    assert call("matrix", "sync", "names.txt", "--group", "a").out == "A: 3 items, 3 added\n"
    tracker = get_tracker()
    tracker.update_task("A", "ProjectA", "research", "completed", output_file="research/projecta.yaml")
    tracker.update_task("A", "ProjectB", "research", "failed", error_message="no source")
    return "A"


def test_the_table_has_a_word_per_cell_and_totals(call: Call, week: str):
    answer = call("matrix", week)

    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "ITEM      research   content",
        "ProjectA  completed  ready",
        "ProjectB  failed     pending",
        "ProjectC  ready      pending",
        "done      1/3        0/3",
        "blog_post  pending",
        "1 of 7 tasks completed (14.2 %), 1 failed",
    ]
    assert call("matrix", "show", "a").out == answer.out


def test_a_group_that_is_called_like_a_command_is_shown_by_show(call: Call):
    Path("tasktrail.toml").write_text('[tracker]\nbackend = "json"\ngroups = "names"\n', encoding="utf-8")
    get_tracker().sync_with_etl("ready", ["x"])

    assert call("matrix", "show", "ready").out.splitlines()[1].split() == ["x", "ready", "pending"]


def test_what_stands_on_changed_items_is_marked_stale(call: Call):
    tracker = get_tracker()
    tracker.sync_with_etl("A", [{"name": "x", "content_hash": "1"}])
    tracker.update_task("A", "x", "research", "completed")
    tracker.sync_with_etl("A", [{"name": "x", "content_hash": "2"}])

    assert call("matrix", "A").out.splitlines()[1].split() == ["x", "stale", "ready"]
    assert call("matrix", "A", "--json").data["items"][0]["cells"]["research"]["stale"] is True


def test_on_a_narrow_terminal_names_give_way_and_words_become_marks(week: str):
    tracker = get_tracker()
    tracker.sync_with_etl("A", ["ProjectA", "ProjectB", LONG])

    _, wide = on_a_terminal("matrix", "A", "--color", "never", columns=80)
    _, narrow = on_a_terminal("matrix", "A", "--color", "never", columns=36)
    _, coloured = on_a_terminal("matrix", "A", columns=80)

    assert max(len(line) for line in wide.splitlines()) <= 80
    assert "completed" in wide
    assert [line.split()[-2:] for line in narrow.splitlines()[1:4]] == [["✓", "○"], ["✗", "·"], ["○", "·"]]
    assert max(len(line) for line in narrow.splitlines()[:5]) <= 36
    assert "\x1b[32mcompleted" in coloured


def test_removed_items_are_shown_when_asked_for_as_they_were(call: Call, week: str):
    get_tracker().sync_with_etl("A", ["ProjectA"])

    assert "ProjectB" not in call("matrix", "A").out
    shown = call("matrix", "A", "--all").out.splitlines()
    assert shown[2].split() == ["ProjectB", "(removed)", "failed", "pending"]
    assert "1 of 3 tasks completed" in shown[-1]


def test_json_has_cells_totals_and_pages(call: Call, week: str):
    first = call("matrix", "A", "--json", "--limit", "2")
    second = call("matrix", "A", "--json", "--limit", "2", "--cursor", first.document["next"])

    assert first.document["schema"] == "tasktrail/matrix@1"
    assert [item["id"] for item in first.data["items"]] == ["ProjectA", "ProjectB"]
    cell = first.data["items"][0]["cells"]["content"]
    assert (cell["id"], cell["status"], cell["ready"]) == ("A:ProjectA/content", "pending", True)
    assert first.data["totals"]["research"] == {"completed": 1, "failed": 1, "pending": 1}
    assert first.data["group"]["blog_post"]["status"] == "pending"
    assert ([item["id"] for item in second.data["items"]], second.document["next"]) == (["ProjectC"], None)


def test_csv_has_all_items_and_a_row_for_the_group(call: Call, week: str):
    rows = list(csv.reader(io.StringIO(call("matrix", "A", "--csv").out)))

    assert rows == [
        ["item", "research", "content", "blog_post"],
        ["ProjectA", "completed", "pending", ""],
        ["ProjectB", "failed", "pending", ""],
        ["ProjectC", "pending", "pending", ""],
        ["", "", "", "pending"],
    ]


def test_ready_tasks_of_all_weeks_by_agent_and_page(call: Call, week: str):
    get_tracker().sync_with_etl("B", ["x"])

    assert [row["id"] for row in call("matrix", "ready", "--json").data] == [
        "A:ProjectA/content", "A:ProjectC/research", "B:x/research",
    ]  # fmt: skip
    assert call("matrix", "ready", "--agent", "writer").out.split()[2:] == ["A:ProjectA/content", "writer"]
    assert [row["id"] for row in call("matrix", "ready", "--json", "--group", "b").data] == ["B:x/research"]
    page = call("matrix", "ready", "--json", "--limit", "2")
    rest = call("matrix", "ready", "--json", "--limit", "2", "--cursor", page.document["next"])
    assert [row["id"] for row in rest.data] == ["B:x/research"]
    assert rest.document["next"] is None


def test_progress_of_all_weeks_has_bars_and_sums(call: Call, week: str):
    tracker = get_tracker()
    tracker.sync_with_etl("B", ["x"])
    for key in ("research", "content"):
        tracker.update_task("B", "x", key, "completed")
    tracker.update_task("B", None, "blog_post", "completed")

    lines = call("matrix", "progress").out.splitlines()

    assert [line.split()[:4] for line in lines[1:3]] == [
        ["A", "█░░░░░░░░░", "14.2", "%"],
        ["B", "██████████", "100", "%"],
    ]
    assert lines[3] == "4 of 10 tasks completed (40 %), 1 failed"
    first = call("matrix", "progress", "--json").data[0]
    assert (first["id"], first["percent"], first["types"]["research"]["failed"]) == ("A", 14.2, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", '["x", {"name": "y", "content_hash": "h", "url": "u"}]'),
        ("list.yaml", "- x\n- name: y\n  content_hash: h\n  url: u\n"),
        ("list.csv", "name,content_hash,url\nx,,\ny,h,u\n"),
    ],
)
def test_items_come_from_lists_of_three_kinds_with_attributes(call: Call, name: str, text: str):
    Path(name).write_text(text, encoding="utf-8")

    assert call("matrix", "sync", name, "--group", "A").code == 0

    items = get_tracker().load_tracker("A").items
    assert list(items) == ["x", "y"]
    assert (items["y"].content_hash, items["y"].attributes, items["x"].attributes) == ("h", {"url": "u"}, {})
    assert call("matrix", "sync", name, "--group", "A").out.endswith(": 2 items, nothing new\n")


def test_a_mapping_is_for_many_groups(call: Call):
    Path("all.json").write_text(json.dumps({"A": ["x"], "C": ["y", "z"]}), encoding="utf-8")

    synced = call("matrix", "sync", "all.json", "--json")

    assert [(row["id"], row["added"]) for row in synced.data] == [("A", ["x"]), ("C", ["y", "z"])]
    assert get_tracker().weeks() == ["A", "C"]
    Path("all.json").write_text(json.dumps({"A": ["x", "w"], "C": []}), encoding="utf-8")
    assert call("matrix", "sync", "all.json", "--group", "A").out == "A: 2 items, 1 added\n"
    refused = call("matrix", "sync", "all.json")
    assert (refused.code, "2 items would be removed" in refused.err) == (2, True)
    assert call("matrix", "sync", "all.json", "--yes").out.endswith("C: 0 items, 2 removed\n")
    Path("all.json").write_text(json.dumps({"A": ["x"], "a": ["w"]}), encoding="utf-8")
    assert "all.json has two lists for A" in call("matrix", "sync", "all.json").err
    assert [item.removed for item in get_tracker().load_tracker("A").items.values()] == [False, False]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.json", '["a", 1, {"nam": "b"}]', "x.json:1:10: expected an item to be a name or a mapping with a name"),
        ("x.yaml", "A: x\n", "x.yaml:1:4: expected a list of items"),
        ("x.csv", "nam,url\na,b\n", "x.csv:1: expected a column 'name', got: 'nam', 'url'"),
        ("x.csv", "name;url\na;b\n", "x.csv:1: expected a column 'name', got: 'name;url'"),
        ("x.csv", "name,url\na,b,c\n", "x.csv:2: expected as many cells as the header has, got: more"),
        ("x.csv", "name,url\n,b\n", "x.csv:2: expected an item to have a name, got: none"),
    ],
)
def test_a_file_that_is_no_list_of_items_changes_nothing(call: Call, name: str, text: str, said: str):
    Path(name).write_text(text, encoding="utf-8")

    answer = call("matrix", "sync", name, "--group", "A")

    assert answer.code == 2
    assert said in answer.err
    assert not Path("data").exists()


def test_a_cell_is_set_with_what_is_said_of_it_and_moved_by_its_reference(call: Call, week: str):
    done = call("matrix", "set", "a:ProjectA/content", "completed", "--output-file", "content/a.md", "--agent", "ann")

    assert (done.code, done.out) == (0, "A:ProjectA/content completed\n")
    record = get_tracker().load_tracker("A").items["ProjectA"]["content"]
    assert (record.status.value, record.output_file, record.agent) == ("completed", "content/a.md", "ann")
    assert call("start", "A:ProjectC/research").code == 0
    assert get_tracker().load_tracker("A").items["ProjectC"]["research"].status == "in_progress"
    assert call("matrix", "set", "A:blog_post", "in_progress").code == 4
    assert call("matrix", "set", "A:ProjectC", "completed").code == 2
    assert call("matrix", "set", "A:nobody/research", "completed").code == 3


def test_what_is_not_there_is_said_with_what_to_type(call: Call, week: str):
    missing, mistyped, letters = call("matrix", "B"), call("matrix", "progres"), call("matrix", "7")

    assert (missing.code, mistyped.code, letters.code) == (3, 2, 2)
    assert "hint: tasktrail matrix sync FILE --group B" in missing.err
    assert "hint: tasktrail matrix progress" in mistyped.err
    assert "expected a week to be a letter from A to Z" in letters.err


def test_reading_makes_no_store_and_flags_name_store_and_actor(call: Call):
    get_tracker("json").sync_with_etl("A", ["x"])
    for made in Path(".tasktrail").iterdir():
        made.unlink()
    Path(".tasktrail").rmdir()

    assert "x" in call("matrix", "A").out
    assert call("matrix", "ready", "--json").data[0]["id"] == "A:x/research"
    assert call("matrix", "progress").code == 0
    assert not Path(".tasktrail").exists()
    assert call("--as", "bob", "--store", "other.db", "matrix", "set", "A:x/research", "completed").code == 0
    assert (Path("other.db").is_file(), Path(".tasktrail").exists()) == (True, False)
    events = call("history", "A:x/research", "--store", "other.db", "--json").data
    assert [event["actor"] for event in events] == ["bob"]


def test_a_shell_completes_commands_and_groups(spawn: Call, week: str):
    told = spawn(_TASKTRAIL_COMPLETE="bash_complete", COMP_WORDS="tasktrail matrix ", COMP_CWORD="2").out

    assert {"plain,progress", "plain,A"} <= set(told.splitlines())


RELEASES = """\
[tracker]
backend = "json"
groups = "names"
word = "release"
[tracker.types.build]
run = ["sh", "-c", "exit {item.code}"]
[tracker.types.ship]
depends_on = "build"
run = ["echo", "{item}"]
[tracker.types.tell]
depends_on = "ship"
is_week_level = true
agent = "writer"
"""


@pytest.mark.requirement("CN-079")
def test_a_group_is_executed_by_what_its_settings_say(call: Call):
    Path("tasktrail.toml").write_text(RELEASES, encoding="utf-8")
    items = {"1.0": [{"name": "core", "code": "0"}, {"name": "docs", "code": "3"}]}
    Path("items.json").write_text(json.dumps(items), encoding="utf-8")
    call("matrix", "sync", "items.json")

    first = call("matrix", "run", "1.0")

    assert first.code == 5, first.err
    assert [line.split() for line in first.out.splitlines()[1:3]] == [
        ["core", "completed", "completed"],
        ["docs", "failed", "pending"],
    ]
    assert isinstance(get_tracker(), JSONTrackerBackend)
    get_tracker().sync_with_etl("1.0", [{"name": "core"}, {"name": "docs", "code": "0"}])
    again = call("matrix", "run", "1.0", "--item", "docs")
    assert (again.code, again.out.splitlines()[-2]) == (0, "tell  ready")
    assert call("matrix", "run", "1.0", "--type", "buil").code == 2


@pytest.mark.requirement("CN-081")
def test_metrics_are_by_type_or_by_agent(call: Call):
    assert call("matrix", "metrics").out.splitlines()[1].split() == ["all", "0", "0", "0", "-", "-", "-", "-", "0"]
    tracker = get_tracker()
    tracker.sync_with_etl("A", ["x", "y"])
    tracker.update_task("A", "x", "research", "in_progress")
    tracker.update_task("A", "x", "research", "completed")
    tracker.update_task("A", "y", "research", "in_progress")
    tracker.update_task("A", "y", "research", "failed")

    rows = {row["id"]: row for row in call("matrix", "metrics", "--json").data}
    agents = call("matrix", "metrics", "a", "--by", "agent").out.splitlines()

    assert list(rows) == ["research", "all"]
    assert (rows["research"]["attempts"], rows["research"]["success_rate"]) == (2, 0.5)
    assert rows["all"]["median_ms"] is not None
    assert [line.split()[:5] for line in agents[1:]] == [
        ["researcher", "2", "0", "1", "50"],
        ["all", "2", "0", "1", "50"],
    ]


def test_a_group_is_left_to_workers(call: Call):
    Path("tasktrail.toml").write_text(RELEASES.partition("[tracker.types.tell]")[0], encoding="utf-8")
    Path("items.json").write_text('{"1.0": [{"name": "core", "code": "0"}]}', encoding="utf-8")
    call("matrix", "sync", "items.json")

    assert call("matrix", "run", "1.0", "--pooled").out == "1.0\n"
    assert call("worker", "--drain").code == 0

    assert call("matrix", "1.0").out.splitlines()[-1] == "2 of 2 tasks completed (100 %)"


@pytest.mark.parametrize("option", [[], ["--pooled"]], ids=["here", "by workers"])
def test_what_is_executed_first_of_all_in_a_project_is_on_record(call: Call, option: list[str]):
    Path("tasktrail.toml").write_text(RELEASES.partition("[tracker.types.tell]")[0], encoding="utf-8")
    tracker = get_tracker()
    assert isinstance(tracker, JSONTrackerBackend)
    path = Path(tracker.path("1.0"))
    path.parent.mkdir(parents=True)
    path.write_text('{"items": {"core": {"tasks": {"build": {"status": "pending"}}, "code": "0"}}}', encoding="utf-8")

    assert call("matrix", "run", "1.0", *option).code == 0
    assert call("worker", "--drain").code == 0

    assert call("matrix", "1.0").out.splitlines()[1].split()[:2] == ["core", "completed"]
    verbs = [event["verb"] for event in call("history", "1.0:core/build", "--json").data]
    assert {"start", "complete"} <= {*verbs}
