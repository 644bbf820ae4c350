"""The atlas as a durable run: one step per research, profile and letter, then the index.

Start it again with the same run id and it goes on where it stopped, however it stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from atlas import (
    Entry,
    dependants_of,
    inventory_in,
    licence_families,
    research,
    save,
    unknown_words,
)
from pages import card_of, index_page, letter_page, profile_page

from tasktrail.dag import ParallelStatefulDAGRunner, RetryBackoffStrategy

CONCURRENT_STEPS = 8


class Context(Protocol):
    """What a step uses of the context that the runner gives it."""

    attempt: int
    results: Mapping[str, Any]

    def note(self, text: str) -> object: ...


@dataclass(frozen=True, slots=True)
class Work:
    """The steps' functions: each takes what it needs from the context and writes below one folder."""

    folder: Path
    installed: dict[str, str]
    dependants: dict[str, list[str]]
    letters: dict[str, list[str]]
    rest_s: float

    def mirror(self, ctx: Context) -> object:
        families = licence_families(ctx.attempt)
        ctx.note(f"the mirror answered at attempt {ctx.attempt}")
        return families

    def content(self, key: str, ctx: Context) -> object:
        facts = ctx.results[f"research-{key}"]
        others = [ctx.results[f"research-{other}"] for other in self.dependants.get(key, [])]
        save(self.folder / "profiles" / f"{key}.md", profile_page(facts, others, self.installed))
        return card_of(facts, self.installed)

    def letter(self, letter: str, ctx: Context) -> object:
        cards = [ctx.results[f"content-{key}"] for key in self.letters[letter]]
        save(self.folder / "letters" / f"{letter}.md", letter_page(letter, cards))
        return cards

    def index(self, ctx: Context) -> object:
        cards = self._all_cards(ctx)
        save(self.folder / "index.md", index_page(cards, ctx.results["mirror"], platform.python_version()))
        return {"page": "index.md", "distributions": len(cards)}

    def spelling(self, ctx: Context) -> object:
        return {"unknown": unknown_words(self._all_cards(ctx), self.folder / "dictionary.txt")}

    def _all_cards(self, ctx: Context) -> list[Any]:
        return [card for letter in self.letters for card in ctx.results[f"letter-{letter}"]]

    def journaled(self, step: str, work: Callable[[Context], object]) -> Callable[[Context], object]:
        """Let a step say in the journal that it starts: the demonstration's own witness beside the store."""

        def execute(ctx: Context) -> object:
            write_journal(self.folder, step, ctx.attempt)
            result = work(ctx)
            time.sleep(self.rest_s)
            return result

        return execute


def write_journal(folder: Path, step: str, attempt: int) -> None:
    """Append one line, `step attempt process`, in one write: lines of several threads never mix."""
    journal = os.open(folder / "journal.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(journal, f"{step} {attempt} {os.getpid()}\n".encode())
    finally:
        os.close(journal)


def build(run_id: str, folder: Path, rest_s: float = 0.0) -> ParallelStatefulDAGRunner:
    """Return the runner with all steps registered; the run is created, or gone on with when it exists."""
    inventory = inventory_in(folder)
    installed = {entry["key"]: entry["name"] for entry in inventory.entries}
    work = Work(folder, installed, dependants_of(inventory.entries), inventory.letters, rest_s)
    runner = ParallelStatefulDAGRunner(dag_run_id=run_id, max_concurrent_steps=CONCURRENT_STEPS)
    add = partial(_add, runner, work)
    add("mirror", work.mirror, [], max_retries=3, retry_delay=0.2, retry_backoff=RetryBackoffStrategy.EXPONENTIAL)
    for entry in inventory.entries:
        _add_distribution(add, work, entry)
    for letter, keys in work.letters.items():
        add(f"letter-{letter}", partial(work.letter, letter), [f"content-{key}" for key in keys])
    letters = [f"letter-{letter}" for letter in work.letters]
    add("index", work.index, ["mirror", *letters])
    add("spelling", work.spelling, letters, max_retries=0, critical=False)
    return runner


def _add_distribution(add: Callable[..., None], work: Work, entry: Entry) -> None:
    """Add research and content; a profile says what needs it, so it waits for the research of those too."""
    key = entry["key"]
    add(f"research-{key}", lambda ctx: research(entry), [])
    asked = [key, *work.dependants.get(key, [])]
    add(f"content-{key}", partial(work.content, key), [f"research-{each}" for each in asked])


def _add(
    runner: ParallelStatefulDAGRunner,
    work: Work,
    step: str,
    function: Callable[[Context], object],
    needs: list[str],
    **settings: Any,
) -> None:
    runner.register_step(step, work.journaled(step, function), dependencies=needs, **settings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-id", required=True, help="the run to create, or to go on with")
    parser.add_argument("--pages", required=True, type=Path, help="the folder to write to")
    parser.add_argument(
        "--rest", type=float, default=0.0, metavar="SECONDS", help="how long each step rests (default 0)"
    )
    options = parser.parse_args()
    options.pages.mkdir(parents=True, exist_ok=True)
    run = asyncio.run(build(options.run_id, options.pages, options.rest).execute())
    status = str(getattr(run.status, "value", run.status))
    print(f"{run.run_id}: {status}")
    return 0 if status in {"success", "partial_success"} else 5


if __name__ == "__main__":
    sys.exit(main())
