"""Which subjects there are, in which scenario each is measured, and how large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final


@dataclass(frozen=True, slots=True)
class Family:
    """Subjects of one library: `subjects_<name>.py` holds them.

    Args:
        module: What must be importable.
        distributions: What must be installed; their versions are printed.
    """

    name: str
    module: str
    distributions: tuple[str, ...]

    def missing(self) -> str | None:
        """Return why the family cannot run here, or None when it can."""
        if find_spec(self.module) is None:
            return f"{self.module} not installed"
        absent = [name for name in self.distributions if _version(name) is None]
        return f"{', '.join(absent)} not installed" if absent else None

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


FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family("raw", "apsw", ("apsw",)),
        Family("tasktrail", "tasktrail", ()),
        Family("dbos", "dbos", ("dbos",)),
        Family("langgraph", "langgraph", ("langgraph", "langgraph-checkpoint-sqlite")),
        Family("burr", "burr", ("burr",)),
        Family("luigi", "luigi", ("luigi",)),
    )
}

SCENARIOS: Final[Mapping[str, tuple[Subject, ...]]] = {
    "chain": (
        Subject("raw-chain", 1_000, 50),
        Subject("tasktrail-chain-inline", 1_000, 50),
        Subject("tasktrail-chain-threads", 1_000, 50),
        Subject("dbos-chain", 1_000, 50),
        Subject("langgraph-chain", 1_000, 50),
        Subject("langgraph-chain-async", 1_000, 50),
        Subject("burr-chain", 1_000, 50),
        Subject("luigi-chain", 1_000, 50),
    ),
    "fan": (
        Subject("tasktrail-fan-inline", 1_000, 50),
        Subject("tasktrail-fan-threads", 1_000, 50),
        Subject("dbos-fan", 1_000, 50),
        Subject("langgraph-fan", 1_000, 50),
        Subject("langgraph-fan-async", 1_000, 50),
        Subject("burr-fan", 1_000, 50),
        Subject("luigi-fan", 1_000, 50),
    ),
    "runs": (
        Subject("tasktrail-runs", 500, 10),
        Subject("dbos-runs", 500, 10),
        Subject("langgraph-runs", 500, 10),
        Subject("burr-runs", 500, 10),
        Subject("luigi-runs", 500, 10),
    ),
    "long": (
        Subject("tasktrail-chain-inline", 1_000, 50),
        Subject("tasktrail-long", 100_000, 500, once=True),
    ),
    "resume": (
        Subject("tasktrail-chain-inline", 1_000, 50),
        Subject("tasktrail-long", 100_000, 500, once=True),
        Subject("tasktrail-resume", 1_000, 50, goes_on_from="tasktrail-chain-inline"),
        Subject("tasktrail-resume-long", 100_000, 500, goes_on_from="tasktrail-long"),
    ),
    "run-files": (
        Subject("tasktrail-run-file", 20, 20),
        Subject("tasktrail-run-file-large", 1_000, 50),
    ),
    "start": (
        Subject("tasktrail-import", 1, 1),
        Subject("tasktrail-many-runs", 10_000, 50, once=True),
        Subject("tasktrail-list-runs", 10_000, 50, goes_on_from="tasktrail-many-runs"),
    ),
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
