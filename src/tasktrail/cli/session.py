"""One call of the command line: what its global options said, and the project, opened when first needed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from tasktrail.cli.text import Ink
from tasktrail.config import SETTINGS
from tasktrail.model.errors import BadInput, TasktrailError

if TYPE_CHECKING:
    from tasktrail.config import Config
    from tasktrail.engine.ledger import Ledger

_METAVARS: Final = {"actor": "ACTOR", "run.max_parallel": "N", "store.url": "URL", "tracker.backend": "BACKEND"}
_LEVELS: Final = {1: "info", 2: "debug"}


@dataclass(slots=True)
class Session:
    """What a command knows of its call.

    Args:
        flags: Text by name of the setting, of the flags that were given.
        verbosity: How often -v was given.
    """

    flags: dict[str, str] = field(default_factory=dict)
    json: bool = False
    verbosity: int = 0
    _config: Config | None = None
    _warned: set[str] = field(default_factory=set)

    @property
    def config(self) -> Config:
        """All settings; read at the first use."""
        if self._config is None:
            from tasktrail.config import load

            self._config = load(flags=self.flags)
        return self._config

    def ledger(self, *, create: bool = False) -> Ledger:
        """Return the project's ledger. What people changed in the files of plans is known to it.

        Args:
            create: Whether to make the store when there is none; a reader sees an empty one instead.
        """
        from tasktrail.engine.project import ledger_of

        ledger = ledger_of(self.config.store, self.config, create=create)
        with contextlib.suppress(TasktrailError):  # a store that cannot be read: the command itself meets that
            for fault in ledger.refresh_plans():
                self._warn(f"warning: {fault.message}; its plan is shown as it was")
        return ledger

    def _warn(self, text: str) -> None:
        """A command may ask for the ledger more than once."""
        if text not in self._warned:
            self._warned.add(text)
            tell(text)

    def log(self) -> None:
        """Let log lines go to stderr from now on."""
        from tasktrail import logs
        from tasktrail.engine.scrubbing import scrubber_of

        level = _LEVELS.get(min(self.verbosity, 2), self.config.log_level)
        logs.setup(level, self.config.log_format, scrubber_of(self.config))

    def ink(self, stream: TextIO | None = None) -> Ink:
        """Return whether to colour what goes to a stream; None is stdout."""
        return Ink(self.colored(stream or sys.stdout))

    def colored(self, stream: TextIO) -> bool:
        """Return whether a stream gets colours. Settings that cannot be read are another command's trouble."""
        try:
            wish = self.config.color
        except TasktrailError:
            wish = "auto"
        return stream.isatty() if wish == "auto" else wish == "always"

    @property
    def width(self) -> int | None:
        """Columns of the terminal that stdout is; None when it is none."""
        if not sys.stdout.isatty():
            return None
        import shutil

        return shutil.get_terminal_size().columns


class Command(click.Command):
    """A command that takes the global options too, wherever they stand."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options(shown=False))
        self.epilog = self.epilog or "Global options, before or after the command: tasktrail --help"


class Group(click.Group):
    """Commands that begin alike; the global options may stand in between."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options(shown=False))


def global_options(*, shown: bool) -> Iterable[click.Option]:
    """Yield the options that every command takes.

    Args:
        shown: Whether the help lists them; that of a command shows --json alone.
    """
    yield _option(["-C"], _change_folder, shown, metavar="DIR", help="Work in DIR, as if the command was typed there.")
    for setting in (one for one in SETTINGS if one.flag):
        metavar = _METAVARS.get(setting.name, setting.kind.upper() if not setting.choices else None)
        kind = click.Choice(setting.choices, case_sensitive=False) if setting.choices else None
        remember = partial(_remember, setting.name)
        yield _option([setting.flag], remember, shown, metavar=metavar, type=kind, help=setting.help)
    yield _option(["--json"], _remember_json, True, is_flag=True, help="Print one JSON document on stdout.")
    yield _option(["-v", "--verbose"], _remember_verbosity, True, count=True, help="Say more; -vv says all.")


def _option(names: list[str], callback: Any, shown: bool, **details: Any) -> click.Option:
    return click.Option(names, callback=callback, expose_value=False, hidden=not shown, **details)


def session_of(context: click.Context) -> Session:
    """Return the session of a call; one for the whole chain of commands."""
    return context.find_root().ensure_object(Session)


def _remember(name: str, context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        session_of(context).flags[name] = value


def _remember_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    session_of(context).json |= value


def _remember_verbosity(context: click.Context, _: click.Parameter, value: int) -> None:
    session_of(context).verbosity += value


def _change_folder(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None or context.resilient_parsing:
        return
    try:
        os.chdir(value)
    except OSError as error:
        raise BadInput(f"cannot work in {value}: {error.strerror}", hint="tasktrail -C DIR …") from None


def tell(*lines: str) -> None:
    """Write words to stderr. Where nobody reads them, that is no reason to end with another exit code."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.writelines(f"{line}\n" for line in lines)
        sys.stderr.flush()


def shown_path(path: Path) -> str:
    """Return a path as people here would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
