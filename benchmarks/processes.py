"""Each subject in a process and a folder of its own, one after another, the repeats interleaved."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from measuring import Reading
from plan import FAMILIES, Subject

TIMEOUT_S: Final = 900
# What could make a subject speak to a server, or another store than its own.
_FOREIGN: Final = ("DBOS", "LANGCHAIN", "LANGGRAPH", "LANGSMITH", "LUIGI", "TASKTRAIL")
_SCRIPT: Final = Path(__file__).parent / "subject.py"


@dataclass(slots=True)
class Results:
    """All readings of each subject, by name, and why a subject has none."""

    readings: dict[str, list[Reading]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failed: bool = False

    def best(self) -> dict[str, Reading]:
        """Return each subject's fastest reading, with the largest memory of any.

        Noise on a shared machine only ever slows a subject down, so the fastest repeat is nearest to what it can do.
        """
        return {name: _best(readings) for name, readings in self.readings.items()}


def measure(
    subjects: Iterable[Subject], base: Path, *, repeats: int, quick: bool, tell: Callable[[str], None]
) -> Results:
    """Measure every subject `repeats` times below the folder `base`, and leave nothing there."""
    results = Results()
    here = base / f"run-{os.getpid()}"
    present = list(_installed(subjects, results))
    try:
        for repeat in range(repeats):
            for subject in _order(present, repeat):
                _measure_once(subject, here, results, quick=quick, tell=tell)
    finally:
        shutil.rmtree(here, ignore_errors=True)
        with suppress(OSError):
            base.rmdir()  # only when nothing else is in it
    return results


def _installed(subjects: Iterable[Subject], results: Results) -> Iterable[Subject]:
    for subject in subjects:
        if reason := FAMILIES[subject.family].missing():
            results.missing[subject.name] = reason
        else:
            yield subject


def _order(subjects: list[Subject], repeat: int) -> list[Subject]:
    """The plan's order, so that what another goes on from is there; later repeats leave out what is measured once."""
    return [subject for subject in subjects if not (repeat and subject.once)]


def _measure_once(subject: Subject, here: Path, results: Results, *, quick: bool, tell: Callable[[str], None]) -> None:
    if subject.name in results.missing:
        return
    n = subject.quick_n if quick else subject.n
    tell(f"{subject.name} ({n:,})")
    try:
        _needs_what_it_goes_on_from(subject, results)
        reading = _run(subject.name, n, _fresh_folder(subject, here))
    except SubjectFailed as failure:
        results.missing[subject.name] = f"failed: {failure}"
        results.readings.pop(subject.name, None)
        results.failed = True
        tell(f"  failed: {failure}")
    else:
        results.readings.setdefault(subject.name, []).append(reading)


class SubjectFailed(Exception):
    """A subject's process ended without a reading; the message is the last thing it said."""


def _needs_what_it_goes_on_from(subject: Subject, results: Results) -> None:
    if subject.goes_on_from in results.missing:
        raise SubjectFailed(f"{subject.goes_on_from}, from which it goes on, failed")


def _fresh_folder(subject: Subject, here: Path) -> Path:
    folder = here / subject.name
    shutil.rmtree(folder, ignore_errors=True)
    if subject.goes_on_from is None:
        folder.mkdir(parents=True)
        return folder
    shutil.copytree(here / subject.goes_on_from, folder)
    return folder


def _run(name: str, n: int, folder: Path) -> Reading:
    command = [sys.executable, str(_SCRIPT), name, str(n), str(folder.absolute())]
    try:
        done = subprocess.run(
            command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise SubjectFailed(f"no answer within {TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise SubjectFailed(_last_line(done.stderr) or f"exit code {done.returncode}")
    return Reading.from_json(_last_line(done.stdout))


def _environment() -> dict[str, str]:
    """The subject works in its own folder, so relative search paths are made absolute."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    if paths := environment.get("PYTHONPATH"):
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(path).absolute()) for path in paths.split(os.pathsep))
    return environment


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _best(readings: list[Reading]) -> Reading:
    fastest = min(readings, key=lambda reading: reading.seconds)
    peak = max(reading.peak_rss_mb for reading in readings)
    return replace(fastest, peak_rss_mb=peak)
