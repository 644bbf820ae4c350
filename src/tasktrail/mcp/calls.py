"""One call of a tool, from what a client sent to what it gets: checked, asked about, in time, short, and logged."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    InputRequiredResult,
    TextContent,
)

from tasktrail.engine.scrubbing import PLAIN_SCRUBBER, Scrubber
from tasktrail.engine.spans import current
from tasktrail.logs import logger
from tasktrail.mcp.asking import CONFIRM, Asking, Context
from tasktrail.mcp.cleaning import cleaned
from tasktrail.mcp.fitting import compact, fitted
from tasktrail.mcp.hints import followable
from tasktrail.mcp.measuring import Metrics, Rate
from tasktrail.mcp.toolsets import PAGED_BY, Offer
from tasktrail.model.attempt import SpanContext, parse_traceparent
from tasktrail.model.errors import BadInput, NotFound, TasktrailError
from tasktrail.tools import Tool, Tools, Words, refusal, reporting_to

__all__ = ["NAMELESS", "Calls", "Limits", "actor_of"]

_THREADS: Final = 16
_TELL_EVERY_S: Final = 1.0
_LONGEST_ACTOR: Final = 100
NAMELESS: Final = "mcp-client"
_TROUBLE: Final = frozenset({"busy", "internal", "newer_store", "not_a_store", "store", "timeout", "unreachable"})
"""What whoever started the server should see, too: the store, or the server itself, is in the way."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may cost.

    Args:
        timeout_s: Seconds after which the client is told that it took too long.
        calls_per_s: Calls that the server takes in a second; 0 is no limit. Those that are too many wait.
        longest_wait_s: Calls that would wait longer are refused.
    """

    timeout_s: float = 30.0
    calls_per_s: float = 100.0
    longest_wait_s: float = 5.0


@dataclass(slots=True)
class _Heard:
    """What a call has said of how far it is; told to the client when there is something new."""

    latest: tuple[float, float | None, str] | None = None
    told: tuple[float, float | None, str] | None = None

    def hear(self, done: float, total: float | None, words: str) -> None:
        """Note it; any thread may."""
        self.latest = (done, total, words)


@dataclass
class Calls:
    """Answers `tools/call`."""

    offer: Offer
    limits: Limits = Limits()
    scrub: Scrubber = PLAIN_SCRUBBER
    metrics: Metrics = field(default_factory=Metrics)
    asking: Asking = field(default_factory=Asking)

    def __post_init__(self) -> None:
        self._rate = Rate(self.limits.calls_per_s)
        self._free: dict[bool, anyio.Semaphore] = {}

    async def __call__(self, ctx: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        """Return what the client gets.

        Raises:
            MCPError: There is no such tool.
        """
        begun = perf_counter()
        found = self._found(params.name)
        answer = await self._answered(ctx, params, found)
        self._log(params, answer, (perf_counter() - begun) * 1000)
        if isinstance(answer, InputRequiredResult):
            return answer
        return _result(followable(answer, found.name, self.offer.definitions.names))

    def _found(self, name: str) -> Tool:
        try:
            return self.offer.definitions[name]
        except NotFound as error:
            self.metrics.count("<unknown>", 0, failed=True)
            raise MCPError(INVALID_PARAMS, f"{error.message}; {error.hint}") from None

    async def _answered(self, ctx: Context, params: CallToolRequestParams, found: Tool) -> Words | InputRequiredResult:
        wait_s = self._rate.wait_s(self.limits.longest_wait_s)
        if wait_s is None:
            return _refused(
                "too_many_calls", f"more than {self.limits.calls_per_s:g} calls a second", "wait, then call again"
            )
        await anyio.sleep(wait_s)
        given = dict(params.arguments or {})
        try:
            confirm = _confirmation(found, given)
            return await self._done(ctx, params, given, confirm)
        except TasktrailError as error:
            return cleaned(refusal(error), self.scrub)
        except (UnicodeEncodeError, RecursionError) as error:  # half a character, or lists in lists without end
            return refusal(BadInput(f"{found.name} cannot take such arguments: {error}"))

    async def _done(
        self, ctx: Context, params: CallToolRequestParams, given: Mapping[str, Any], confirm: str
    ) -> Words | InputRequiredResult:
        called, actor = self.offer.definitions[params.name], actor_of(ctx)
        try:
            with anyio.fail_after(self.limits.timeout_s):
                tools, arguments, losses = await self.in_thread(
                    partial(self._prepared, params.name, actor, given), reads=called.effect.reads
                )
            if losses and (asked := await self.asking.ask(ctx, params, actor, arguments, losses, confirm)) is not None:
                return asked
            with anyio.fail_after(self.limits.timeout_s):
                async with _telling(ctx) as heard:
                    work = partial(self._work, tools[params.name], tools, arguments, heard, _span_of(ctx))
                    return await self.in_thread(work, reads=called.effect.reads)
        except TimeoutError:
            return self._too_late(called)

    def _prepared(self, name: str, actor: str, given: Mapping[str, Any]) -> tuple[Tools, Mapping[str, Any], str]:
        """Return the client's tools, the arguments as they are passed on, and what the call would take away."""
        tools = self.offer.tools(actor)
        arguments = tools[name].check(given)
        return tools, arguments, tools[name].losses(arguments)

    def _work(
        self, called: Tool, tools: Tools, arguments: Mapping[str, Any], heard: _Heard, span: SpanContext | None
    ) -> Words:
        """In a thread of its own, whose context is a copy."""
        if span is not None:
            current.set(span)

        try:
            with reporting_to(heard.hear):
                return cleaned(self._short(called, tools, arguments), self.scrub)
        except TasktrailError as error:
            return cleaned(refusal(error), self.scrub)
        except Exception as error:  # noqa: BLE001 - a face: what a tool raises must not end the server
            logger(__name__).exception("%s failed", called.name)
            what = f"{called.name} failed inside: {type(error).__name__}"
            return _refused("internal", what, "the server's log on stderr has more")

    def _short(self, called: Tool, tools: Tools, arguments: Mapping[str, Any]) -> Words:
        def again(others: Mapping[str, Any]) -> Words:
            return called.function(**others)

        answer, other = again(arguments), PAGED_BY.get(called.name, "")
        if answer["status"] == "error":
            return answer
        return fitted(called, arguments, answer, again, other if other in tools.names else "")

    def _too_late(self, called: Tool) -> Words:
        what = f"{called.name} took longer than {self.limits.timeout_s:g} s"
        if called.effect.reads:
            return _refused("timeout", what, "ask for less: a smaller limit, or narrower")
        return _refused("timeout", f"{what}; it may still be done", "look at what is there before you call again")

    async def in_thread(self, work: Callable[[], T], *, reads: bool = True) -> T:
        """Do some work in a thread of a few. Who gave up leaves it behind, and it counts until it has ended.

        Args:
            reads: What changes something may wait for a lock; what reads has threads of its own.
        """
        free = self._free.setdefault(reads, anyio.Semaphore(_THREADS))
        loop = asyncio.get_running_loop()
        begun = threading.Lock()  # whoever gets it gives the place back: the work, or who gave up before it began

        def done() -> T:
            if not begun.acquire(blocking=False):
                raise TimeoutError
            try:
                return work()
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(free.release)

        await free.acquire()
        try:
            return await anyio.to_thread.run_sync(done, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
        finally:
            if begun.acquire(blocking=False):
                free.release()

    def _log(self, params: CallToolRequestParams, answer: Words | InputRequiredResult, latency_ms: float) -> None:
        told: Words = {"status": "input_required"} if isinstance(answer, InputRequiredResult) else answer
        status = told["status"]
        self.metrics.count(params.name, latency_ms, failed=status == "error")
        args = hashlib.sha256(compact(params.arguments or {}).encode(errors="surrogatepass")).hexdigest()[:12]
        rows = max((len(one) for one in told.values() if isinstance(one, list)), default=0)
        fields = {"tool": params.name, "args_hash": args, "status": status, "rows": rows}
        if status == "error":
            fields["code"] = told["code"]
        fields["latency_ms"] = round(latency_ms, 1)
        words = " ".join(f"{name}={value}" for name, value in fields.items())
        logger(__name__).info("call %s", words, extra={"fields": fields})
        if fields.get("code") in _TROUBLE:
            logger(__name__).warning("%s: %s", params.name, told["message"])


def actor_of(ctx: Context) -> str:
    """Return the client's name as the history has it. A client names itself, so none can look like user@host."""
    told = ctx.session.client_params
    name = told.client_info.name if told is not None else ""
    plain = "".join(one if one.isprintable() and one not in " @" else "-" for one in name)
    return plain[:_LONGEST_ACTOR] or NAMELESS


def _result(answer: Words) -> CallToolResult:
    """What went well is said twice, the same; a client that shows the model an error shows the text alone."""
    text = compact(answer)
    content: list[ContentBlock] = [TextContent(type="text", text=text)]
    if answer["status"] == "error":
        return CallToolResult(content=content, is_error=True)
    return CallToolResult(content=content, structured_content=answer)


def _refused(code: str, message: str, hint: str) -> Words:
    return {"status": "error", "message": message, "code": code, "hint": hint}


def _confirmation(found: Tool, given: dict[str, Any]) -> str:
    """Take the token that confirms out of the arguments; only a tool that destroys has one."""
    if not found.effect.destroys:
        return ""
    token = given.pop(CONFIRM, None) or ""
    if not isinstance(token, str):
        raise BadInput(f"expected {CONFIRM} to be a text")
    return token


def _span_of(ctx: Context) -> SpanContext | None:
    """One that cannot be read is left alone. Source: MCP 2026-07-28, `_meta`; W3C Trace Context."""
    said = (ctx.meta or {}).get("traceparent")
    try:
        return SpanContext(*parse_traceparent(said)) if isinstance(said, str) else None
    except BadInput:
        return None


@asynccontextmanager
async def _telling(ctx: Context) -> AsyncIterator[_Heard]:
    """Tell the client once in a second how far the call is; where the tool says nothing, for how long it runs."""
    heard = _Heard()

    async def tell() -> None:
        begun = anyio.current_time()
        while True:
            await anyio.sleep(_TELL_EVERY_S)
            if heard.latest is None:
                await ctx.session.report_progress(round(anyio.current_time() - begun, 1), None, "still at it")
            elif heard.latest != heard.told:
                heard.told = heard.latest
                await ctx.session.report_progress(*heard.latest)

    async with anyio.create_task_group() as group:
        group.start_soon(tell)
        try:
            yield heard
        finally:
            group.cancel_scope.cancel()
