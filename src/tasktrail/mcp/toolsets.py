"""Which tools are offered: sets of them by name, made for the client who calls, so that the history names it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tasktrail.model.errors import BadInput
from tasktrail.model.plan import STANDING_PLAN
from tasktrail.model.suggestion import Suggestions
from tasktrail.tools import Tools

__all__ = ["ALL", "DEFAULT", "PAGED_BY", "TOOLSETS", "Offer"]

ALL: Final = "all"
DEFAULT: Final = ("plan", "executions")
PAGED_BY: Final[Mapping[str, str]] = MappingProxyType({"read_task_breakdown": "get_tasks"})
"""Tools that answer with all there is, by the one that gives the same in pages."""
_MOST_CLIENTS: Final = 32


def _plan(offer: Offer, settings: Mapping[str, str], *, more: bool = False) -> Tools:
    from tasktrail.plan.tools import DEFAULT_TOOLS, TOOLS, PlanTools

    made = PlanTools(offer.root, offer.plan_name, settings=settings)
    return made.tools([name for name in TOOLS if name not in DEFAULT_TOOLS] if more else DEFAULT_TOOLS)


def _more_plan(offer: Offer, settings: Mapping[str, str]) -> Tools:
    return _plan(offer, settings, more=True)


def _executions(offer: Offer, settings: Mapping[str, str]) -> Tools:
    from tasktrail.executions.tools import ExecutionTools

    return ExecutionTools(offer.root, settings).tools()


def _matrix(offer: Offer, settings: Mapping[str, str]) -> Tools:
    from tasktrail.tracker.factory import get_tracker
    from tasktrail.tracker.matrix_tools import MatrixTools
    from tasktrail.tracker.settings import load_settings

    return MatrixTools(get_tracker(None, load_settings(offer.root, settings))).tools()


def _runs(offer: Offer, settings: Mapping[str, str]) -> Tools:
    from tasktrail.workflows.tools import RunTools

    return RunTools(offer.root, settings).tools()


TOOLSETS: Final[Mapping[str, Callable[[Offer, Mapping[str, str]], Tools]]] = MappingProxyType({
    "plan": _plan,
    "plan-more": _more_plan,
    "executions": _executions,
    "matrix": _matrix,
    "runs": _runs,
})  # fmt: skip
"""What makes the tools of each set."""


@dataclass(frozen=True)
class Offer:
    """What is offered to clients.

    Args:
        toolsets: Names out of `TOOLSETS`; `all` is all of them.
        read_only: Whether tools that change something are left out.
        root: The project's folder.
        plan: Which plan; None is that of the folder's file, where there is one, else the standing plan.
        settings: By name, as flags of the command line say them.

    Raises:
        BadInput: There is no such toolset.
    """

    toolsets: Collection[str] = DEFAULT
    read_only: bool = False
    root: Path = field(default_factory=Path.cwd)
    plan: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    _by_actor: dict[str, Tools] = field(default_factory=dict, repr=False)
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        for name in self.toolsets:
            if name not in TOOLSETS and name != ALL:
                known = [*TOOLSETS, ALL]
                raise BadInput(f"there is no toolset {name!r}{Suggestions()(name, known)}", hint=", ".join(known))

    @property
    def plan_name(self) -> str | None:
        """The plan's name in the store; None: it is the folder's, which has a file for it."""
        from tasktrail.plan.places import FILE

        of_file = self.plan is None and (self.root / FILE).exists()
        return None if of_file else self.plan or STANDING_PLAN

    @cached_property
    def definitions(self) -> Tools:
        """The tools as they are told to clients."""
        return self.tools("")

    def tools(self, actor: str) -> Tools:
        """Return the tools for a client, under whose name the history has what it does; empty: the project's actor."""
        with self._making:
            if actor not in self._by_actor:
                while len(self._by_actor) >= _MOST_CLIENTS:
                    self._by_actor.pop(next(iter(self._by_actor)))
                self._by_actor[actor] = self._made(actor)
            return self._by_actor[actor]

    def _made(self, actor: str) -> Tools:
        named = self.settings if not actor or "actor" in self.settings else {**self.settings, "actor": actor}
        names = TOOLSETS if ALL in self.toolsets else [name for name in TOOLSETS if name in self.toolsets]
        found = [one for name in names for one in TOOLSETS[name](self, named)]
        return Tools(one.function for one in found if one.effect.reads or not self.read_only)
