"""`export`: a plan as a file, and the way back."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tasktrail.plan import PlanTools
from tests.cli.conftest import Call

MAIL = "ann@" + "example.org"


@pytest.fixture
def plan() -> PlanTools:
    tools = PlanTools("sqlite:///.tasktrail/tasktrail.db")
    tools.write_task_list([
        {"id": "T1", "description": f"=Ask {MAIL}", "priority": 1, "api": {"password": "swordfish", "to": [MAIL, 1]}},
        {"id": "T2", "description": "Go", "dependencies": ["T1"]},
    ])  # fmt: skip
    tools.mark_task_status("T1", "in_progress", "Looks\ngood")
    return tools


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.csv", "p.md"])
def test_a_file_that_was_written_is_read_again_and_written_the_same(plan: PlanTools, call: Call, name: str) -> None:
    answer = call("export", "-o", name)
    assert (answer.code, answer.out, answer.err) == (0, f"{name}\n", "2 tasks\n")

    copied = call("write-tasks", name, "--plan", "copy")
    assert copied.code == 0, copied.err

    call("export", "plan/copy", "-o", f"again-{name}")
    assert Path(f"again-{name}").read_bytes() == Path(name).read_bytes()
    assert call("doctor", "--verify").code == 0


def test_on_stdout_is_the_text_alone(plan: PlanTools, call: Call) -> None:
    answer = call("export", "--format", "markdown")

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"<!-- tasktrail/plan@1 -->\n\n- [ ] T1: =Ask {MAIL}\n  - status: in_progress\n")
    assert json.loads(call("export").out)["total_tasks"] == 2
    assert call("export", "--format", "jsonl", "--json").data["text"].startswith('{"schema":"tasktrail/plan@1"}\n')


def test_a_new_file_is_for_its_owner_and_an_old_one_keeps_its_mode(plan: PlanTools, call: Call) -> None:
    Path("old.csv").write_text("old")
    Path("old.csv").chmod(0o640)
    Path("link.csv").symlink_to("old.csv")

    assert (call("export", "-o", "new.csv").code, call("export", "-o", "link.csv").code) == (0, 0)

    assert stat.S_IMODE(Path("new.csv").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path("old.csv").stat().st_mode) == 0o640
    assert Path("link.csv").is_symlink()
    assert Path("old.csv").read_bytes() == Path("new.csv").read_bytes()
    assert {path.name for path in Path().iterdir()} == {".tasktrail", "new.csv", "old.csv", "link.csv"}


def test_whoever_reads_the_old_file_meanwhile_sees_it_whole(plan: PlanTools, call: Call) -> None:
    Path("old.csv").write_text("old")
    with Path("old.csv").open() as reader:
        call("export", "-o", "old.csv")
        assert reader.read() == "old"


def test_what_cannot_be_written_says_so_and_leaves_nothing(plan: PlanTools, call: Call) -> None:
    Path("folder").mkdir()
    answers = [
        call("export", "-o", "folder"),
        call("export", "-o", "none/p.csv"),
        call("export", "nope", "-o", "p.csv"),
    ]

    assert [answer.code for answer in answers] == [6, 6, 3]
    assert "is no regular file" in answers[0].err
    assert "cannot be written: No such file" in answers[1].err
    assert "there is no plan nope" in answers[2].err
    assert {path.name for path in Path().iterdir()} == {".tasktrail", "folder"}


def test_scrubbing_reaches_data_but_no_key(plan: PlanTools, call: Call) -> None:
    plain, scrubbed = call("export").out, call("export", "--scrub").out

    assert (plain.count(MAIL), plain.count("swordfish")) == (2, 1)
    first = json.loads(scrubbed)["tasks"][0]
    assert (first["id"], first["description"]) == ("T1", "=Ask [email]")
    assert first["api"] == {"password": "[secret]", "to": ["[email]", 1]}


def test_for_spreadsheets_no_cell_begins_like_a_formula(plan: PlanTools, call: Call) -> None:
    assert f"\nT1,'=Ask {MAIL}," in call("export", "--for-spreadsheets").out
    assert f"\nT1,=Ask {MAIL}," in call("export", "--format", "csv").out
    assert call("export", "--for-spreadsheets", "--format", "json").code == 2
