"""Executes a run in this process: what may start is claimed, what ends is handed in, one commit for both."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tasktrail.engine.answers import failed, succeeded, timed_out
from tasktrail.engine.context import StepContext
from tasktrail.engine.execution import Answer, Claim, Claiming, Execution, Turn
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.picking import ByNeeds, InOrder, Picker
from tasktrail.engine.plan import Plan
from tasktrail.engine.printed import Printed, printing
from tasktrail.engine.spans import current
from tasktrail.engine.steps import Step
from tasktrail.engine.threads import Threads
from tasktrail.engine.values import decode
from tasktrail.model.attempt import SpanContext
from tasktrail.model.errors import Busy, TasktrailError, Unreachable
from tasktrail.model.lifecycle import Ask
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

_POLL_S: Final = 0.5
_LONGEST_SLEEP_S: Final = 60.0
_INLINE_PATIENCE_S: Final = 0.02
"""How long the event loop itself waits for another process's write; longer waits happen on a thread."""

_log = logging.getLogger("tasktrail.runner")


@dataclass(slots=True, eq=False)
class _Running:
    """One attempt that this process executes just now."""

    claim: Claim
    span: SpanContext
    step: Step
    context: StepContext | None
    printed: Printed
    began_ns: int
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    stopped: bool = False
    """It was told to stop, so its cancellation is no error."""
    timed_out: bool = False
    """Its time is up, and it is still ending."""
    answered: bool = False
    """Its attempt is over already; whatever it still says is late."""


class Runner:
    """One execution of one run. Make a new one for the next.

    Args:
        ledger: Where the run lives.
        run_id: Row id of the run.
        retry: Whether what stands failed is tried again.
    """

    def __init__(self, ledger: Ledger, run_id: int, plan: Plan, *, retry: bool = True) -> None:
        self._ledger = ledger
        self._plan = plan
        self._retry = retry
        self._execution = self._claiming(run_id)
        self._running: dict[int, _Running] = {}
        self._answers: list[Answer] = []
        self._picker: Picker = self._picking(run_id)
        self._alarms: set[asyncio.Task[None]] = set()
        self._threads = Threads("tasktrail-step")
        self._seen: object = None
        self._cancelled = False
        self._over = False

    async def execute(self) -> Run:
        """Own the run, execute it as far as it goes, give it back.

        Raises:
            Held: Another process executes it.
            asyncio.CancelledError: The execution was interrupted; finished results are stored, the rest can go on.
        """
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._poll_handle = self._loop.call_later(_POLL_S, self._poll)
        try:
            run = await self._drive(await self._commit(self._begin))
        except asyncio.CancelledError:
            await self._interrupt()
            raise
        finally:
            self._over = True
            self._stop_everything()
            self._execution.end()
        return run if run.status in OVER else self._ledger.store.read(lambda tx: tx.run(run.id))

    def cancel(self) -> None:
        """Stop the steps of a run that was cancelled. The ledger has cancelled their tasks already."""
        self._cancelled = True
        for running in list(self._running.values()):
            self._take_away(running)
        self._woken.set()

    # the loop

    def _claiming(self, run_id: int) -> Claiming:
        return Execution(self._ledger, run_id, self._code_version)

    def _picking(self, run_id: int) -> Picker:
        return (ByNeeds if self._plan.order is None else InOrder)(self._ledger, run_id, self._plan)

    def _begin(self, patience_s: float | None) -> Turn:
        plan = self._plan
        assert isinstance(self._execution, Execution)
        named = plan.steps if plan.order is None else plan.order
        return self._execution.begin(
            named, self._pick, only=plan.only, reopen=plan.only, retry=self._retry, edit=plan.edit, once=plan.once,
            items=plan.items, patience_s=patience_s,
        )  # fmt: skip

    async def _drive(self, turn: Turn) -> Run:
        while True:
            if turn.run.cancelled_at is not None and not self._cancelled:
                self.cancel()
            for claim in turn.claims:
                self._launch(claim, turn.run)
            if self._plan.watch:
                self._plan.watch(turn.run)
            if not (self._running or self._answers or self._waits_for_time(turn.run) or self._waits(turn.run)):
                return turn.run
            await self._woken.wait()
            self._woken.clear()
            turn = await self._advance()

    def _waits_for_time(self, run: Run) -> bool:
        """Whether a retry is still to come; somebody may have skipped the step meanwhile."""
        if not self._alarms or not run.accepts_starts or self._picker.is_outdated:
            return False
        row = self._ledger.store.read(lambda tx: tx.row("next_due", run_id=run.id))
        return row is not None and row[0] is not None

    def _waits(self, run: Run) -> bool:
        """Whether somebody else may still let the run go on: a person, or whoever holds a limit."""
        return (
            self._plan.waits
            and run.accepts_starts
            and (run.n_blocked > 0 or bool(self._picker.held & self._plan.steps.keys()))
        )

    async def _advance(self) -> Turn:
        answers = list(self._answers)

        def hand_in(patience_s: float | None) -> Turn:
            """They are kept until they are stored: an interruption hands in what is left."""
            turn = self._execution.advance(answers, self._pick, patience_s=patience_s)
            del self._answers[: len(answers)]
            return turn

        turn = await self._commit(hand_in)
        for answer in answers:
            if answer.ask.not_before is not None:
                self._set_alarm(answer.ask.not_before)
        for task in turn.late:
            self._picker.again(task)
            _log.warning("step %s: the answer of attempt %s came too late and is void", task.name, task.attempts)
        return turn

    async def _commit(self, call: Callable[[float | None], Turn]) -> Turn:
        """Commit on the loop's own thread, unless another process writes for long: then the loop must not stand still.

        An interruption meanwhile must not lose what the commit claims.
        """
        try:
            return call(_INLINE_PATIENCE_S)
        except (Busy, Unreachable):
            committing = asyncio.ensure_future(asyncio.to_thread(call, None))
        try:
            return await asyncio.shield(committing)
        except asyncio.CancelledError:
            turn = await committing
            self._answers += [Answer(claim, Ask("release")) for claim in turn.claims]
            raise

    def _pick(self, tx: Transaction) -> list[Task]:
        return self._picker.pick(tx, len(self._running))

    # one attempt

    def _launch(self, claim: Claim, run: Run) -> None:
        step = self._plan.steps[claim.task.key]
        context = StepContext(self._ledger, run, claim, self._results) if step.wants_context else None
        printed = self._printed(claim.task)
        span, began_ns = SpanContext(run.trace_id, claim.span_id), time.perf_counter_ns()
        running = self._running[claim.task.id] = _Running(claim, span, step, context, printed, began_ns)
        results = self._wanted(claim.task, step) if step.wants else {}
        if step.asynchronous:
            running.task = self._loop.create_task(self._perform(running, results))
        else:
            self._start_thread(running, results)
        if claim.task.timeout_ms is not None:
            running.timer = self._loop.call_later(claim.task.timeout_ms / 1000, self._time_out, running)

    def _printed(self, task: Task) -> Printed:
        say = self._plan.say
        show = (lambda line: say(task, line)) if say is not None else None
        return Printed(task.id, task.attempts, self._clean_lines, show)

    def _clean_lines(self, text: str) -> str:
        return self._ledger.clean_text(text) or ""

    async def _perform(self, running: _Running, results: Mapping[str, object]) -> None:
        await self._await(running, lambda: running.step.call(results, running.context))

    async def _await(self, running: _Running, call: Callable[[], Awaitable[Any]]) -> None:
        printing.set(running.printed)
        current.set(running.span)
        try:
            value = await call()
        except asyncio.CancelledError as error:
            if running.stopped:
                self._given_back(running)
            else:
                self._ended(running, None, error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a step's own code; SystemExit ends the step alone
            self._ended(running, None, error)
        else:
            self._ended(running, value, None)

    def _start_thread(self, running: _Running, results: Mapping[str, object]) -> None:
        inherited = contextvars.copy_context()
        inherited.run(printing.set, running.printed)
        inherited.run(current.set, running.span)

        def work() -> None:
            value, error = None, None
            try:
                value = inherited.run(running.step.call, results, running.context)
            except BaseException as raised:  # noqa: BLE001 - a step's own code; SystemExit ends the step alone
                error = raised
            try:
                self._loop.call_soon_threadsafe(self._thread_ended, running, value, error)
            except RuntimeError:  # the loop is closed
                self._ended(running, value, error)

        self._threads.run(work)

    def _thread_ended(self, running: _Running, value: Any, error: BaseException | None) -> None:
        if inspect.isawaitable(value):
            running.task = self._loop.create_task(self._await(running, lambda: value))
        else:
            self._ended(running, value, error)

    def _ended(self, running: _Running, value: object, error: BaseException | None) -> None:
        if running.timer:
            running.timer.cancel()
        if self._over:
            self._record_late(running, value, error)
        elif running.timed_out:  # what it says afterwards, nobody asked for
            self._given_back(running)
        elif error is None:
            self._answer(running, self._succeeded(running, value))
        elif not running.answered:
            once = running.step.key in self._plan.once
            self._answer(running, failed(self._ledger, running.claim, error, _duration_us(running), once=once))

    def _succeeded(self, running: _Running, value: object) -> Answer:
        answer = succeeded(running.claim, value, _duration_us(running))
        if self._plan.details is None or answer.ask.verb != "complete":
            return answer
        return replace(answer, details=self._plan.details(running.claim.task, value))

    def _given_back(self, running: _Running) -> None:
        """A coroutine ended because it was told to. Where its attempt was over already there is nothing to say."""
        if running.timer:
            running.timer.cancel()
        if running.answered:
            self._forget(running)
        elif running.timed_out:
            self._answer(running, timed_out(self._ledger, running.claim, running.step, _duration_us(running)))
        else:
            self._answer(running, Answer(running.claim, Ask("release"), duration_us=_duration_us(running)))

    def _record_late(self, running: _Running, value: object, error: BaseException | None) -> None:
        """The execution is over; what an abandoned thread still says is kept and changes nothing."""
        name = running.claim.task.name
        _log.warning("step %s ended after its execution was over; its answer is void", name)
        if error is None:
            try:
                self._execution.record_late(succeeded(running.claim, value, _duration_us(running)))
            except TasktrailError as refused:
                _log.warning("step %s: its late answer could not be kept: %s", name, refused)

    def _time_out(self, running: _Running) -> None:
        """Its time is up: the attempt is over. A coroutine is cancelled; a thread can only be told, and abandoned."""
        if running.step.ends_when_told:
            running.timed_out = True
        else:
            self._answer(running, timed_out(self._ledger, running.claim, running.step, _duration_us(running)))
        self._stop(running)

    def _answer(self, running: _Running, answer: Answer) -> None:
        if not running.answered:
            self._picker.ended(answer)
            answer = _with_output(running, answer)
        running.answered = True
        self._forget(running)
        self._answers.append(answer)

    def _forget(self, running: _Running) -> None:
        if self._running.get(running.claim.task.id) is running:
            del self._running[running.claim.task.id]
        self._woken.set()

    # what a step may ask for

    def _wanted(self, task: Task, step: Step) -> dict[str, object]:
        def work(tx: Transaction) -> dict[str, object]:
            if self._plan.values:
                return self._plan.values(tx, task, step.wants.values())
            found = {}
            for key in step.wants.values():
                needed = tx.task("task_by_key", key=key, run_id=task.run_id, item="", map_index=-1)
                found[key] = decode(needed.output, tx) if needed else None
            return found

        return self._ledger.store.read(work)

    def _results(self, task: Task) -> dict[str, object]:
        def work(tx: Transaction) -> dict[str, object]:
            if self._plan.results:
                return self._plan.results(tx, task)
            if self._plan.order is None:
                rows = [(row[0], row[4]) for row in tx.rows("needs_of_task", task_id=task.id)]
            else:
                rows = [(row[0], row[1]) for row in tx.rows("outputs_of_run", run_id=task.run_id)]
            return {str(key): decode(str(output) if output is not None else None, tx) for key, output in rows}

        return self._ledger.store.read(work)

    def _code_version(self, key: str) -> str | None:
        return self._plan.steps[key].code_version

    # waiting

    def _set_alarm(self, due: int) -> None:
        self._picker.retried = True
        alarm = self._loop.create_task(self._sleep_until(due))
        self._alarms.add(alarm)
        alarm.add_done_callback(self._alarm_rang)

    async def _sleep_until(self, due: int) -> None:
        """Until the wall clock says so: a clock set back delays, one set forward is noticed within a minute."""
        while (left_us := due - self._ledger.clock.now()) > 0:
            await self._ledger.clock.sleep(min(left_us / 1_000_000, _LONGEST_SLEEP_S))

    def _alarm_rang(self, alarm: asyncio.Task[None]) -> None:
        self._alarms.discard(alarm)
        self._woken.set()

    def _poll(self) -> None:
        """Notice what others did to the run: cancelled it, or took a running task away."""
        self._poll_handle = self._loop.call_later(_POLL_S, self._poll)
        self._store_output()
        try:
            seen = self._ledger.store.changed_token()
        except Unreachable as error:  # what has ended meanwhile waits for the server
            _log.warning("%s", error)
            return
        if seen == self._seen:
            return
        self._seen = seen
        run_id = self._execution.run_id
        active = self._ledger.store.read(lambda tx: tx.tasks("active_of_run", run_id=run_id))
        fences = {task.id: task.fence for task in active}
        for running in list(self._running.values()):
            if fences.get(running.claim.task.id) != running.claim.task.fence:
                self._take_away(running)
        self._woken.set()

    def _store_output(self) -> None:
        """Store what was printed since the last look; while somebody else writes for long it waits for the next."""
        found = [(one.printed, pieces) for one in self._running.values() if (pieces := one.printed.pieces())]
        if not found:
            return
        try:
            self._execution.record_output([one for _, some in found for one in some], patience_s=_INLINE_PATIENCE_S)
        except (Busy, Unreachable):
            return
        for printed, pieces in found:
            printed.stored(pieces)

    # ending early

    def _stop(self, running: _Running) -> None:
        running.stopped = True
        if running.context is not None:
            running.context.cancelled = True
        if running.task is not None and running.task is not asyncio.current_task(self._loop):
            running.task.cancel()

    def _take_away(self, running: _Running) -> None:
        """Somebody else ended the attempt: the step is told, given a moment, and what it answers is late."""
        if not running.answered:
            running.answered = True
            self._stop(running)
            self._loop.call_later(self._plan.grace_s, self._abandon, running)

    def _abandon(self, running: _Running) -> None:
        """A step that does not listen is left alone; a thread cannot be ended, and must not hold up the run."""
        if self._running.get(running.claim.task.id) is running:
            _log.warning("step %s does not stop; its answer will be void", running.claim.task.name)
            self._forget(running)

    async def _interrupt(self) -> None:
        """Steps are told to stop and given a moment; what they still answer is stored, the rest is given back."""
        for running in list(self._running.values()):
            self._stop(running)
        try:
            await asyncio.wait_for(self._until_nothing_runs(), self._plan.grace_s)
        except (TimeoutError, asyncio.CancelledError):
            names = ", ".join(sorted(running.claim.task.name for running in self._running.values()))
            _log.warning("left without waiting for %s", names)
        left = [_with_output(running, Answer(running.claim, Ask("release"))) for running in self._running.values()]
        self._running.clear()
        self._execution.advance([*self._answers, *left], lambda tx: [])
        self._answers.clear()

    async def _until_nothing_runs(self) -> None:
        while self._running:
            await self._woken.wait()
            self._woken.clear()

    def _stop_everything(self) -> None:
        self._poll_handle.cancel()
        for alarm in self._alarms:
            alarm.cancel()
        for running in self._running.values():
            self._stop(running)
        self._threads.close()


def _duration_us(running: _Running) -> int:
    return (time.perf_counter_ns() - running.began_ns) // 1000


def _with_output(running: _Running, answer: Answer) -> Answer:
    """What it printed last goes with its answer, in the same commit."""
    printed = running.printed.end()
    return replace(answer, printed=printed) if printed else answer
