"""The project's tracker, as its settings and the flags of a call say, and the names of its groups for a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tasktrail.cli.session import Session, session_of
from tasktrail.model.errors import TasktrailError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tasktrail.tracker.backend import TrackerBackend
    from tasktrail.tracker.settings import TrackerSettings


def settings_of(session: Session) -> TrackerSettings:
    """Return what is configured of trackers."""
    from tasktrail.tracker.settings import load_settings

    return load_settings(flags=session.flags)


def tracker_of(session: Session) -> TrackerBackend:
    """Return the project's tracker."""
    from tasktrail.tracker.factory import get_tracker

    return get_tracker(None, settings_of(session))


class GroupName(click.ParamType[str]):
    """The name of a group: a week's letter, a sprint."""

    name = "group"

    def shell_complete(self, ctx: click.Context, param: Any, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """Return the groups whose names begin so; nothing where they cannot be read."""
        return groups_like(ctx, incomplete)


def groups_like(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the groups whose names begin so, for a shell."""
    from click.shell_completion import CompletionItem

    try:
        names = tracker_of(session_of(ctx)).weeks()
    except TasktrailError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


GROUP = GroupName()
