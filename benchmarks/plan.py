"""Which subjects there are, in which scenario each is measured, and how large."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

import server


@dataclass(frozen=True, slots=True)
class Family:
    """Subjects of one library: `subjects_<name>.py` holds them.

    Args:
        module: What must be importable.
        distributions: What must be installed; their versions are printed.
        on_server: Whether its subjects start a PostgreSQL server.
        command: What must be on the PATH; None: nothing.
    """

    name: str
    module: str
    distributions: tuple[str, ...]
    on_server: bool = False
    command: str | None = None

    def missing(self) -> str | None:
        """Return why the family cannot run here, or None when it can."""
        if find_spec(self.module.partition(".")[0]) is None:
            return f"{self.module} not installed"
        if self.command is not None and shutil.which(self.command) is None:
            return f"{self.command} not installed"
        absent = [name for name in self.distributions if _version(name) is None]
        if absent:
            return f"{', '.join(absent)} not installed"
        return server.missing() if self.on_server else None

    def versions(self) -> str:
        """Return the installed versions, as `dbos 3.4.0`."""
        found = ((name, _version(name)) for name in self.distributions)
        return ", ".join(f"{name} {number}" for name, number in found if number)


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to measure; its name begins with its family's.

    Args:
        n: Steps or runs; `quick_n` with --quick.
        once: Measured once whatever the number of repeats: it takes long, or only prepares.
        goes_on_from: The subject whose folder it gets a copy of.
    """

    name: str
    n: int
    quick_n: int
    once: bool = False
    goes_on_from: str | None = None

    @property
    def family(self) -> str:
        return self.name.partition("-")[0]

    def before(self, name: str) -> Subject:
        """Return the subject that goes on from this one."""
        return Subject(name, self.n, self.quick_n, goes_on_from=self.name)


FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family("raw", "apsw", ("apsw",)),
        Family("tasktrail", "tasktrail", ()),
        Family("yaml", "tasktrail", ()),
        Family("decorators", "tasktrail", ()),
        Family("workflow", "tasktrail", ()),
        Family("workers", "tasktrail", ()),
        Family("plan", "tasktrail", ()),
        Family("planraw", "apsw", ("apsw",)),
        Family("planfile", "json", ()),
        Family("tracker", "tasktrail", ()),
        Family("executions", "tasktrail", ()),
        Family("executionsraw", "apsw", ("apsw",)),
        Family("backfill", "tasktrail", ()),
        Family("backfillraw", "apsw", ("apsw",)),
        Family("scrub", "tasktrail", ()),
        Family("mcp", "mcp", ("mcp",)),
        Family("mcpbare", "mcp", ("mcp",)),
        Family("mcpraw", "apsw", ("apsw",)),
        Family("ruamel", "ruamel.yaml", ("ruamel.yaml",)),
        Family("taskwarrior", "json", (), command="task"),
        Family("taskmaster", "json", (), command="task-master"),
        Family("backlog", "json", (), command="backlog"),
        Family("postgres", "tasktrail", ("psycopg",), on_server=True),
        Family("byhand", "psycopg", ("psycopg",), on_server=True),
        Family("dbosserver", "dbos", ("dbos",), on_server=True),
        Family("procrastinate", "procrastinate", ("procrastinate",), on_server=True),
        Family("dbos", "dbos", ("dbos",)),
        Family("langgraph", "langgraph", ("langgraph", "langgraph-checkpoint-sqlite")),
        Family("burr", "burr", ("burr",)),
        Family("luigi", "luigi", ("luigi",)),
    )
}


def _each(n: int, quick_n: int, *names: str) -> tuple[Subject, ...]:
    return tuple(Subject(name, n, quick_n) for name in names)


_CHAIN: Final = Subject("tasktrail-chain-inline", 1_000, 50)
_LONG: Final = Subject("tasktrail-long", 100_000, 500, once=True)
_LOAD: Final = Subject("yaml-load", 10_000, 50)
_PLAN: Final = Subject("plan-create", 10_000, 100)
_LARGE_PLAN: Final = Subject("plan-create-large", 100_000, 500, once=True)
_PLAN_PEERS: Final = ("taskwarrior-cycles", "taskmaster-cycles", "backlog-cycles")
_MATRIX: Final = Subject("tracker-create", 10_000, 50, once=True)
_EXECUTIONS: Final = Subject("executions-create", 1_000_000, 500, once=True)
_EXECUTIONS_BY_HAND: Final = Subject("executionsraw-create", 1_000_000, 500, once=True)
_MCP_QUESTIONS: Final = ("list", "trace", "lastfailed", "errors")
_MANY_RUNS: Final = Subject("tasktrail-many-runs", 10_000, 50, once=True)

SCENARIOS: Final[Mapping[str, tuple[Subject, ...]]] = {
    "chain": (
        _CHAIN,
        *_each(
            _CHAIN.n,
            _CHAIN.quick_n,
            "tasktrail-chain-threads",
            "yaml-chain",
            "decorators-chain",
            "raw-chain",
            "dbos-chain",
            "langgraph-chain",
            "langgraph-chain-async",
            "burr-chain",
            "luigi-chain",
        ),
    ),
    "fan": _each(
        1_000,
        50,
        "tasktrail-fan-inline",
        "tasktrail-fan-threads",
        "yaml-fan",
        "decorators-fan",
        "dbos-fan",
        "langgraph-fan",
        "langgraph-fan-async",
        "burr-fan",
        "luigi-fan",
    ),
    "runs": _each(
        500,
        10,
        "tasktrail-runs",
        "yaml-runs",
        "decorators-runs",
        "dbos-runs",
        "langgraph-runs",
        "burr-runs",
        "luigi-runs",
    ),
    "long": (_CHAIN, _LONG),
    "resume": (_CHAIN.before("tasktrail-resume"), _LONG.before("tasktrail-resume-long")),
    "load": (_LOAD, _LOAD.before("yaml-parse")),
    "command": (Subject("workflow-command", 500, 20),),
    "for-each": (Subject("workflow-expansion", 10_000, 50),),
    "watch": (Subject("workflow-watch", 5_000, 50),),
    "run-files": (Subject("tasktrail-run-file", 20, 20), Subject("tasktrail-run-file-large", 1_000, 50)),
    "server-chain": _each(1_000, 20, "postgres-chain", "byhand-chain", "dbosserver-chain", "procrastinate-chain"),
    "server-batches": (
        *_each(4_000, 60, "postgres-batches", "byhand-batches"),
        Subject("postgres-workers", 10_000, 60),  # workers notice a run within half a second
    ),
    "server-waiting": (Subject("postgres-waiting", 1_000_000, 100, once=True),),
    "server-idle": (Subject("postgres-idle", 64, 2, once=True),),
    "workers": (Subject("workers-sqlite", 10_000, 60), Subject("workers-take-over", 1, 1)),
    "plans": (
        *(_PLAN, _LARGE_PLAN, _PLAN.before("plan-cycles"), _LARGE_PLAN.before("plan-cycles-large")),
        *_each(_PLAN.n, _PLAN.quick_n, "planraw-cycles", "planfile-cycles"),
        *(Subject(name, _PLAN.n, _PLAN.quick_n, once=True) for name in _PLAN_PEERS),
        Subject("plan-mark-file", 1_000, 50),
        *(_PLAN.before("plan-call"), _LARGE_PLAN.before("plan-call-large"), _PLAN.before("plan-next")),
    ),
    "trackers": (
        Subject("tracker-update", 50, 10),
        Subject("ruamel-update", 50, 10),
        *(Subject(name, 50, 5) for name in ("tracker-readycold", "tracker-readymirrored")),
        _MATRIX,
        *(_MATRIX.before(f"tracker-{name}") for name in ("progress", "readypage", "matrix")),
    ),
    "executions": (
        *(_EXECUTIONS_BY_HAND, _EXECUTIONS),
        *(_EXECUTIONS_BY_HAND.before("executionsraw-one"), _EXECUTIONS.before("executions-one")),
        *(_EXECUTIONS.before(f"executions-{name}") for name in ("list", "trace", "lastfailed")),
    ),
    "backfill": _each(20_000, 200, "backfill-results", "backfillraw-results"),
    "mcp": (
        _EXECUTIONS,
        *(_EXECUTIONS.before(f"{by}-{asked}") for by in ("mcp", "mcpbare", "mcpraw") for asked in _MCP_QUESTIONS),
        *(_EXECUTIONS.before(name) for name in ("mcp-claims", "mcp-start", "mcpbare-start")),
        Subject("mcp-clients", 500, 10),
    ),
    "scrub": _each(10_000_000, 20_000, "scrub-log", "scrub-mail", "scrub-hostile", "scrub-prose", "scrub-lines"),
    "start": (Subject("tasktrail-import", 1, 1), _MANY_RUNS, _MANY_RUNS.before("tasktrail-list-runs")),
}


def chosen(only: Iterable[str]) -> list[Subject]:
    """Return the subjects of the named scenarios, families or subjects, each once, in the plan's order.

    Nothing named is everything. What a chosen subject goes on from comes along.

    Raises:
        ValueError: A name is none of these.
    """
    everything = list(dict.fromkeys(subject for subjects in SCENARIOS.values() for subject in subjects))
    names = set(only)
    known = SCENARIOS.keys() | FAMILIES.keys() | {subject.name for subject in everything}
    if unknown := sorted(names - known):
        there_are = ", ".join(sorted(known))
        raise ValueError(f"no such scenario, family or subject: {', '.join(unknown)}; there are: {there_are}")
    wanted = {subject.name for subject in everything if not names or _is_named(subject, names)}
    wanted |= {subject.goes_on_from for subject in everything if subject.name in wanted and subject.goes_on_from}
    return [subject for subject in everything if subject.name in wanted]


def _is_named(subject: Subject, names: set[str]) -> bool:
    scenarios = {name for name, subjects in SCENARIOS.items() if subject in subjects}
    return bool(names & {subject.name, subject.family, *scenarios})


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
