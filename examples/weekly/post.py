"""The command that writes a week's post: `post.py LETTER FILE`, with the results of `content` in TASKTRAIL_INPUT."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import atlas
from journal import begin
from pages import counted, escape, human_size

if TYPE_CHECKING:
    from weekly import Written


def post(letter: str, written: Sequence[Written], families: Mapping[str, Sequence[str]], folder: Path) -> str:
    """Write the post of a week from what was written about its items.

    Args:
        families: Of licences, by name, the words that mean them.
        folder: Where the post will lie, for links.
    """
    licences = Counter(atlas.family_of(card["licence"], families) for card in written)
    size = human_size(sum(card["size_bytes"] or 0 for card in written))
    said = ", ".join(f"{number} {family}" for family, number in licences.most_common())
    head = [f"# {letter}: {counted(len(written), 'distribution')}", "", f"{size} in all. Licences: {said}.", ""]
    return "\n".join([*head, *(_line(card, folder) for card in written)]) + "\n"


def _line(card: Written, folder: Path) -> str:
    page = Path(os.path.relpath(card["page"], folder)).as_posix()
    summary = f": {escape(card['summary'])}" if card["summary"] else ""
    return f"- [{escape(card['name'])}]({page}) {escape(card['version'])}{summary}"


def main(letter: str, file: str) -> None:
    attempt = int(os.environ["TASKTRAIL_ATTEMPT"])
    begin(os.environ["TASKTRAIL_TASK"], attempt)
    families = atlas.licence_families(attempt)
    written = json.loads(Path(os.environ["TASKTRAIL_INPUT"]).read_text("utf-8"))["content"]
    atlas.save(Path(file), post(letter, list(written.values()), families, Path(file).parent))


if __name__ == "__main__":
    main(*sys.argv[1:])
