"""What agents are told of Tasktrail: how to work with it, in the file where each looks for its instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from tasktrail.formats import marked_block
from tasktrail.model.errors import BadInput
from tasktrail.store.documents import DocumentFile

Change = Literal["written", "unchanged", "taken out", "deleted"]
"""What became of a file."""
_LOCK_S: Final = 10.0
_MODE: Final = 0o644


class Agent(NamedTuple):
    """An agent, by the file of a project that it reads its instructions from.

    Args:
        head: What a file that is ours alone begins with.
    """

    file: str
    head: str = ""


_ALWAYS: Final = "---\ndescription: The tasks of this project are kept by Tasktrail\nalwaysApply: true\n---\n"
"""Without it Cursor reads a rule only when it is asked to. Source: Cursor's documentation, Rules."""
AGENTS: Final[Mapping[str, Agent]] = MappingProxyType({
    "claude": Agent("CLAUDE.md"),
    "codex": Agent("AGENTS.md"),
    "cursor": Agent(".cursor/rules/tasktrail.mdc", _ALWAYS),
    "gemini": Agent("GEMINI.md"),
})  # fmt: skip


def ways(plan: str | None = None) -> list[str]:
    """Return how to work with a plan, a line for each thing that an agent does.

    Args:
        plan: Its name; None is the standing plan.
    """
    option, key = (f" --plan {plan}", f"{plan}:ID") if plan else ("", "ID")
    return [
        f"- Take a task: `tasktrail next --claim{option}` prints its id and a token. Work on nothing else.",
        f'- Done: `tasktrail complete {key} --token TOKEN --result "one sentence"`',
        f'- It went wrong: `tasktrail fail {key} --token TOKEN --error "what happened"`',
        f'- A person must act first: `tasktrail block {key} --token TOKEN --reason "what is missing"`',
        f'- Worth knowing later: `tasktrail note {key} "text" --token TOKEN`; this renews your claim, too.',
    ]


_BLOCK: Final = (
    "## Tasks",
    "",
    "Tasktrail keeps the tasks of this project; keep no list of your own.",
    "",
    "- Before you begin, and whenever you lost the thread: `tasktrail prime` says where things stand.",
    *ways(),
)


def write_instructions(root: Path, agent: Agent) -> tuple[Path, Change]:
    """Let the file of an agent have our block; what else stands in it stays as it is.

    Args:
        root: The project's folder.

    Raises:
        BadInput: The file is no UTF-8 text, is elsewhere, or has half a block.
        StoreError: It cannot be read or written.
    """
    file = _file(root, agent)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    return _rewrite(file, agent, lambda text: marked_block.put(text or agent.head, _BLOCK, agent.file))


def remove_instructions(root: Path, agent: Agent) -> tuple[Path, Change]:
    """Take our block out of the file of an agent; delete a file in which nothing else stood.

    Raises:
        BadInput, StoreError: As for `write_instructions`.
    """
    file = _file(root, agent)
    if file.signature() is None:
        return file.path, "unchanged"
    return _rewrite(file, agent, lambda text: marked_block.take_out(text, agent.file))


def _file(root: Path, agent: Agent) -> DocumentFile:
    file = DocumentFile(root / agent.file)
    if not file.path.is_relative_to(root.resolve()):
        raise BadInput(f"{agent.file} is a link that leads out of the project: {file.path}", hint="edit it by hand")
    return file


def _rewrite(file: DocumentFile, agent: Agent, edit: Callable[[str], str]) -> tuple[Path, Change]:
    try:
        with file.lock(_LOCK_S):
            return file.path, _rewritten(file, agent, edit)
    finally:
        with suppress(OSError):  # the store's documents keep theirs; this one would be rubbish in the project
            Path(f"{file.path}.lock").unlink(missing_ok=True)


def _rewritten(file: DocumentFile, agent: Agent, edit: Callable[[str], str]) -> Change:
    reading = file.read()
    text = edit(reading.text if reading else "")
    if reading and text == reading.text:
        return "unchanged"
    if reading and text.replace("\r\n", "\n") == agent.head:
        file.path.unlink()
        return "deleted"
    file.replace(text, reading.look if reading else None)
    if reading is None:
        file.path.chmod(_MODE)
    return "written" if marked_block.BEGIN in text else "taken out"
