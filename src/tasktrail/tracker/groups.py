"""How the groups of a tracker are called, and where the document of each lies."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from tasktrail.model.errors import BadInput
from tasktrail.model.reference import check_run_id
from tasktrail.tracker.exceptions import InvalidWeekError

__all__ = ["Groups", "Letters", "Named"]

_LETTERS: Final = string.ascii_uppercase


class Groups(Protocol):
    """How groups are called."""

    @property
    def word(self) -> str:
        """What one of them is called: week, sprint."""

    @property
    def key(self) -> str:
        """Under which name a tracker's metadata say which group it is."""

    def check(self, group: str) -> str:
        """Return the name of a group as it is stored.

        Raises:
            InvalidWeekError: There can be none of this name.
        """

    def folder(self, group: str) -> str:
        """Return the name of the folder with its document."""

    def of_folders(self, names: Iterator[str]) -> list[str]:
        """Return the groups whose folders are among these, in order."""


@dataclass(frozen=True, slots=True)
class Letters:
    """Weeks from A to Z, in the folders 00-A to 25-Z. Source: document 002, File Storage."""

    word: str = "week"
    key: str = "week_letter"

    @property
    def names(self) -> str:
        """All letters."""
        return _LETTERS

    def check(self, group: str) -> str:
        """Return the letter."""
        letter = str(group)
        if len(letter) == 1 and letter.isascii() and letter.isalpha():  # before .upper(), which makes an I of ı
            return letter.upper()
        raise InvalidWeekError(f"expected a week to be a letter from A to Z, got: {group!r:.60}", hint="for example: A")

    def folder(self, group: str) -> str:
        """Return the folder.

        >>> Letters().folder("c")
        '02-C'
        """
        letter = self.check(group)
        return f"{_LETTERS.index(letter):02}-{letter}"

    def of_folders(self, names: Iterator[str]) -> list[str]:
        """Return the letters."""
        found = set(names)
        return [letter for letter in _LETTERS if self.folder(letter) in found]


@dataclass(frozen=True, slots=True)
class Named:
    """Groups of any name: sprints, releases, partitions; each has a folder of its name."""

    word: str = "group"

    @property
    def key(self) -> str:
        """The word itself."""
        return self.word

    def check(self, group: str) -> str:
        """Return the name."""
        try:
            return check_run_id(group)
        except BadInput as error:
            message = error.message.replace("a run id", f"the name of a {self.word}", 1)
            raise InvalidWeekError(message) from None

    def folder(self, group: str) -> str:
        """Return the folder."""
        return self.check(group)

    def of_folders(self, names: Iterator[str]) -> list[str]:
        """Return the names that can be ones."""
        found = []
        for name in names:
            try:
                found.append(check_run_id(name))
            except BadInput:
                continue
        return sorted(found)
