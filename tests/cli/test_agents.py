"""`setup`: an agent is told of Tasktrail in the file that it reads; the file stays its owner's."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

import click
import pytest

from tasktrail.cli.app import COMMANDS, root
from tasktrail.engine.instructions import AGENTS, ways
from tasktrail.formats.marked_block import BEGIN, END
from tests.cli.conftest import Call

WAYS = [line.split("`")[1] for line in [*ways(), *ways("later")]]


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_is_told_once_and_the_file_is_gone_with_its_block(call: Call, agent: str) -> None:
    file = Path(AGENTS[agent].file)

    first = call("setup", agent)
    text = file.read_bytes()
    again = call("setup", agent)

    assert (first.code, first.out, first.err) == (0, f"{file}\n", f"{agent}: written\n")
    assert (again.code, again.err, file.read_bytes()) == (0, f"{agent}: unchanged\n", text)
    assert {"tasktrail prime", *WAYS[:5]} <= set(text.decode().split("`"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert call("setup", agent, "--remove").err == f"{agent}: deleted\n"
    assert [path for path in Path().rglob("*") if path.is_file()] == []
    assert call("setup", agent, "--remove").err == f"{agent}: unchanged\n"


@pytest.mark.parametrize(
    "text", [b"Be kind.", b"# Us\r\n\r\nBe kind.\r\n", b"\xef\xbb\xbfBe kind.\n\n\n", "é\n".encode()]
)
def test_what_people_wrote_survives_byte_for_byte(call: Call, text: bytes) -> None:
    file = Path("CLAUDE.md")
    file.write_bytes(text)
    file.chmod(0o640)

    assert call("setup", "claude", "--json").data["change"] == "written"
    told = file.read_bytes()
    assert told.startswith(text)
    assert told.count(b"\r\n") in (0, told.count(b"\n"))

    assert call("setup", "claude", "--remove").err == "claude: taken out\n"
    assert file.read_bytes() == text
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(Path().iterdir()) == [file]


def test_a_rule_of_cursor_is_always_applied(call: Call) -> None:
    call("setup", "cursor")

    head = Path(".cursor/rules/tasktrail.mdc").read_text("utf-8").split("---\n")
    assert head[0] == ""
    assert "alwaysApply: true" in head[1].splitlines()


def test_an_older_block_is_brought_up_to_date_in_its_place(call: Call) -> None:
    Path("AGENTS.md").write_text(f"above\n{BEGIN}\nold words\n{END}\nbelow\n", "utf-8")

    call("setup", "codex")

    text = Path("AGENTS.md").read_text("utf-8")
    assert text.startswith(f"above\n{BEGIN}\n## Tasks\n")
    assert text.endswith(f"{END}\nbelow\n")
    assert "old words" not in text


def test_half_a_block_is_refused_with_its_line_and_changes_nothing(call: Call) -> None:
    text = f"above\n\n{BEGIN}\nold words\n"
    Path("GEMINI.md").write_text(text, "utf-8")

    for words in (("setup", "gemini"), ("setup", "gemini", "--remove")):
        answer = call(*words)
        assert answer.code == 2
        assert "GEMINI.md:3: expected one block" in answer.err
        assert Path("GEMINI.md").read_text("utf-8") == text


def test_a_file_that_is_no_text_is_refused(call: Call) -> None:
    Path("CLAUDE.md").write_bytes("Be kind.\n".encode("utf-16"))

    answer = call("setup", "claude")

    assert answer.code == 2
    assert "CLAUDE.md:1:1: expected UTF-8 text" in answer.err


def test_a_link_inside_the_project_stays_one_and_one_that_leads_out_is_refused(
    call: Call, tmp_path_factory: pytest.TempPathFactory
) -> None:
    Path("AGENTS.md").write_text("Be kind.\n", "utf-8")
    Path("CLAUDE.md").symlink_to("AGENTS.md")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "notes.md"
    elsewhere.write_text("mine\n", "utf-8")
    Path("GEMINI.md").symlink_to(elsewhere)

    inside, outside = call("setup", "claude"), call("setup", "gemini")

    assert (inside.code, inside.out) == (0, "AGENTS.md\n")
    assert Path("CLAUDE.md").is_symlink()
    assert BEGIN in Path("AGENTS.md").read_text("utf-8")
    assert outside.code == 2
    assert "leads out of the project" in outside.err
    assert elsewhere.read_text("utf-8") == "mine\n"


def test_the_file_lies_in_the_project_however_deep_one_works(call: Call) -> None:
    call("init")
    Path("src/deep").mkdir(parents=True)

    assert call("-C", "src/deep", "setup", "claude").code == 0
    assert not Path("CLAUDE.md").exists()  # the call has changed the folder
    assert Path("../../CLAUDE.md").exists()


@pytest.mark.parametrize("line", WAYS)
def test_every_command_that_an_agent_is_told_can_be_typed(line: str) -> None:
    _, name, *words = shlex.split(line)
    assert name in COMMANDS
    found = root.get_command(click.Context(root), name)
    assert found is not None
    found.make_context(name, words)
