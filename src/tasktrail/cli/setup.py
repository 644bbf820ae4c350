"""`init`, `config show`, `completion`: what is typed once per project or machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Group, Session, shown_path, tell
from tasktrail.cli.text import columns, plain

SHELLS = ("bash", "zsh", "fish")
_INSTALL = {
    "bash": 'eval "$(tasktrail completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(tasktrail completion zsh)"      # in ~/.zshrc',
    "fish": "tasktrail completion fish | source      # in ~/.config/fish/config.fish",
}


@click.command("init", cls=SessionCommand)
def init_command(session: Session) -> None:
    """Write a commented tasktrail.toml here; nothing is asked, nothing is set."""
    from tasktrail.config import write_init

    path = write_init(Path.cwd())
    if session.json:
        emit("file@1", {"id": str(path), "path": str(path)})
        return
    sys.stdout.write(f"{shown_path(path)}\n")
    tell("every setting stands in it with its default, commented out")


@click.group("config", cls=Group)
def config_command() -> None:
    """Show settings."""


@config_command.command("show", cls=SessionCommand)
def show_command(session: Session) -> None:
    """Show every setting, its value, and where it was said."""
    origins = session.config.origins()
    if session.json:
        emit("config@1", [{"id": name, "value": value, "origin": origin} for name, value, origin in origins])
        return
    rows = [(name, plain(", ".join(value) if isinstance(value, tuple) else value), plain(origin))
            for name, value, origin in origins]  # fmt: skip
    header = ("SETTING", "VALUE", "SAID BY")
    lines = columns(header, rows, limit=None, ink=session.ink(), style=lambda column, _: "dim" if column == 2 else None)
    sys.stdout.writelines(f"{line}\n" for line in lines)


@click.command("completion", cls=SessionCommand)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, session: Session, shell: str) -> None:
    """Print what makes a shell complete commands, options and run ids.

    \b
    bash: eval "$(tasktrail completion bash)"     in ~/.bashrc
    zsh:  eval "$(tasktrail completion zsh)"      in ~/.zshrc
    fish: tasktrail completion fish | source      in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    source = made(context.find_root().command, {}, "tasktrail", "_TASKTRAIL_COMPLETE").source()
    if session.json:
        emit("completion@1", {"id": shell, "source": source})
        return
    sys.stdout.write(source + "\n")
    if sys.stdout.isatty():
        tell(f"to use it: {_INSTALL[shell]}")
