"""The table `[tracker]` of tasktrail.toml: weeks, sprints or partitions, their task types, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from tasktrail.model.errors import BadInput
from tasktrail.tracker import (
    DependencyNotMetError,
    InvalidWeekError,
    JSONTrackerBackend,
    StoreTrackerBackend,
    TaskTypeConfig,
    TrackerFileError,
    UnknownFieldError,
    YAMLTrackerBackend,
    get_tracker,
    grid_of,
)
from tasktrail.tracker.schema import tracker_schema

SPRINTS = """\
actor = "ann@desk"

[tracker]
backend = "json"
weeks_dir = "sprints"
groups = "names"
word = "sprint"

[tracker.types.build]
run = ["make", "{item}"]
retries = 2
timeout = "10m"
agent = "builder"

[tracker.types.audit]
depends_on = "build"
when = "item.risky"
manual = "Look at {item}"

[tracker.types.release]
depends_on = ["build", "audit"]
is_week_level = true
call = "shipping:release"
queue = "slow"
limits = {deploys = 1}
"""


LARGE = """\
[tracker.types.read]
[tracker.types.check]
depends_on = "read"
when = "item.size > 3"
[tracker.types.report]
is_week_level = true
depends_on = "check"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below one with the settings of sprints; it is the working directory."""
    (tmp_path / "tasktrail.toml").write_text(SPRINTS, encoding="utf-8")
    folder = tmp_path / "deeper"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return tmp_path


def say(text: str) -> Path:
    path = Path("tasktrail.toml")
    path.write_text(text, encoding="utf-8")
    return path.resolve()


@pytest.mark.requirement("CN-019")
def test_sprints_with_types_of_their_own_are_worked_through(project: Path):
    tracker = get_tracker()
    assert isinstance(tracker, JSONTrackerBackend)

    tracker.sync_with_etl("2026-03", [{"name": "core", "risky": True}, "docs"])

    assert (project / "sprints" / "2026-03" / "tracker.json").is_file()
    assert {name: list(item.tasks) for name, item in tracker.load_tracker("2026-03").items.items()} == {
        "core": ["build", "audit"],
        "docs": ["build"],
    }
    for item in ("core", "docs"):
        tracker.update_task("2026-03", item, "build", "completed")
    with pytest.raises(DependencyNotMetError) as refused:
        tracker.update_task("2026-03", None, "release", "in_progress")
    assert refused.value.details == ("core/audit is pending",)
    tracker.update_task("2026-03", "core", "audit", "completed")
    tracker.update_task("2026-03", None, "release", "in_progress")
    with pytest.raises(InvalidWeekError, match="sprint"):
        tracker.load_tracker("a/b")


def test_how_a_type_is_executed_is_said_as_in_a_workflow_file(project: Path):
    types = get_tracker().grid.by_name

    assert types["build"].step is not None
    assert (types["build"].step.id, types["build"].step.run) == ("build", ("make", "{item}"))
    assert (types["build"].step.retry.max_retries, types["build"].step.timeout_ms) == (2, 600_000)
    assert types["audit"].step is not None
    assert (types["audit"].step.manual, types["audit"].step.when) == ("Look at {item}", None)
    assert types["release"].step is not None
    assert (types["release"].step.call, types["release"].step.queue) == ("shipping:release", "slow")
    assert types["release"].step.limits == {"deploys": 1}


def test_types_in_python_say_it_with_the_same_words_and_are_refused_alike():
    step = {"run": ["make", "{item}"], "retries": {"max": 3, "delay": "2s"}}
    grid = grid_of("sprints", {"build": TaskTypeConfig(name="build", step=step)}, ["build"], [])
    assert grid.types[0].step is not None
    assert grid.types[0].step.retry.max_retries == 3

    with pytest.raises(BadInput) as refused:
        grid_of(
            "sprints",
            {
                "build": TaskTypeConfig(name="build", step={"run": "make all", "retires": 1}),
                "ship": TaskTypeConfig(name="ship", step={"timeout": "soon"}),
            },
            ["build", "ship"],
            [],
        )

    assert [fault.partition(", got")[0] for fault in refused.value.details] == [
        "build: unknown key retires; did you mean retries?",
        "build: expected run to be a list of arguments",
        "ship: expected timeout to be a number of seconds or a text like 500ms, 90s, 5m, 2h, 7d",
        "ship: expected exactly one of run, call and manual",
    ]


@pytest.mark.requirement("CN-012", "CN-013")
def test_a_config_object_needs_only_a_folder_and_goes_before_the_file(project: Path, tmp_path: Path):
    elsewhere = tmp_path / "deeper" / "weeks"

    tracker = get_tracker("yaml", SimpleNamespace(weeks_dir=str(elsewhere)))

    assert isinstance(tracker, YAMLTrackerBackend)
    assert tracker.path("s1") == elsewhere / "s1" / "tracker.yaml"
    assert list(tracker.grid.by_name) == ["build", "audit", "release"]


def test_without_a_file_weeks_are_those_of_the_document():
    tracker = get_tracker()

    assert isinstance(tracker, YAMLTrackerBackend)
    assert tracker.path("c") == Path("data/weeks/02-C/tracker.yaml")
    assert list(tracker.grid.by_name) == ["research", "content", "blog_post"]


def test_the_environment_names_another_backend(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKTRAIL_TRACKER", "sqlite:///here.db")

    tracker = get_tracker()
    tracker.sync_with_etl("s1", ["core"])

    assert isinstance(tracker, StoreTrackerBackend)
    assert Path("here.db").is_file()
    assert not (project / "sprints").exists()


@pytest.mark.requirement("CN-057")
def test_skipped_meets_needs_where_the_table_says_so():
    say('[tracker]\nbackend = "memory:"\nskipped_meets = true\n')
    tracker = get_tracker()
    tracker.sync_with_etl("A", ["x"])

    tracker.update_task("A", "x", "research", "skipped")

    assert tracker.can_start_task("A", "x", "content")


def test_all_that_is_wrong_is_named_at_once_with_its_line():
    path = say(
        "[tracker]\n"
        'weeksdir = "x"\n'
        'groups = "numbers"\n'
        "skipped_meets = 1\n"
        "[tracker.types.build]\n"
        'needs = ["x"]\n'
        'run = "make all"\n'
        "retries = -1\n"
        "[tracker.types.ship]\n"
        'timeout = "soon"\n'
    )

    with pytest.raises(BadInput) as refused:
        get_tracker()

    assert refused.value.message == f"{path} says of [tracker] what cannot be: 8 faults"
    assert [one.partition("\n")[0].removeprefix(f"{path}:").partition(", got")[0] for one in refused.value.details] == [
        "2:1: unknown key weeksdir; did you mean weeks_dir?",
        "3:1: expected groups to be letters or names",
        "4:1: expected skipped_meets to be true or false",
        "6:1: unknown key needs; did you mean depends_on?",
        "7:1: expected run to be a list of arguments",
        "8:1: expected retries to be a whole number from 0",
        "9:1: expected exactly one of run, call and manual",
        "10:1: expected timeout to be a number of seconds or a text like 500ms, 90s, 5m, 2h, 7d",
    ]


def test_types_that_need_each_other_are_refused_with_the_file():
    path = say('[tracker.types.a]\ndepends_on = "b"\n[tracker.types.b]\ndepends_on = ["a"]\n')

    with pytest.raises(BadInput) as refused:
        get_tracker()

    assert refused.value.message == f"{path}: the task types of weeks cannot be a matrix"
    assert "a" in refused.value.details[0]


def test_a_table_that_is_misspelt_is_refused_by_every_command():
    path = say('[traker]\nbackend = "json"\n')

    with pytest.raises(BadInput, match=r"2: unknown setting 'traker\.backend'; did you mean tracker\.backend\?") as no:
        get_tracker()

    assert no.value.message.startswith(f"{path}:")


def test_the_schema_knows_what_the_reader_knows():
    schema = tracker_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    assert list(validator.iter_errors(tomllib.loads(SPRINTS))) == []
    wrong = tomllib.loads('[tracker]\nweeksdir = "x"\n[tracker.types.a]\nretries = -1\nwhenn = "x"\n')
    assert len(list(validator.iter_errors(wrong))) == 3


def test_a_condition_that_cannot_be_asked_names_its_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasktrail.toml").write_text(LARGE, encoding="utf-8")
    tracker = get_tracker()
    with pytest.raises(UnknownFieldError, match=r"when of check, for item Small: .* got: null and a number") as refused:
        tracker.sync_with_etl("A", [{"name": "Large", "size": 5}, "Small"])
    assert "item.size and item.size > 3" in str(refused.value.hint)
    assert not tracker.tracker_exists("A")

    tracker.sync_with_etl("A", [{"name": "Large", "size": 5}])
    file = Path("data/weeks/00-A/tracker.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("items:\n", "items:\n  Small: {}\n"), encoding="utf-8")
    with pytest.raises(TrackerFileError, match="matrix A: when of check, for item Small: "):
        tracker.get_ready_tasks()


def test_where_a_type_changed_its_level_only_what_can_be_started_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasktrail.toml").write_text("[tracker.types.read]\n[tracker.types.print]\n", encoding="utf-8")
    get_tracker().sync_with_etl("A", ["Alpha"])
    settings = "[tracker.types.read]\n[tracker.types.print]\nis_week_level = true\n"
    Path("tasktrail.toml").write_text(settings, encoding="utf-8")
    tracker = get_tracker()
    assert [(one.item_name, one.task_type) for one in tracker.get_ready_tasks()] == [("Alpha", "read")]
    assert [one.task_type for one in tracker.ready_of("A", tracker._standing("A"))] == ["read"]
    tracker.update_task("A", None, "print", "pending", agent="ann")
    assert [one[1:3] for one in tracker.get_ready_tasks()] == [(None, "print"), ("Alpha", "read")]
