"""Plans of other tools: what their own files say is there afterwards, and what is wrong is named with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tasktrail.formats.imports import backlog_md, beads, plan_csv, task_master, taskwarrior
from tasktrail.formats.imports.detect import detect, read
from tasktrail.formats.imports.source import Imported
from tasktrail.model.errors import BadInput, NotFound
from tasktrail.model.plan import Note, PlanTask

FILES = Path(__file__).parent / "files"
TASK_MASTER = FILES / "task-master-0.43.1.json"
TASKWARRIOR = FILES / "taskwarrior-2.6.2.json"
TASKWARRIOR_LINES = FILES / "taskwarrior-2.6.2.jsonl"
BACKLOG = FILES / "backlog-md-1.52.0"
BEADS = FILES / "beads.jsonl"


def at(text: str) -> int:
    """Return microseconds UTC."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def imported(path: Path) -> tuple[dict[str, PlanTask], tuple[str, ...]]:
    _, found = read(path)
    return {task.key: task for task in found.tasks}, found.notes


def refused(reader: Callable[[str, str], Imported], text: str) -> list[str]:
    with pytest.raises(BadInput) as error:
        reader(text, "f")
    return [line.partition("\n")[0] for line in error.value.details or [error.value.message]]


def leaves(value: object) -> Iterator[str]:
    """Yield the texts and numbers of a JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    elif value is not None and value != "":
        yield str(value)


# ------------------------------------------------------------------------------------------------------ what they wrote


def test_task_master_tags_subtasks_and_needs() -> None:
    tasks, notes = imported(TASK_MASTER)

    assert {key: (task.status, task.priority, task.needs) for key, task in tasks.items()} == {
        "1": ("completed", 2, ()),
        "2": ("in_progress", 3, ("1",)),
        "2.1": ("in_progress", 3, ()),
        "2.2": ("pending", 3, ("2.1",)),
        "3": ("pending", 4, ("1", "2")),
        "4": ("cancelled", 3, ()),
        "printing/1": ("blocked", 3, ()),
        "printing/2": ("blocked", 3, ("printing/1",)),
    }
    assert tasks["1"] == PlanTask(
        "1", "Draw the schema", "completed", 2, updated_at=at("2026-11-21T10:59:23.791+00:00"),
        extra={"task_master_description": "Tables for goods and prices", "details": "No more than six.\nSee drawer 3."},
    )  # fmt: skip
    assert (tasks["printing/1"].reason, tasks["printing/2"].reason) == ("review", "deferred")
    assert (tasks["2.2"].extra["parent"], tasks["printing/1"].extra["tag"]) == ("2", "printing")
    assert [note[:35] for note in notes] == [
        "left out: metadata of tag master: {",
        "left out: metadata of tag printing:",
    ]


def test_task_master_subtasks_of_older_files_name_siblings_and_are_as_urgent_as_their_task() -> None:
    text = """{"tasks": [{"id": 1, "title": "a", "priority": "high", "dependencies": [2], "subtasks": [
      {"id": 1, "title": "b"}, {"id": 2, "title": "c", "priority": "low", "dependencies": [1, "2"]}]},
      {"id": 2, "title": "d", "subtasks": [{"id": 1, "title": "e", "dependencies": ["1.2"]}]}],
      "meta": {"version": 1}}"""
    found = task_master.read(text, "f")

    assert [(task.key, task.priority, task.needs) for task in found.tasks] == [
        ("1", 2, ("2",)),
        ("1.1", 2, ()),
        ("1.2", 4, ("1.1", "1.2")),
        ("2", 3, ()),
        ("2.1", 3, ("1.2",)),
    ]
    assert found.notes == ('left out: meta of tag master: {"version":1}',)


def test_taskwarrior_uuids_annotations_and_own_attributes() -> None:
    tasks, notes = imported(TASKWARRIOR)

    assert {key: (task.title[:9], task.status, task.priority, task.needs) for key, task in tasks.items()} == {
        "005285ca": ("Write mig", "pending", 3, ("338d9a23",)),
        "e09fb9f2": ("Load the ", "in_progress", 4, ("005285ca", "338d9a23")),
        "12abc14d": ("Publish", "pending", 3, ("e09fb9f2",)),
        "5118b37b": ("Ask the p", "pending", 3, ()),
        "59702799": ("Water the", "pending", 3, ()),
        "338d9a23": ("Draw the ", "completed", 2, ()),
        "d9d98686": ("Rename th", "cancelled", 3, ()),
    }
    drawn = tasks["338d9a23"]
    assert drawn.notes == (
        Note("sizes: see drawer 3", at("2026-11-21T10:55:40+00:00")),
        Note("second look", at("2026-11-21T10:55:41+00:00")),
    )
    assert (drawn.created_at, drawn.completed_at) == (at("2026-11-21T10:55:39Z"), at("2026-11-21T10:55:41Z"))
    assert {name: drawn.extra[name] for name in ("estimate", "size", "project", "tags", "due")} == {
        "estimate": "PT3H", "size": 2, "project": "shop.db", "tags": ["design"], "due": "20261201T000000Z",
    }  # fmt: skip
    assert tasks["d9d98686"].reason == "deleted"
    assert len(notes) == 1
    assert "Water the plants" in notes[0]


def test_taskwarrior_lines_say_what_its_list_says() -> None:
    assert imported(TASKWARRIOR_LINES) == imported(TASKWARRIOR)


def test_taskwarrior_needs_may_be_one_text_and_uuids_that_begin_alike_stay_whole() -> None:
    lines = (
        '{"uuid":"aaaaaaaa-1","description":"a"}\n{"uuid":"aaaaaaaa-2","description":"b","depends":"aaaaaaaa-1,gone"}'
    )

    assert [(task.key, task.needs) for task in taskwarrior.read(lines, "f").tasks] == [
        ("aaaaaaaa-1", ()),
        ("aaaaaaaa-2", ("aaaaaaaa-1", "gone")),
    ]


def test_backlog_folders_drafts_archive_and_comments() -> None:
    tasks, notes = imported(BACKLOG)

    assert {key: (task.status, task.priority, task.needs, task.reason) for key, task in tasks.items()} == {
        "TASK-1": ("completed", 2, (), None),
        "TASK-2": ("in_progress", 3, ("TASK-1",), None),
        "TASK-1.1": ("pending", 4, ("TASK-1", "TASK-2"), None),
        "TASK-3": ("pending", 3, (), None),
        "TASK-4": ("cancelled", 3, (), "archived"),
        "DRAFT-1": ("blocked", 3, (), "Draft"),
    }
    assert list(tasks)[:4] == ["TASK-1", "TASK-2", "TASK-1.1", "TASK-3"]  # by ordinal
    drawn = tasks["TASK-1"]
    assert drawn.result == "Six tables, drawn"
    assert drawn.notes == (Note("Looks right", at("2026-11-21T10:56+00:00"), "@ben"),)
    assert drawn.extra["backlog_description"] == "Tables for goods and prices.\nNo more than six."
    assert "- [x] #1 Fits on one page" in str(drawn.extra["body"])
    assert "Started with the prices" in str(drawn.extra["body"])
    assert [note.text for note in tasks["TASK-3"].notes] == ["First line\n\nSecond", "No author"]
    assert notes == ("left out: config.yml, which is no task",)


def test_backlog_needs_are_the_same_in_any_letters() -> None:
    files = {
        "tasks/a.md": "---\nid: TASK-1\ntitle: a\ndependencies: [task-2, task-9]\n---\n",
        "tasks/b.md": "---\nid: TASK-2\ntitle: b\n---\n",
    }

    assert backlog_md.read(files, "backlog").tasks[0].needs == ("TASK-2", "task-9")


def test_backlog_comments_that_are_written_otherwise_stay_in_the_body() -> None:
    text = "---\nid: A\ntitle: a\n---\n## Comments\n\n<!-- COMMENTS:BEGIN -->\nby hand\n<!-- COMMENTS:END -->\n"
    (task,) = backlog_md.read({"tasks/a.md": text}, "backlog").tasks

    assert task.notes == ()
    assert "by hand" in str(task.extra["body"])


def test_beads_priorities_relations_and_comments() -> None:
    tasks, notes = imported(BEADS)

    assert {key: (task.status, task.priority, task.needs, task.reason) for key, task in tasks.items()} == {
        "bd-a1b2": ("completed", 1, (), None),
        "bd-c3d4": ("in_progress", 3, ("bd-a1b2",), None),
        "bd-e5f6": ("blocked", 5, (), "deferred"),
    }
    drawn = tasks["bd-a1b2"]
    assert drawn.result == "Six tables, drawn"
    assert drawn.notes == (Note("Looks right", at("2026-11-20T10:00:00+00:00"), "ben"),)
    assert drawn.completed_at == at("2026-11-20T10:30:00+00:00")
    assert (tasks["bd-c3d4"].extra["beads_status"], tasks["bd-c3d4"].extra["parent"]) == ("hooked", "bd-e5f6")
    assert tasks["bd-c3d4"].extra["metadata"] == {"rows": 12}
    assert notes == (
        "changed: bd-e5f6 is no longer held back by bd-c3d4 (waits-for), for which there is no word",
        'left out: a record of type memory: {"_type":"memory","key":"paper","value":"The white one"}',
    )


@pytest.mark.parametrize("path", [TASK_MASTER, TASKWARRIOR, BEADS], ids=lambda path: path.name)
def test_every_text_and_number_of_a_file_is_somewhere_in_what_was_read(path: Path) -> None:
    _, found = read(path)
    text = path.read_text(encoding="utf-8")
    documents = [json.loads(line) for line in text.splitlines()] if path is BEADS else json.loads(text)
    said = (
        json.dumps([plan_csv.dump(found.tasks), found.notes], ensure_ascii=False).replace("\\", "").replace('""', '"')
    )

    def is_there(leaf: str) -> bool:
        plain = leaf.replace("\\", "").replace("\n", "n").replace('"', "")
        return plain in said.replace("\\", "").replace('"', "") or _is_spelt_otherwise(leaf)

    assert [leaf for leaf in leaves(documents) if not is_there(leaf)] == []


def _is_spelt_otherwise(leaf: str) -> bool:
    """Words that have one of ours, and times."""
    words = {*task_master.WORDS, *taskwarrior.WORDS, *beads.WORDS, "high", "medium", "low", "H", "M", "L", "issue"}
    try:
        return leaf in words or bool(datetime.fromisoformat(leaf))
    except ValueError:
        return False


def test_the_page_has_the_words_of_each_tool() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/import-and-export.md").read_text(encoding="utf-8")
    table = page.partition("## Statuses")[2].partition("##")[0]
    said: dict[str, dict[str, str]] = {}
    tool = ""
    for name, words, status in re.findall(r"^\| (?:(\S.*?) )?\| (`.*?`) \| (\w+) \|$", table, re.MULTILINE):
        tool = name or tool
        said.setdefault(tool, {}).update({word.lower(): status for word in re.findall(r"`(.*?)`", words)})

    assert said == {
        "Task Master": task_master.WORDS,
        "Backlog.md": backlog_md.WORDS,
        "beads": beads.WORDS,
        "Taskwarrior": taskwarrior.WORDS,
    }


# ------------------------------------------------------------------------------------------------------ what is refused


def test_faults_of_task_master_are_named_all_at_once_with_their_places() -> None:
    text = """{"master": {"tasks": [
  {"id": 1, "title": "a", "status": "later"},
  {"id": 1, "title": "b", "priority": "urgent"},
  {"id": true, "dependencies": [2.5], "updatedAt": "soon"}
]}}"""

    assert refused(task_master.read, text) == [
        "f:2:37: expected master.tasks[0].status to be one of pending, in-progress, done, completed, blocked, review, "
        'deferred, cancelled, got: "later"',
        "f:3:10: expected each task once, got: 1 again",
        'f:3:39: expected master.tasks[1].priority to be one of critical, high, medium, low, got: "urgent"',
        "f:4:3: expected title to be given",
        "f:4:10: expected id to be a text or a whole number, got: true",
        "f:4:33: expected each of dependencies to be a text or a whole number, got: 2.5",
        'f:4:52: expected master.tasks[2].updatedAt to be an ISO 8601 time like 2025-05-19T10:00:00Z, got: "soon"',
    ]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"master": 3}', '{"master": {}}', '{"a": {"tasks": 1}}', '{"tasks": [']
)
def test_task_master_refuses_what_is_no_list_of_tasks(text: str) -> None:
    assert refused(task_master.read, text)[0].startswith("f:1:")


def test_lines_are_refused_with_their_numbers() -> None:
    text = '{"id":"a","title":"a"}\n\n{"id":"b","title":\n7\n{"id":"c","title":"c","priority":9,"status":"someday"}\n'

    assert refused(beads.read, text) == [
        "f:3:19: the text ends too early: expected value",
        "f:4:1: expected a record to be an object",
        "f:5:34: expected priority to be a whole number from 0 to 4, got: 9",
        "f:5:45: expected status to be one of open, in_progress, hooked, closed, blocked, deferred, pinned, "
        'got: "someday"',
    ]


def test_of_many_faults_twenty_are_named_and_all_are_counted() -> None:
    lines = refused(beads.read, '{"id":"a"}\n' * 5_000)

    assert len(lines) == 21
    assert lines[19].startswith("f:11:")  # the second line and later ones have two faults each
    assert lines[20] == "and 9,979 more"


def test_a_file_of_zero_bytes_is_refused() -> None:
    assert refused(taskwarrior.read, "") == ["f:1:1: expected JSON, got: nothing"]
    assert refused(plan_csv.read, "")[0].startswith("f:1:1: expected a line of names")


def test_faults_of_backlog_files_have_the_lines_of_the_file() -> None:
    files = {
        "tasks/a.md": "---\nid: A\ntitle: a\nstatus: On Hold\n---\n",
        "tasks/b.md": "no front\n",
        "tasks/c.md": "---\nid: A\ntitle: [\n---\n",
        "completed/d.md": "---\nid: A\ntitle: d\n---\n",
    }
    with pytest.raises(BadInput) as error:
        backlog_md.read(files, "backlog")

    assert [line.partition(" ")[0] for line in error.value.details] == [
        "backlog/tasks/a.md:4:9:", "backlog/tasks/a.md:2:5:", "backlog/tasks/b.md:1:1:", "backlog/tasks/c.md:4:1:",
    ]  # fmt: skip
    assert error.value.hint is not None
    assert 'words={"on hold": "blocked"}' in error.value.hint


def test_the_caller_says_what_a_status_of_their_own_means() -> None:
    files = {"tasks/a.md": "---\nid: A\ntitle: a\nstatus: On Hold\n---\n"}
    (task,) = backlog_md.read(files, "backlog", {"On hold": "blocked"}).tasks

    assert (task.status, task.reason) == ("blocked", "On Hold")
    with pytest.raises(BadInput, match="expected a status to be one of"):
        backlog_md.read(files, "backlog", {"On hold": "paused"})  # type: ignore[dict-item]  # as untyped callers do


# ----------------------------------------------------------------------------------------------------------- which tool


@pytest.mark.parametrize(
    ("path", "tool"),
    [
        (TASK_MASTER, "task-master"),
        (TASKWARRIOR, "taskwarrior"),
        (TASKWARRIOR_LINES, "taskwarrior"),
        (BEADS, "beads"),
        (BACKLOG, "backlog.md"),
    ],
)
def test_the_tool_is_told_by_what_is_in_the_file(path: Path, tool: str) -> None:
    assert detect(path).tool == tool


@pytest.mark.parametrize(
    ("name", "text", "tool"),
    [
        ("p.json", '{"tasks": [{"id": "T1", "description": "ours"}]}', "json"),
        ("p.json", '{"generated_at": null, "total_tasks": 0, "tasks": []}', "json"),
        ("p.txt", '{"schema":"tasktrail/plan@1"}\n{"id":"T1","description":"ours"}\n', "jsonl"),
        ("p.MD", "- [ ] T1: ours\n", "markdown"),
    ],
)
def test_our_own_formats_are_told_too(name: str, text: str, tool: str) -> None:
    Path(name).write_text(text)

    found, imported = read(Path(name))

    assert found.tool == tool
    assert [task.title for task in imported.tasks] == ["ours"] * text.count("ours")


def test_a_project_folder_leads_to_the_plan_in_it() -> None:
    Path(".taskmaster/tasks").mkdir(parents=True)
    Path(".taskmaster/tasks/tasks.json").write_bytes(TASK_MASTER.read_bytes())

    assert detect(Path()).path == Path(".taskmaster/tasks/tasks.json")


def test_a_folder_with_plans_of_two_tools_is_refused_with_their_names() -> None:
    Path("tasks.json").write_bytes(TASK_MASTER.read_bytes())
    Path("issues.jsonl").write_bytes(BEADS.read_bytes())

    with pytest.raises(BadInput, match=r"several tools: tasks\.json, issues\.jsonl"):
        detect(Path())


@pytest.mark.parametrize("text", ["", "hello", '{"a": 1}', "[]", "[1]"])
def test_what_is_of_no_known_tool_is_refused_with_what_would_be(text: str) -> None:
    Path("x.json").write_text(text)

    with pytest.raises(BadInput) as error:
        detect(Path("x.json"))
    assert error.value.hint is not None
    assert "Task Master" in error.value.hint


def test_a_path_with_nothing_there_is_not_found() -> None:
    with pytest.raises(NotFound, match=r"gone\.json does not exist"):
        detect(Path("gone.json"))


def test_a_file_that_is_no_utf_8_is_refused() -> None:
    Path("x.csv").write_bytes(b"key,title\na,\xff\n")

    with pytest.raises(BadInput, match="byte 13 is none"):
        read(Path("x.csv"))
