"""The tables that people read and the JSON that programs read."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from figures import FIGURES, Figure, Judged, is_at_least, judge
from plan import FAMILIES
from processes import Results


def as_text(results: Results, *, repeats: int, quick: bool) -> str:
    """Return the whole report: the machine, what was measured, the figures."""
    parts = [_heading(repeats, quick=quick), _table(_reading_rows(results))]
    if found := judged(results):
        parts.append(_table(_figure_rows(found)))
    return "\n\n".join(parts)


def as_json(results: Results, *, repeats: int, quick: bool) -> dict[str, Any]:
    """Return the report as a record; every repeat is in it."""
    return {
        "schema": "tasktrail/benchmark@1",
        "machine": _machine(),
        "versions": {family.name: family.versions() for family in FAMILIES.values() if family.missing() is None},
        "quick": quick,
        "repeats": repeats,
        "readings": {name: [one.to_dict() for one in readings] for name, readings in results.readings.items()},
        "missing": results.missing,
        "figures": [{**asdict(one.figure), "value": one.value, "verdict": one.verdict} for one in judged(results)],
    }


def judged(results: Results) -> list[Judged]:
    """Return every figure that the measured subjects can say something about."""
    best = results.best()
    found = (judge(figure, best, results.missing) for figure in FIGURES)
    return [one for one in found if one is not None]


def _heading(repeats: int, *, quick: bool) -> str:
    lines = [_machine(), f"best of {repeats}; memory: largest of {repeats}"]
    lines += [family.versions() for family in FAMILIES.values() if family.missing() is None and family.versions()]
    if quick:
        lines.append("QUICK: small sizes, to see that it runs; the figures below mean nothing")
    return "\n".join(lines)


def _machine() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _reading_rows(results: Results) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("subject", "n", "seconds", "slowest", "per second", "peak MB", "settings")]
    for name, best in results.best().items():
        slowest = max(reading.seconds for reading in results.readings[name])
        numbers = (f"{best.seconds:.3f}", f"{slowest:.3f}", f"{best.per_second:,.0f}", f"{best.peak_rss_mb:.0f}")
        rows.append((name, f"{best.n:,}", *numbers, best.settings))
    rows += [(name, "", "", "", "", "", reason) for name, reason in results.missing.items()]
    return rows


def _figure_rows(found: Iterable[Judged]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("figure", "measured", "asked", "")]
    for one in found:
        value = "" if one.value is None else _in_units(one.figure, one.value)
        rows.append((one.figure.says, value, _asked(one.figure), one.verdict))
    return rows


def _asked(figure: Figure) -> str:
    if figure.asked is None:
        return ""
    return f"{'≥' if is_at_least(figure.measure) else '≤'} {_in_units(figure, figure.asked)}"


def _in_units(figure: Figure, value: float) -> str:
    match figure.measure:
        case "rate" | "step time":
            return f"{value:.2f} ×"
        case "per second":
            return f"{value:,.0f}/s"
        case "seconds":
            return f"{value * 1000:,.{0 if value >= 0.01 else 1}f} ms"
        case "share":
            return f"{value:.1%}"
        case "peak MB":
            return f"{value:.0f} MB"


def _table(rows: list[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: list[int]) -> str:
    """The first and the last column are words, those between are numbers."""
    first, *numbers, last = row
    middle = (number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True))
    return "  ".join((first.ljust(widths[0]), *middle, last)).rstrip()
