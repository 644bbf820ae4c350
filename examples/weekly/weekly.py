"""What `tasktrail.toml` calls for each distribution: parameters are filled by their names."""

from __future__ import annotations

from typing import Protocol

import atlas
import pages
import yaml
from atlas import Card, Entry, Facts, Profile
from journal import HERE, begin


class Context(Protocol):
    """What is used of the context that every function may ask for."""

    reference: str
    attempt: int


class Written(Card):
    """A distribution in one line, and where its page lies."""

    page: str


def research(item: str, attributes: dict[str, str], output_file: str, ctx: Context) -> Facts:
    begin(ctx.reference, ctx.attempt)
    where = {name: attributes[name] for name in ("key", "folder", "home")}
    facts = atlas.research(Entry(name=item, **where))
    atlas.save(HERE / output_file, yaml.safe_dump(dict(facts), sort_keys=False, allow_unicode=True))
    return facts


def content(research: Facts, output_file: str, ctx: Context) -> Written:
    begin(ctx.reference, ctx.attempt)
    atlas.save(HERE / output_file, pages.short_page(research))
    card = pages.card_of(Profile(facts=research, names={}, dependants=[]))
    return Written(**card, page=output_file)
