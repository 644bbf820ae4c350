"""What was tried in matrices, what came of it and how long it took: by task type, and by who did it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final, cast

from tasktrail.model.run import Run
from tasktrail.model.task import Outcome
from tasktrail.store.transaction import Transaction

_FAILURES: Final[frozenset[Outcome]] = frozenset({"error", "timeout", "lost"})


@dataclass(slots=True)
class Metrics:
    """What was tried.

    Args:
        attempts: All that were begun, also those that run, were given back, superseded or called off.
        successes: How many ended well; `failures` with an error, a time-out or the loss of their worker.
        retries: How many were not the first of their task.
        direct: Tasks that are completed of which no attempt tells: somebody said so.
        durations_us: Of the attempts that succeeded or failed, where it is known, the shortest first.
    """

    attempts: int = 0
    successes: int = 0
    failures: int = 0
    retries: int = 0
    direct: int = 0
    durations_us: list[int] = field(default_factory=list)

    @property
    def success_rate(self) -> float | None:
        """How many of those that succeeded or failed succeeded, from 0 to 1; None where there is none."""
        ended = self.successes + self.failures
        return self.successes / ended if ended else None

    @property
    def total_us(self) -> int:
        """How long they took together."""
        return sum(self.durations_us)

    @property
    def mean_us(self) -> int | None:
        """How long they took on average; None where no duration is known."""
        return round(self.total_us / len(self.durations_us)) if self.durations_us else None

    def percentile_us(self, percent: int) -> int | None:
        """Return what so many of a hundred did not exceed; one of the durations, None where none is known.

        >>> Metrics(durations_us=[1, 2, 3, 10]).percentile_us(50)
        2
        """
        if not self.durations_us:
            return None
        return self.durations_us[max(0, ceil(percent / 100 * len(self.durations_us)) - 1)]

    def _take(self, outcome: Outcome | None, duration_us: int | None, n: int) -> None:
        self.attempts += 1
        self.retries += n > 1
        self.successes += outcome == "ok"
        self.failures += outcome in _FAILURES
        if duration_us is not None and (outcome == "ok" or outcome in _FAILURES):
            self.durations_us.append(duration_us)


@dataclass(frozen=True, slots=True)
class MatrixMetrics:
    """What was tried in some matrices, all together and by name of the task type and of the agent.

    An agent is whom the task names, else whoever made the attempt.
    """

    all: Metrics
    by_type: Mapping[str, Metrics]
    by_agent: Mapping[str, Metrics]


def metrics_of(tx: Transaction, runs: Sequence[Run]) -> MatrixMetrics:
    """Return what was tried in some matrices; what was removed since was tried, too."""
    ids = json.dumps([run.id for run in runs])
    everything, by_type, by_agent = Metrics(), dict[str, Metrics](), dict[str, Metrics]()

    def about(key: object, agent: object) -> list[Metrics]:
        found = [everything, by_type.setdefault(str(key), Metrics())]
        return found if agent is None else [*found, by_agent.setdefault(str(agent), Metrics())]

    for key, agent, outcome, duration_us, n in tx.rows("attempts_of_cells", ids=ids):
        for one in about(key, agent):
            one._take(cast("Outcome | None", outcome), cast("int | None", duration_us), int(str(n)))
    for key, agent, n in tx.rows("direct_cells", ids=ids):
        for one in about(key, agent):
            one.direct += int(str(n))
    for one in (everything, *by_type.values(), *by_agent.values()):
        one.durations_us.sort()
    return MatrixMetrics(everything, dict(sorted(by_type.items())), dict(sorted(by_agent.items())))
