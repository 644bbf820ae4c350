"""The scrubber of a project: its settings, then what is installed. A text that cannot be scrubbed is withheld."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal

from tasktrail.config import Config
from tasktrail.model.plain import storable
from tasktrail.model.scrub import PROFILES, Profile, Record, scrub

GROUP: Final = "tasktrail.scrubbers"
"""The group of entry points: each a function that gets a scrubbed text and returns it with less in it."""

Own = tuple[str, Callable[[str], object]]
"""A scrubber of one's own, by its name."""

_FAULTS: Final = (Exception, SystemExit, GeneratorExit)
"""What somebody else's code may raise, and the text is withheld; the user's interrupt is none."""


class Scrubber:
    """Scrubs texts by a profile, then by each scrubber of one's own, by name.

    One that raises, or does not return a text, has the text withheld; the log says so once, without the text.

    Args:
        allow: Values that stay.
        key: Makes placeholders that are alike everywhere; empty: numbers.
        own: Returns the scrubbers of one's own; asked when the first text comes.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        allow: Collection[str] = (),
        key: bytes = b"",
        own: Callable[[], Sequence[Own]] | None = None,
    ) -> None:
        self._profile, self._allowed, self._key = profile, frozenset(allow), key
        self._own = own or installed
        self._faults: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Return a text as it may be stored or shown."""
        return self._after(scrub(text, self._profile, allow=self._allowed, key=self._key))

    def together(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Return the texts of one record: what is equal in them is alike in them."""
        given = tuple(texts)
        return tuple(map(self.record(given), given))

    def record(self, texts: tuple[str, ...] = ()) -> Callable[[str], str]:
        """Return what scrubs the texts of one record, one after the other; with these its numbers do not collide."""
        record = Record(texts, self._key)
        return lambda text: self._after(record.scrubbed(text, self._profile, self._allowed))

    def kinds(self, text: str) -> dict[str, int]:
        """Return what a text holds that does not belong there: how many values of each kind, by whose scrubber."""
        record = Record((text,))
        record.scrubbed(text, self._profile, self._allowed)
        return record.kinds() | {f"scrubber {name}": 1 for name, clean in self._own() if _changes(clean, text)}

    def _after(self, text: str) -> str:
        own = self._own() if text else ()
        if text in self._faults.values():
            return text  # else nobody would ever hear of the fault
        for name, clean in own:
            try:
                text = _checked(clean(text))
            except _FAULTS as error:
                self._tell(name, error)
                return f"[withheld: scrubber {name} failed]"
        return text

    def _tell(self, name: str, error: BaseException) -> None:
        import logging  # not by `logs.logger`, which is silent where nobody set logging up: this must be heard

        if name not in self._faults:
            self._faults[name] = f"scrubber {name} failed with {type(error).__name__}; texts are withheld"
            logging.getLogger("tasktrail.scrubbing").error(self._faults[name])


def _changes(clean: Callable[[str], object], text: str) -> bool:
    """One that fails would have withheld the text."""
    try:
        return clean(text) != text
    except _FAULTS:
        return True


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"expected a text, got: {type(text).__name__}")
    return storable(text)


PLAIN_SCRUBBER: Final = Scrubber(PROFILES["text"], own=lambda: ())
"""Where no project's settings are known."""


def scrubber_of(config: Config, profile: Literal["text", "strict"] = "text") -> Scrubber:
    """Return the scrubber that the settings ask for; what leaves for others gets `strict`."""
    return Scrubber(PROFILES[profile], allow=config.scrub_allow, key=config.scrub_key.encode())


@cache
def installed() -> tuple[Own, ...]:
    """Return the scrubbers that are installed, by name; one that cannot be imported fails with every text."""
    if not any(map(_may_offer, sys.path)):
        return ()
    from importlib.metadata import entry_points

    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    return tuple((point.name, _loaded(point.load)) for point in points)


def _may_offer(folder: str) -> bool:
    """Whether a distribution in a folder says so; to ask `importlib.metadata` takes every command ten times as long."""
    try:
        names = [name for name in os.listdir(folder or ".") if name.lower().endswith((".dist-info", "egg-info"))]  # noqa: PTH208 - a name is enough
    except NotADirectoryError:
        return True  # an archive: it knows how to look into one
    except OSError:
        return False
    return any(GROUP.encode() in _read(Path(folder, name, "entry_points.txt")) for name in names)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _loaded(load: Callable[[], Callable[[str], object]]) -> Callable[[str], object]:
    try:
        return load()
    except _FAULTS as error:
        kind = type(error)

        def fail(_: str) -> object:
            raise ImportError(kind.__name__)

        return fail
