"""Tables of a project's tasktrail.toml that are more than settings: found here, and read by whom they concern."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasktrail.config.files import PROJECT_FILE, Keys, absolute, key_lines, nearest, parse, read

TABLES: Final = ("notify", "tracker")


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or several of one name.

    Args:
        text: The whole file.
        value: What it says, a mapping or a list of them; None where the file says nothing of it.
        lines: In which line each of its values begins, from 1, by its keys below the table.
    """

    path: Path
    text: str
    value: object
    lines: Mapping[Keys, int]


def find_table(name: str, start: Path | None = None) -> Table | None:
    """Return a table of the nearest tasktrail.toml; None where there is no such file.

    Args:
        start: Where the search begins, which need not exist; None is the working directory.

    Raises:
        BadInput: The file cannot be read.
    """
    path = nearest(absolute(start or Path()), PROJECT_FILE)
    if path is None:
        return None
    text = read(path)
    lines = {keys[1:]: line for keys, line in key_lines(text).items() if keys[0] == name}
    return Table(path, text, parse(path, text).get(name), lines)
