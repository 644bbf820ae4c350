"""From Python values to JSON text and back: what is stored is JSON, never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasktrail.model.errors import BadInput
from tasktrail.store.transaction import Transaction

LARGEST_INLINE: Final = 1024
"""Characters of JSON that stay in the row; longer values go to the payload table once, by content."""

DEEPEST: Final = 200
"""Levels of nesting: what is stored must be readable from deep in a program too."""
_HINT: Final = "return only dict, list, str, numbers, bool and None"

_encode: Final[Callable[[object], str]] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as its column holds it: JSON text, or `@` and the hash of `payload`."""

    column: str | None
    payload: str | None = None

    def keep(self, tx: Transaction, now: int) -> None:
        """Store the payload, if there is one; equal content is stored once."""
        if self.payload is not None and self.column is not None:
            tx.execute("add_payload", {"hash": self.column[1:], "data": self.payload, "at": now})


NOTHING: Final = Encoded(None)


def encode(value: object, what: str) -> Encoded:
    """Return a value as a column holds it; None is NULL.

    Raises:
        BadInput: It is not JSON; the message has `what` and the type of the part that is not.
    """
    if value is None:
        return NOTHING
    try:
        _check(value)
        text = _encode(value)
        text.encode()
    except Exception as error:  # noqa: BLE001 - a value may be of a class with methods of its own
        raise BadInput(f"{what} is not JSON: {_why(error)}", hint=_HINT) from None
    return encode_text(text)


def _check(value: object) -> None:
    """Refuse what JSON would bend: keys that become one, and nesting that could not be read everywhere."""
    level = [value]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                if any(type(key) is not str for key in one) and len({_key(key) for key in one}) < len(one):
                    raise ValueError("two keys would become one")
                inner += one.values()
            elif isinstance(one, list | tuple):
                inner += one
        level = [one for one in inner if isinstance(one, dict | list | tuple)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def _key(key: object) -> str:
    return key if isinstance(key, str) else json.dumps(key)


def json_text(value: object, what: str) -> str:
    """Return a value as JSON text, for columns that hold it whatever its length.

    Raises:
        BadInput: As for `encode`.
    """
    encoded = encode(value, what)
    return encoded.payload or encoded.column or "null"


def encode_text(text: str | None) -> Encoded:
    """Return JSON text as a column holds it."""
    if text is None or len(text) <= LARGEST_INLINE:
        return Encoded(text)
    return Encoded("@" + hashlib.sha256(text.encode()).hexdigest(), text)


def _why(error: Exception) -> str:
    """Say it without the value itself, which may be long or private."""
    if isinstance(error, UnicodeEncodeError):
        return "a text has a lone surrogate"
    if isinstance(error, TypeError | ValueError):
        return str(error)
    return f"it cannot be read: {type(error).__name__}"


def text_of(column: str | None, tx: Transaction) -> str | None:
    """Return the JSON text that a column holds or stands for."""
    if column is None or not column.startswith("@"):
        return column
    row = tx.row("payload_by_hash", hash=column[1:])
    return str(row[0]) if row else None


def decode(column: str | None, tx: Transaction) -> object:
    """Return the value that a column holds; a reader needs the transaction for payloads."""
    text = text_of(column, tx)
    return None if text is None else json.loads(text)
