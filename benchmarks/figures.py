"""The figures that are asked for, in one table, and how a measured value is judged by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from measuring import Reading

Measure = Literal["rate", "step time", "per second", "seconds", "share", "peak MB"]
LANGGRAPH_CHAIN: Final = ("langgraph-chain", "langgraph-chain-async")
LANGGRAPH_FAN: Final = ("langgraph-fan", "langgraph-fan-async")


@dataclass(frozen=True, slots=True)
class Figure:
    """One asked figure.

    Args:
        measure: `rate` is per second, `step time` its inverse, both as a ratio to `against`; the others are absolute,
            `share` is of a core.
        asked: At least this for a rate and per second, at most this for everything else; None is shown but not asked.
        against: What it is compared with; of several the fastest.
    """

    says: str
    subject: str
    measure: Measure
    asked: float | None
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure with what was measured; `value` is None where something is missing, and `verdict` says what."""

    figure: Figure
    value: float | None
    verdict: str


FIGURES: Final[tuple[Figure, ...]] = (
    Figure("chain inline ÷ raw", "tasktrail-chain-inline", "rate", 0.6, ("raw-chain",)),
    Figure("chain inline ÷ DBOS", "tasktrail-chain-inline", "rate", 6, ("dbos-chain",)),
    Figure("chain inline ÷ Burr", "tasktrail-chain-inline", "rate", 2, ("burr-chain",)),
    Figure("chain inline ÷ LangGraph", "tasktrail-chain-inline", "rate", None, LANGGRAPH_CHAIN),
    Figure("chain inline ÷ Luigi", "tasktrail-chain-inline", "rate", None, ("luigi-chain",)),
    Figure("chain threads ÷ raw", "tasktrail-chain-threads", "rate", 0.4, ("raw-chain",)),
    Figure("chain peak memory", "tasktrail-chain-inline", "peak MB", 45),
    Figure("fan-out inline ÷ LangGraph", "tasktrail-fan-inline", "rate", 4, LANGGRAPH_FAN),
    Figure("fan-out threads ÷ LangGraph", "tasktrail-fan-threads", "rate", 2, LANGGRAPH_FAN),
    Figure("fan-out inline ÷ DBOS", "tasktrail-fan-inline", "rate", None, ("dbos-fan",)),
    Figure("fan-out inline ÷ Burr", "tasktrail-fan-inline", "rate", None, ("burr-fan",)),
    Figure("fan-out inline ÷ Luigi", "tasktrail-fan-inline", "rate", None, ("luigi-fan",)),
    Figure("runs of 5 ÷ LangGraph", "tasktrail-runs", "rate", 3, ("langgraph-runs",)),
    Figure("runs of 5 ÷ DBOS", "tasktrail-runs", "rate", None, ("dbos-runs",)),
    Figure("runs of 5 ÷ Burr", "tasktrail-runs", "rate", None, ("burr-runs",)),
    Figure("runs of 5 ÷ Luigi", "tasktrail-runs", "rate", None, ("luigi-runs",)),
    Figure("chain: file ÷ runner", "yaml-chain", "rate", 0.9, ("tasktrail-chain-inline",)),
    Figure("chain: decorators ÷ runner", "decorators-chain", "rate", 0.9, ("tasktrail-chain-inline",)),
    Figure("fan-out: file ÷ runner", "yaml-fan", "rate", 0.9, ("tasktrail-fan-inline",)),
    Figure("fan-out: decorators ÷ runner", "decorators-fan", "rate", 0.9, ("tasktrail-fan-inline",)),
    Figure("runs of 5: file ÷ runner", "yaml-runs", "rate", 0.9, ("tasktrail-runs",)),
    Figure("runs of 5: decorators ÷ runner", "decorators-runs", "rate", 0.9, ("tasktrail-runs",)),
    Figure("file of 10,000 steps: to load", "yaml-load", "seconds", None),
    Figure("file of 10,000 steps: time ÷ PyYAML", "yaml-load", "step time", None, ("yaml-parse",)),
    Figure("command step, above a bare start", "workflow-command", "seconds", 0.003),
    Figure("for_each of 10,000: to expand", "workflow-expansion", "seconds", 0.5),
    Figure("for_each of 10,000: memory", "workflow-expansion", "peak MB", 20),
    Figure("watch of 5,000 steps: share of a core", "workflow-watch", "share", 0.05),
    Figure("100,000 steps: step time ÷ of 1,000", "tasktrail-long", "step time", 1.5, ("tasktrail-chain-inline",)),
    Figure("100,000 steps: peak memory", "tasktrail-long", "peak MB", 400),
    Figure("resume with 100,000 finished", "tasktrail-resume-long", "seconds", 1.0),
    Figure("resume with 1,000 finished", "tasktrail-resume", "seconds", 0.2),
    Figure("run file of 20 steps: one write", "tasktrail-run-file", "seconds", 0.010),
    Figure("run file of 1,000 steps: one write", "tasktrail-run-file-large", "seconds", None),
    Figure("on PostgreSQL, chain ÷ by hand", "postgres-chain", "rate", 0.6, ("byhand-chain",)),
    Figure("on PostgreSQL, chain ÷ DBOS", "postgres-chain", "rate", 4, ("dbosserver-chain",)),
    Figure("on PostgreSQL, chain ÷ Procrastinate", "postgres-chain", "rate", 3, ("procrastinate-chain",)),
    Figure("on PostgreSQL, 4 connections ÷ by hand", "postgres-batches", "rate", 0.5, ("byhand-batches",)),
    Figure("on PostgreSQL, 8 workers ÷ by hand", "postgres-workers", "rate", 0.4, ("byhand-batches",)),
    Figure("on PostgreSQL, claim where 1,000,000 wait", "postgres-waiting", "seconds", 0.020),
    Figure("on PostgreSQL, 64 idle workers: share of a core", "postgres-idle", "share", 0.02),
    Figure("on SQLite, 4 workers", "workers-sqlite", "per second", 2_500),
    Figure("on SQLite, a dead worker's step taken up", "workers-take-over", "seconds", 1.0),
    Figure("plan of 10,000: cycles ÷ raw", "plan-cycles", "rate", 0.55, ("planraw-cycles",)),
    Figure("plan of 100,000: cycles ÷ raw", "plan-cycles-large", "rate", 0.55, ("planraw-cycles",)),
    Figure("plan of 100,000: cycle time ÷ of 10,000", "plan-cycles-large", "step time", 1.2, ("plan-cycles",)),
    Figure("plan of 10,000: cycles ÷ JSON file", "plan-cycles", "rate", None, ("planfile-cycles",)),
    Figure("plan of 10,000: cycles ÷ Taskwarrior", "plan-cycles", "rate", None, ("taskwarrior-cycles",)),
    Figure("plan of 10,000: cycles ÷ Task Master", "plan-cycles", "rate", None, ("taskmaster-cycles",)),
    Figure("plan of 10,000: cycles ÷ Backlog.md", "plan-cycles", "rate", None, ("backlog-cycles",)),
    Figure("plan of 10,000: slowest calls", "plan-call", "seconds", 0.010),
    Figure("plan of 100,000: slowest calls", "plan-call-large", "seconds", 0.010),
    Figure("plan of 100,000: to create", "plan-create-large", "seconds", 5.0),
    Figure("JSON file of 1,000: one mark", "plan-mark-file", "seconds", 0.020),
    Figure("next on a plan of 10,000", "plan-next", "seconds", 0.150),
    Figure("tracker of 50 items: one update", "tracker-update", "seconds", 0.015),
    Figure("tracker of 50 items: update time ÷ ruamel.yaml", "tracker-update", "step time", None, ("ruamel-update",)),
    Figure("26 trackers of 50 items: ready, from files", "tracker-readycold", "seconds", 0.4),
    Figure("26 trackers of 50 items: ready, mirrored", "tracker-readymirrored", "seconds", 0.020),
    Figure("10,000 items × 5 types: progress", "tracker-progress", "seconds", 0.005),
    Figure("10,000 items × 5 types: a page of what is ready", "tracker-readypage", "seconds", 0.005),
    Figure("10,000 items × 5 types: a page of the matrix", "tracker-matrix", "seconds", 0.020),
    Figure("10,000 items × 5 types: to create", "tracker-create", "seconds", None),
    Figure("executions in batches ÷ by hand", "executions-create", "rate", 0.5, ("executionsraw-create",)),
    Figure("executions one by one", "executions-one", "per second", 2_000),
    Figure("executions one by one ÷ by hand", "executions-one", "rate", None, ("executionsraw-one",)),
    Figure("1,000,000 executions: a list, p99", "executions-list", "seconds", 0.005),
    Figure("1,000,000 executions: a trace, p99", "executions-trace", "seconds", 0.001),
    Figure("1,000,000 executions: last failed, p99", "executions-lastfailed", "seconds", 0.005),
    Figure("MCP, a list, p95", "mcp-list", "seconds", 0.020),
    Figure("MCP, a list: time ÷ a constant", "mcp-list", "step time", None, ("mcpbare-list",)),
    Figure("MCP, a trace, p95", "mcp-trace", "seconds", 0.020),
    Figure("MCP, a trace: time ÷ a constant", "mcp-trace", "step time", None, ("mcpbare-trace",)),
    Figure("MCP, last failed, p95", "mcp-lastfailed", "seconds", 0.020),
    Figure("MCP, last failed: time ÷ a constant", "mcp-lastfailed", "step time", None, ("mcpbare-lastfailed",)),
    Figure("MCP, top errors, p95", "mcp-errors", "seconds", 0.020),
    Figure("MCP, top errors: time ÷ a constant", "mcp-errors", "step time", None, ("mcpbare-errors",)),
    Figure("MCP, a list: time ÷ SQL alone", "mcp-list", "step time", None, ("mcpraw-list",)),
    Figure("MCP, last failed: time ÷ SQL alone", "mcp-lastfailed", "step time", None, ("mcpraw-lastfailed",)),
    Figure("MCP, claim and finish, p95", "mcp-claims", "seconds", 0.020),
    Figure("MCP, start to first answer", "mcp-start", "seconds", 1.5),
    Figure("MCP, start to first answer: time ÷ a constant", "mcp-start", "step time", None, ("mcpbare-start",)),
    Figure("MCP, memory of the server", "mcp-start", "peak MB", None),
    Figure("MCP, 4 clients at once", "mcp-clients", "per second", None),
    Figure("backfill of 20,000 files", "backfill-results", "per second", 5_000),
    Figure("backfill of 20,000 files ÷ by hand", "backfill-results", "rate", None, ("backfillraw-results",)),
    Figure("scrubbing a log ÷ one pattern of e-mail", "scrub-log", "rate", 0.2, ("scrub-mail",)),
    Figure("scrubbing: slowest hostile text ÷ a log", "scrub-hostile", "rate", 0.1, ("scrub-log",)),
    Figure("scrubbing 300 characters of prose", "scrub-prose", "per second", 125_000),
    Figure("scrubbing 300 characters of a log", "scrub-lines", "per second", None),
    Figure("import tasktrail", "tasktrail-import", "seconds", 0.060),
    Figure("list-runs on 10,000 runs", "tasktrail-list-runs", "seconds", 0.150),
)


def judge(figure: Figure, readings: Mapping[str, Reading], missing: Mapping[str, str]) -> Judged | None:
    """Judge one figure by the best readings, by subject name; None where its subject was not asked for.

    Args:
        missing: Why a subject has no reading: not installed, or how it failed.
    """
    if figure.subject not in readings and figure.subject not in missing:
        return None
    if figure.subject in missing:
        return Judged(figure, None, _in_short(missing[figure.subject]))
    rivals = [readings[name] for name in figure.against if name in readings]
    if figure.against and not rivals:
        return Judged(figure, None, _in_short(missing.get(figure.against[0], f"{figure.against[0]} not measured")))
    value = _value(figure, readings[figure.subject], rivals)
    return Judged(figure, value, _verdict(figure, value))


def is_at_least(measure: Measure) -> bool:
    """Whether more of it is better."""
    return measure in ("rate", "per second")


def _in_short(reason: str) -> str:
    """The first table says how a subject failed; here it is enough that it did.

    >>> _in_short("failed: ZeroDivisionError: division by zero")
    'failed'
    """
    return reason.partition(":")[0]


def _value(figure: Figure, reading: Reading, rivals: list[Reading]) -> float:
    match figure.measure:
        case "rate":
            return reading.per_second / max(rival.per_second for rival in rivals)
        case "step time":
            return max(rival.per_second for rival in rivals) / reading.per_second
        case "per second":
            return reading.per_second
        case "seconds" | "share":
            return reading.seconds
        case "peak MB":
            return reading.peak_rss_mb


def _verdict(figure: Figure, value: float) -> str:
    if figure.asked is None:
        return "-"
    reached = value >= figure.asked if is_at_least(figure.measure) else value <= figure.asked
    return "ok" if reached else "short"
