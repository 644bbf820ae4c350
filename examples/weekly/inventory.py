"""What is to be done: the installed distributions by first letter, for `tasktrail matrix sync`.

Letters that are given as arguments are the only ones. A version is the content hash: with another one, what was done
for a distribution is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection

import atlas
from atlas import Entry

Item = dict[str, str]


def weeks(entries: Collection[Entry], letters: Collection[str]) -> dict[str, list[Item]]:
    """Return the items of each week; names that begin with no letter from A to Z are left out."""
    found: dict[str, list[Item]] = {}
    for entry in entries:
        letter = atlas.letter_of(entry["key"]).upper()
        if len(letter) == 1 and letter in (letters or letter):
            found.setdefault(letter, []).append(item(entry))
    return found


def item(entry: Entry) -> Item:
    """Return one item: its name, its version, and attributes."""
    facts = atlas.research(entry)
    said = {"name": entry["name"], "content_hash": facts["version"], "licence": facts["licence"]}
    return {**said, "key": entry["key"], "home": entry["home"], "folder": entry["folder"]}


if __name__ == "__main__":
    inventory = atlas.take_inventory(atlas.folders())
    json.dump(weeks(inventory["entries"], [letter.upper() for letter in sys.argv[1:]]), sys.stdout, indent=1)
