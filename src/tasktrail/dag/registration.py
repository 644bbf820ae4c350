"""What a runner was told of its steps: executors, policies, needs, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tasktrail.dag.retries import RetryBackoffStrategy, policy
from tasktrail.engine.additions import key_fault
from tasktrail.engine.steps import Step, step
from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need, check_graph, find_cycle

_LONGEST_TIMEOUT_S: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Registered:
    """One step as it was registered."""

    executor: Callable[..., Any]
    max_retries: int
    retry: str | None
    critical: bool
    timeout_ms: int | None
    needs: tuple[Need, ...]

    def draft(self, key: str) -> TaskDraft:
        """Return the task that is to be stored for it."""
        return TaskDraft(
            key,
            needs=self.needs,
            critical=self.critical,
            max_retries=self.max_retries,
            retry=self.retry,
            timeout_ms=self.timeout_ms,
        )


def registered(
    step_id: str,
    executor: Callable[..., Any],
    max_retries: int,
    retry_delay_s: float,
    retry_backoff: RetryBackoffStrategy,
    critical: bool,
    timeout_s: float | None,
    needs: tuple[Need, ...] = (),
) -> Registered:
    """Return a step's registration.

    Raises:
        BadInput: The executor is not callable, or a number is out of range.
    """
    if not callable(executor):
        raise BadInput(f"expected the executor of step {step_id!r} to be callable, got: {type(executor).__name__}")
    retry = _policy_text(max_retries, retry_delay_s, retry_backoff)
    return Registered(executor, max_retries, retry, critical, _milliseconds(step_id, timeout_s), needs)


@lru_cache(maxsize=256)
def _policy_text(max_retries: int, delay_s: float, backoff: RetryBackoffStrategy) -> str | None:
    return policy(max_retries, delay_s, backoff).to_json()


def _milliseconds(step_id: str, timeout_s: float | None) -> int | None:
    if timeout_s is None:
        return None
    given: object = timeout_s
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not 0 < timeout_s <= _LONGEST_TIMEOUT_S:
        limit = f"more than 0 and at most {_LONGEST_TIMEOUT_S} seconds"
        raise BadInput(f"expected the timeout of step {step_id!r} to be {limit}, got: {timeout_s!r}")
    return max(1, round(timeout_s * 1000))


class Steps(dict[str, Registered]):
    """The registered steps by id, in the order of their registration.

    A step may be registered again once an execution is over; twice before one is a mistake.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fresh: dict[str, None] = {}
        self._twice: dict[str, None] = {}

    def add(self, step_id: str, one: Registered) -> None:
        """Register a step."""
        if step_id in self._fresh:
            self._twice[step_id] = None
        self._fresh[step_id] = None
        self[step_id] = one

    def settle(self) -> None:
        """An execution is over: from now on steps may be registered anew."""
        self._fresh.clear()
        self._twice.clear()

    def faults(self, order: Sequence[str], others: Collection[str]) -> list[str]:
        """Return everything that is wrong with an order of steps; `others` must have code too."""
        return [
            *(f"Step {key} not registered" for key in dict.fromkeys([*order, *others]) if key not in self),
            *(f"Step {key} is registered twice" for key in self._twice),
            *(f"Step {key} comes twice in step_order" for key in _repeated(order)),
            *(fault for key in self._fresh if (fault := key_fault(key))),
        ]

    def needs_faults(self) -> list[str]:
        """Return needs of steps that do not exist, of a step on itself, and a circle of them."""
        needs = {key: one.needs for key, one in self.items() if one.needs}
        unknown = [
            f"Step {key} depends on non-existent step {need.key}"
            for key, its in needs.items()
            for need in its
            if need.key not in self
        ]
        known = {key: [need for need in its if need.key in self] for key, its in needs.items()}
        others = [fault for fault in check_graph(list(self), known) if "cycle" not in fault] if known else []
        cycle = find_cycle({key: [need for need in its if need.key != key] for key, its in known.items()})
        return unknown + others + ([f"Circular dependency: {' -> '.join(cycle)}"] if cycle else [])

    def order_faults(self, order: Sequence[str]) -> list[str]:
        """Return where an order given by hand goes against what the steps need."""
        places = {key: place for place, key in enumerate(order)}
        return [
            f"Step {key} depends on step {need.key}, which comes after it in step_order"
            for key in order
            if key in self
            for need in self[key].needs
            if places.get(need.key, -1) > places[key]
        ]

    def code(self, order: Sequence[str], unfinished: Sequence[str], *, by_needs: bool) -> dict[str, Step]:
        """Return the code of steps; everything that cannot be called is named at once.

        Args:
            by_needs: A step may ask for the results of what it needs; otherwise of all that come before it.

        Raises:
            BadInput: A step asks for something that nobody gives.
        """
        places = {key: place for place, key in enumerate(order)}
        steps, faults = {}, []
        for key in unfinished:
            try:
                steps[key] = self._needing(key) if by_needs else self._following(key, places)
            except BadInput as error:
                faults.append(error)
        if faults:
            raise BadInput(faults[0].message, hint=faults[0].hint, details=[fault.message for fault in faults[1:]])
        return steps

    def _needing(self, key: str) -> Step:
        return step(key, self[key].executor, [need.key for need in self[key].needs])

    def _following(self, key: str, places: Mapping[str, int]) -> Step:
        earlier = _Earlier(self, places, places[key])
        return step(key, self[key].executor, earlier, "no step of that name comes before it")


class _Earlier(Collection[str]):
    """The steps whose results a step may ask for: those before it in the order, and those that are not in it."""

    def __init__(self, known: Collection[str], places: Mapping[str, int], place: int) -> None:
        self._known, self._places, self._place = known, places, place

    def __contains__(self, key: object) -> bool:
        return key in self._known and self._places.get(str(key), -1) < self._place

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._known if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _repeated(keys: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    again: dict[str, None] = {}
    for key in keys:
        if key in seen:
            again[key] = None
        seen.add(key)
    return list(again)
