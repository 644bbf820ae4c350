"""Scrubbing by the profile strict: a log, hostile and short texts; and one pattern of e-mail over the same log."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from hostile import HOSTILE, OPENING
from measuring import Reading, peak_rss_mb, timed

from tasktrail.model.scrub import STRICT, scrub

SHORT_CHARS = 300
PLAIN = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
LINES = (
    "2026-03-01T12:30:45.123Z INFO fetch_data attempt 2 of 3 took 350 ms, 1204 rows written to out/fetch/data.parquet",
    "2026-03-01 12:30:45,123 WARNING tasktrail.worker: lease of nightly:load ran out; taken up again by worker 7",
    '  File "src/app/pipeline/load.py", line 214, in load_rows',
    "    return self.session.execute(statement, rows)",
    "ConnectionError: HTTPSConnectionPool(host='db.internal', port=5432): Max retries exceeded (timeout after 30 s)",
    "ValueError: expected 12 columns in row 4711, got 11; see the log of run nightly-2026-03-01 for the whole record",
    "tasktrail 1.2.3 on Python 3.11.7, pydantic 2.14.3: step process finished, 42 % of 1,000,000 items, 3 retries left",
    "DEBUG cache hit for key=sha256 of inputs; std::vector<int> of 64 entries, loss=0.4312 step=1200 lr=3e-4",
)
PROSE = (
    "The task fetch_data failed on its second try because the remote side closed the connection while the answer was "
    "still being read; it will be tried again in 30 seconds. Nothing was written to the output folder, and the 12 rows "
    "of the earlier attempt are kept for comparison with the next one, as was asked"
)


def log(n: int, _: Path) -> Reading:
    return _measured([_log(n)], _scrub)


def mail(n: int, _: Path) -> Reading:
    return _measured([_log(n)], lambda text: PLAIN.sub("[email]", text))


def hostile(n: int, _: Path) -> Reading:
    """The slowest of all hostile texts, behind words and behind a long run of letters."""
    pieces = [(name, piece) for name, its in HOSTILE.items() for piece in its]
    texts = {
        (name, piece): OPENING + head + piece * (n // 100 // len(piece))
        for (name, piece), head in itertools.product(pieces, ("", "a" * 5_000))
    }
    found = {of: _measured([text], _scrub, str(of)) for of, text in texts.items()}
    return min(found.values(), key=lambda reading: reading.per_second)


def short_prose(n: int, _: Path) -> Reading:
    return _each([PROSE[:SHORT_CHARS].ljust(SHORT_CHARS, ".")] * (n // SHORT_CHARS))


def short_log(n: int, _: Path) -> Reading:
    text = _log(n)
    return _each([text[at : at + SHORT_CHARS] for at in range(0, n - SHORT_CHARS, SHORT_CHARS)])


def _each(texts: list[str]) -> Reading:
    """What one of the texts takes."""
    reading = _measured(texts, _scrub, f"{SHORT_CHARS} characters each")
    return Reading(1, reading.seconds / len(texts), reading.peak_rss_mb, reading.settings)


def _scrub(text: str) -> str:
    return scrub(text, STRICT)


def _log(n: int) -> str:
    repeats = n // sum(len(line) + 1 for line in LINES) + 1
    return "".join(f"{line}\n" for line in LINES * repeats)[:n]


def _measured(texts: Iterable[str], work: Callable[[str], str], about: str = "characters") -> Reading:
    """Characters per second, the best of three; patterns are compiled before."""
    given = list(texts)
    work(given[0])
    seconds = []
    for _ in range(3):
        with timed() as watch:
            for text in given:
                work(text)
        seconds.append(watch.seconds)
    return Reading(sum(map(len, given)), min(seconds), peak_rss_mb(), about)


SUBJECTS = {
    "scrub-log": log,
    "scrub-mail": mail,
    "scrub-hostile": hostile,
    "scrub-prose": short_prose,
    "scrub-lines": short_log,
}
