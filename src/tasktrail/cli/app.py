"""The commands by name, found when they are called, and the one place where a call begins and ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from tasktrail import __version__
from tasktrail.cli import errors
from tasktrail.cli.session import Session, global_options, session_of
from tasktrail.model.errors import TasktrailError

COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "run": ("run", "Execute a DAG, show where its run stands, retry it: run dag."),
    "resume": ("steering", "Go on with a run that was interrupted, killed, or failed."),
    "pause": ("steering", "Let nothing new start in a run; what runs is finished."),
    "cancel": ("steering", "Call a run, or one task, off; what runs is told to stop."),
    "retry": ("retrying", "Do failed steps and tasks again: of a run, one alone, or of all runs."),
    "write-tasks": ("plan", "Create a plan from a file, or bring it up to date."),
    "add": ("plan", "Add a task to a plan."),
    "next": ("plan", "Show which task of a plan comes next; --claim begins it."),
    "list-tasks": ("tasks", "List tasks of plans, or steps of runs, and how much is done."),
    "search": ("tasks", "Find tasks by a word."),
    "show": ("showing", "Show all about one task."),
    "task-status": ("showing", "Print the status of a task, one word."),
    "start": ("moving", "Begin a task."),
    "complete": ("moving", "Say that a task is done, with its result."),
    "fail": ("moving", "Say that a task failed, and why."),
    "release": ("moving", "Give a task back unfinished."),
    "skip": ("moving", "Leave a task out."),
    "block": ("moving", "Keep a task from starting."),
    "unblock": ("moving", "Let a blocked task start again."),
    "reopen": ("moving", "Let a finished task be done again."),
    "note": ("editing", "Write a note on a task."),
    "edit": ("editing", "Change what a task is: its title, priority, needs."),
    "rm": ("editing", "Take a task out of its plan."),
    "matrix": ("matrix", "Show items × task types; what is ready, progress, sync, run."),
    "list-errors": ("known_errors", "List errors: how often each was seen, and when last."),
    "show-error": ("known_errors", "Show an error: where it was seen, and what helped."),
    "resolve": ("known_errors", "Say that an error is resolved; it is told when it comes back."),
    "ignore": ("known_errors", "Hear no more of an error."),
    "prime": ("prime", "Say what an agent needs to go on with a plan, within a number of tokens."),
    "backfill": ("backfill", "Bring result files of an earlier scheduler into the store, each once."),
    "export": ("export", "Write a plan as JSON, lines of JSON, CSV or Markdown."),
    "undo": ("undo", "Take a change back, a batch, or all of an actor since a time."),
    "graph": ("graph", "Draw a run: as text, Mermaid or DOT."),
    "watch": ("watch", "Follow a run until it is over."),
    "explain": ("explain", "Say why nothing runs, or why a step did not start."),
    "worker": ("worker", "Execute steps of pooled runs, beside other workers."),
    "list-workers": ("worker", "List workers: who lives, what each serves and executes."),
    "list-runs": ("listing", "List runs, the newest first."),
    "list-executions": ("executions", "List what was executed, whoever executed it, the newest first."),
    "last-failed": ("executions", "Show what failed last, and what failures have in common."),
    "trace": ("trace", "Draw a trace: runs, tasks and attempts, and how long each took."),
    "stats": ("stats", "Report on executions: success, durations, errors, retries."),
    "sql": ("sql", "Ask the store in SQL; nothing can be changed."),
    "logs": ("output", "Show what steps printed, also while they run."),
    "history": ("events", "Show who changed what in a run or a task, and when."),
    "notify": ("notify", "Run commands for events: what failed, what was completed."),
    "mcp": ("mcp", "Serve the project to agents by the Model Context Protocol."),
    "doctor": ("health", "Look for what is wrong with the store and around it."),
    "backup": ("keeping", "Copy the store to a new file while others work on it."),
    "restore": ("keeping", "Put a backup in the place of the store."),
    "move": ("copying", "Copy everything to another store: a file, or PostgreSQL."),
    "prune": ("retention", "Remove runs and recordings that are old."),
    "erase": ("retention", "Take a text, a person's name say, out of all that is stored."),
    "scrub": ("scrub", "Print a text without what is private in it; --check: look over the store."),
    "setup": ("agents", "Tell an agent how to work with Tasktrail: claude, codex, cursor, gemini."),
    "init": ("setup", "Write a commented tasktrail.toml."),
    "config": ("setup", "Show every setting and where it was said: config show."),
    "schema": ("schema", "Print the JSON Schema of a kind of file, for editors."),
    "completion": ("setup", "Print what makes a shell complete commands and run ids."),
    "help": ("topics", "Show help on a command or on exit-codes."),
})  # fmt: skip  # one line per command
"""By name: the file that has it, and what it does."""

ALIASES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "runs": ("list-runs",),
    "status": ("run", "dag", "--status"),
    "tasks": ("list-tasks",),
    "complete-task": ("complete",),
})  # fmt: skip  # one line per alias
"""Other names by what they stand for; they work and are not listed."""


class Commands(click.Group):
    """All commands; a command's file is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"tasktrail.cli.{COMMANDS[cmd_name][0]}"), _attribute(cmd_name))
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with, by its name or an alias."""
        args = [*ALIASES.get(args[0], (args[0],)), *args[1:]]
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            close = get_close_matches(args[0], [*COMMANDS, *ALIASES])
            words = f"; did you mean {' or '.join(close)}?" if close else ""
            raise Unknown(f"no command is called {args[0]}{words}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


class Unknown(click.UsageError):
    """No command has this name."""


def _attribute(command: str) -> str:
    return f"{command.replace('-', '_')}_command"


@click.pass_context
def _root(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


root: Final = Commands(
    "tasktrail",
    callback=_root,
    params=[*global_options(shown=True)],
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="The durable record of work, and the engine that gets it done.",
    epilog="What comes next: tasktrail COMMAND --help · tasktrail help exit-codes",
)
click.version_option(__version__, "--version", "-V", prog_name="tasktrail", message="%(prog)s %(version)s")(root)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code. Whatever goes wrong is told here and nowhere else."""
    session = Session()
    _never_fail_on_a_character()
    try:
        code = root.main(list(arguments), prog_name="tasktrail", standalone_mode=False, obj=session)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader had enough
        _discard_output()
        return errors.FAILED
    except SystemExit as end:  # click has answered a shell's question, or met the same
        return end.code if isinstance(end.code, int) else errors.FAILED
    except (click.ClickException, click.Abort, TasktrailError, KeyboardInterrupt) as error:
        return _tell(_trouble(error), session, arguments, error)
    except Exception as error:  # noqa: BLE001 - a face: the last place where an error can become words
        return _tell(errors.unexpected(error), session, arguments, error)
    return code if isinstance(code, int) else errors.OK


def _trouble(error: BaseException) -> errors.Trouble:
    if isinstance(error, TasktrailError):
        return errors.trouble_of(error)
    if isinstance(error, click.ClickException):
        return _usage(error)
    return errors.Trouble("interrupted", "interrupted")


def _usage(error: click.ClickException) -> errors.Trouble:
    """What click says, in our form: no capital, no full stop, and where to look."""
    words = error.format_message().replace("'", "").replace(". Did", "; did").strip().removesuffix(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context and isinstance(error, click.exceptions.NoArgsIsHelpError) and isinstance(context.command, click.Group):
        names = context.command.list_commands(context)
        return errors.Trouble("usage", f"{context.command_path} needs a command", f"{context.command_path} {names[0]}")
    hint = f"{context.command_path} --help" if context else "tasktrail --help"
    return errors.Trouble("usage", words[:1].lower() + words[1:], hint)


def _tell(trouble: errors.Trouble, session: Session, arguments: Sequence[str], error: BaseException) -> int:
    """A call that was not understood has no settings yet, so the arguments are asked for --json."""
    as_json = session.json or "--json" in arguments
    foreign = error.__cause__ if isinstance(error, TasktrailError) else error
    with contextlib.suppress(BrokenPipeError):
        if session.verbosity and isinstance(foreign, Exception) and not isinstance(foreign, click.ClickException):
            sys.stderr.write(errors.stack_of(foreign))
        errors.tell(trouble, as_json=as_json, color=session.colored(sys.stderr))
        sys.stdout.flush()
    return trouble.exit_code


def _never_fail_on_a_character() -> None:
    """A terminal that has no box characters shows question marks; it does not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _discard_output() -> None:
    """Nobody reads: what is still buffered must not be written when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


__all__ = ["ALIASES", "COMMANDS", "root", "run", "session_of"]
