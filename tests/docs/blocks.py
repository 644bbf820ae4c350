"""The fenced blocks of a Markdown page, and how each kind is put to the test.

```python               runs, in one namespace with the blocks before it, in a temporary folder
```python no-run        is only compiled
```toml file=NAME       is written to that file of the folder (any language; Python is compiled first)
```console              lines with `$ tasktrail …` run and must end with 0 (`exit=4`: with 4); output lines that follow
                        must match, `...` standing for anything; other commands are for the reader alone
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from markdown_it import MarkdownIt

TIME_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, the words after it, its text and the line of the page it starts on."""

    language: str
    options: tuple[str, ...]
    text: str
    page: Path
    line: int

    def option(self, name: str) -> str | None:
        """Return the value of `name=value` among the words after the language."""
        return next((word.partition("=")[2] for word in self.options if word.startswith(f"{name}=")), None)

    @property
    def place(self) -> str:
        """Where a person finds the block: page and line."""
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block and the output the page shows for it; empty when it shows none."""

    argv: tuple[str, ...]
    expected: str


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in order, those inside lists and quotes too."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    fences = [token for token in tokens if token.type == "fence" and token.info.strip()]
    return [
        Block(words[0], tuple(words[1:]), token.content, page, (token.map or [0])[0] + 1)
        for token in fences
        if (words := token.info.split())
    ]


def run_page(page: Path) -> None:
    """Run all blocks of a page, in order, in the current folder; the first that fails ends it."""
    module = ModuleType(f"page_{page.stem}")
    known, path = set(sys.modules), list(sys.path)
    sys.modules[module.__name__] = module  # dataclasses and pydantic look their module up by its name
    sys.path.insert(0, str(Path.cwd()))  # as when a person types the page into an interpreter
    try:
        for block in blocks_of(page):
            run_block(block, module)
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            if getattr(sys.modules[name], "__file__", None) == str(Path.cwd() / f"{name}.py"):
                del sys.modules[name]
        sys.modules.pop(module.__name__, None)


def run_block(block: Block, module: ModuleType) -> None:
    """Put one block to the test, as its language and options ask."""
    if block.language == "python":
        run_python(block, module)
    elif target := block.option("file"):
        write(block, target)
    elif block.language == "console":
        for command in commands_of(block.text):
            run_command(command, block)


def run_python(block: Block, module: ModuleType) -> None:
    """Compile a Python block, and write or run it; errors name the page and its line."""
    # Blank lines in front make the line numbers of a traceback those of the page.
    code = compile("\n" * block.line + block.text, str(block.page), "exec")
    if target := block.option("file"):
        write(block, target)
    elif "no-run" not in block.options:
        exec(code, module.__dict__)


def write(block: Block, target: str) -> None:
    """Write a block to a file below the current folder."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def commands_of(text: str) -> Iterator[Command]:
    """Return the `$ tasktrail` commands of a console block, each with the output lines that follow it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = part.replace("\\\n", " ").partition("\n")
        program, *argv = shlex.split(line, comments=True)
        if program == "tasktrail":
            yield Command(tuple(argv), output.strip())


def run_command(command: Command, block: Block) -> None:
    """Run one command with this interpreter and compare what it prints with what the page shows."""
    done = subprocess.run(
        [sys.executable, "-m", "tasktrail", *command.argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    said = f"{block.place}: tasktrail {shlex.join(command.argv)}"
    assert done.returncode == int(block.option("exit") or 0), f"{said} ended with {done.returncode}:\n{done.stdout}"
    shown = f"{said} printed:\n{done.stdout}\nthe page shows:\n{command.expected}"
    assert not command.expected or matches(command.expected, done.stdout), shown


def matches(expected: str, printed: str) -> bool:
    """Tell whether output is as shown, `...` standing for anything, spaces at line ends left aside."""
    parts = [re.escape(part) for part in tidied(expected).split("...")]
    return re.fullmatch(".*".join(parts), tidied(printed), re.DOTALL) is not None


def tidied(text: str) -> str:
    """Return text without spaces at the ends of its lines, and without empty lines around it."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
