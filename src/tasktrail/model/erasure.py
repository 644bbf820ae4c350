"""Takes a text out of other texts: as it stands there, and within the strings of JSON, also where these escape it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from tasktrail.model.errors import BadInput

ERASED: Final = "[erased]"
SHORTEST: Final = 3
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_COLON: Final = re.compile(r"\s*:")
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_PAYLOAD: Final = re.compile(r"@[0-9a-f]{64}")

How = Callable[[str], str]


class Eraser:
    """Replaces one text, whatever its case, by `[erased]`.

    >>> eraser = Eraser("zoë")
    >>> eraser.text("by Zoë"), eraser.inside('{"Zoë": "Zo\\\\u00eb", "n": 1}'), eraser.value('{"Zoë": 1}')
    ('by [erased]', '{"Zoë": "[erased]", "n": 1}', '{"[erased]": 1}')

    Attributes:
        payloads: Hashes that values have now, by what they had before; filled by whoever erases within them.

    Raises:
        BadInput: The text is shorter than three characters, or the placeholder has it.
    """

    def __init__(self, text: str) -> None:
        if len(text.strip()) < SHORTEST:
            raise BadInput(f"expected a text of at least {SHORTEST} characters, got: {len(text.strip())}")
        self._find = re.compile(re.escape(text), re.IGNORECASE)
        if self._find.search(ERASED):
            raise BadInput(f"the text is part of {ERASED}, which takes its place")
        self.payloads: dict[str, str] = {}

    def concerns(self, texts: Iterable[str]) -> bool:
        """Whether one of these may change; quick where none does."""
        all_of_them = "\n".join(texts)
        found = "\\" in all_of_them or self._find.search(all_of_them)
        return bool(found or (self.payloads and "@" in all_of_them))

    def is_in(self, text: str) -> bool:
        """Whether a text has it, as it stands or escaped as in JSON."""
        return bool(self._find.search(text) or ("\\u" in text and self._find.search(_unescaped(text))))

    def text(self, text: str) -> str:
        """Return a text without it."""
        return self._find.sub(ERASED, text)

    def inside(self, text: str) -> str:
        """Return JSON text whose strings do not have it; names of members, which may mean something, stay."""
        return self._strings(text, names=False)

    def value(self, text: str) -> str:
        """Return the JSON text of somebody's own value, likewise, names and all; or the reference to a payload."""
        return self.payloads.get(text, text) if _PAYLOAD.fullmatch(text) else self._strings(text, names=True)

    def changes(self, text: str, how: Mapping[str, How | None]) -> str:
        """Return what an event says of columns, old and new.

        Args:
            how: By name of a column, as its own text is treated; None: it stays. Others have no JSON text in them.
        """
        if not self.concerns([text]):
            return text
        said = json.loads(text)
        told = {name: self._each(value, how.get(name, self.text)) for name, value in said.items()}
        return text if told == said else json.dumps(told)

    def _each(self, value: object, how: How | None) -> object:
        if isinstance(value, str):
            return how(value) if how else value
        if isinstance(value, list):
            return [self._each(one, how) for one in value]
        if isinstance(value, dict):
            within = self.text if how else None
            return {name: self._each(one, within) for name, one in value.items()}
        return value

    def _strings(self, text: str, *, names: bool) -> str:
        """Nothing but these strings is touched, so that equal texts stay equal wherever they stand."""
        if not ("\\" in text or self._find.search(text)):
            return text
        return _STRING.sub(partial(self._string, names=names), text)

    def _string(self, found: re.Match[str], *, names: bool) -> str:
        if not names and _COLON.match(found.string, found.end()):
            return found[0]
        said = json.loads(found[0], strict=False)
        without = self.text(said)
        return found[0] if without == said else json.dumps(without, ensure_ascii="\\u" in found[0])


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
