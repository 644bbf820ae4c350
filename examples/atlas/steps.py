"""What the steps of `atlas.yaml` call: each function gets what its parameters are named after.

`params` are those of the run, `item` is one of what a step is done for each of, and a step's name means its result.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Protocol, TypedDict

import atlas
import pages
from atlas import Card, Entry, Facts, Inventory, Profile


class Context(Protocol):
    """What is used of the context that every step may ask for."""

    run_id: str
    attempt: int
    reference: str

    def note(self, text: str) -> object: ...


class Params(TypedDict):
    """The params of `atlas.yaml`."""

    folder: str
    rest: float


def inventory(params: Params, ctx: Context) -> Inventory:
    begin(params, ctx)
    return atlas.take_inventory(atlas.folders())


def research(item: Entry, params: Params, ctx: Context) -> Facts:
    begin(params, ctx)
    return atlas.research(item)


def ties(research: list[Facts], params: Params, ctx: Context) -> list[Profile]:
    begin(params, ctx)
    return atlas.tie(research)


def content(item: Profile, params: Params, ctx: Context) -> Card:
    folder = begin(params, ctx)
    atlas.save(folder / "profiles" / f"{item['facts']['key']}.md", pages.profile_page(item))
    return pages.card_of(item)


def letter(item: str, content: list[Card], params: Params, ctx: Context) -> int:
    folder = begin(params, ctx)
    cards = [card for card in content if atlas.letter_of(card["key"]) == item]
    atlas.save(folder / "letters" / f"{item}.md", pages.letter_page(item, cards))
    return len(cards)


def mirror(params: Params, ctx: Context) -> dict[str, list[str]]:
    begin(params, ctx)
    families = atlas.licence_families(ctx.attempt)
    ctx.note(f"the mirror answered at attempt {ctx.attempt}")
    return families


def front_page(content: list[Card], mirror: dict[str, list[str]], params: Params, ctx: Context) -> str:
    page = begin(params, ctx) / "index.md"
    atlas.save(page, pages.index_page(content, mirror, platform.python_version()))
    print(f"{len(content)} distributions: {page}")
    return str(page)


def spelling(content: list[Card], params: Params, ctx: Context) -> list[str]:
    return atlas.unknown_words(content, begin(params, ctx) / "dictionary.txt")


def begin(params: Params, ctx: Context) -> Path:
    """Write into the run's journal that a step begins, let it rest, and return the run's folder.

    The journal is a witness beside the store. A line, `step attempt process`, is one write: those of several threads
    never mix.
    """
    folder = Path(params["folder"], ctx.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    journal = os.open(folder / "journal.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(journal, f"{ctx.reference.partition(':')[2]} {ctx.attempt} {os.getpid()}\n".encode())
    finally:
        os.close(journal)
    time.sleep(params["rest"])
    return folder
