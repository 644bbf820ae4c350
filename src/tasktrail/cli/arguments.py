"""What commands have in common: they are handed their session, and their references are completed by the shell."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasktrail.cli.session import Command, session_of
from tasktrail.model.errors import BadInput, TasktrailError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class SessionCommand(Command):
    """A command whose function takes the session first."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function."""
        assert self.callback is not None
        return ctx.invoke(self.callback, session_of(ctx), **ctx.params)


class Seconds(click.FloatRange):
    """Seconds in a range; `nan` is in none, although no comparison says so."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return them as a number."""
        seconds = super().convert(value, param, ctx)
        return seconds if isfinite(seconds) else self.fail(f"{seconds} is no number of seconds", param, ctx)


class RunReference(click.ParamType[str]):
    """A run's public id, or `kind/id`. The ledger resolves it; here a shell completes it."""

    name = "run"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the newest runs whose ids begin so; nothing where there is no store, or a broken one."""
        from click.shell_completion import CompletionItem

        from tasktrail.engine.lookup import names_like

        try:
            return [CompletionItem(name) for name in names_like(session_of(ctx).ledger(), incomplete)]
        except TasktrailError:
            return []


class TaskReference(RunReference):
    """A task's reference, RUN:STEP, or a run's. The ledger resolves it; here a shell completes it."""

    name = "task"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the steps of the run before the colon; without one, runs."""
        from click.shell_completion import CompletionItem

        from tasktrail.engine.lookup import tasks_like

        if ":" not in incomplete:
            return super().shell_complete(ctx, param, incomplete)
        try:
            return [CompletionItem(name) for name in tasks_like(session_of(ctx).ledger(), incomplete)]
        except TasktrailError:
            return []


class ErrorReference(click.ParamType[str]):
    """The fingerprint of an error, or how it begins. The store resolves it; here a shell completes it."""

    name = "error"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the errors that were seen last, of those whose fingerprints begin so."""
        from click.shell_completion import CompletionItem

        from tasktrail.engine.errors import list_errors

        try:
            found = session_of(ctx).ledger().store.read(lambda tx: list_errors(tx, limit=1000)).errors
        except TasktrailError:
            return []
        return [CompletionItem(one.fingerprint) for one in found if one.fingerprint.startswith(incomplete)]


ERROR = ErrorReference()
RUN = RunReference()
TASK = TaskReference()

OUTPUT_DIR = click.option(
    "--output-dir", metavar="DIR", type=click.Path(path_type=Path), help="Keep each step's result and output there."
)
"""What every command that executes steps takes."""
ACCEPT_CHANGES = click.option(
    "--accept-changes", is_flag=True, help="Go on by the workflow file and its code as they are now."
)
PARAMS = click.option(
    "--param", "-p", "params", metavar="NAME=VALUE", multiple=True, help="A param of the workflow file."
)


def since_of(text: str, now: int) -> int:
    """Return the moment that `2h`, `3d` or a date, with a time or without, means; microseconds UTC.

    >>> since_of("2h", 10_000_000_000) == 10_000_000_000 - 2 * 3_600_000_000
    True

    Raises:
        BadInput: It is neither.
    """
    from datetime import datetime

    from tasktrail.formats.moment import moment_before

    if (at := moment_before(text, now)) is not None:
        return at
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        raise BadInput(
            f"expected --since to be a span (90s, 2h, 3d) or a date, got: {text[:40]!r}",
            hint="--since 2h, --since 2026-11-20, --since 2026-11-20T08:00:00+00:00",
        ) from None
