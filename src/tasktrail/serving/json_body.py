"""JSON that came from outside: what applications fail at in their own ways is refused before they see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from tasktrail.formats.json_load import load
from tasktrail.formats.json_object import Fault, dotted, refusal
from tasktrail.model.errors import BadInput

_BITS_64: Final = range(-(2**63), 2**63)
_SUSPECT: Final = re.compile(r"\\u0000|[0-9]{19}")
_MOST_FAULTS: Final = 20


def check(body: bytes) -> None:
    """Refuse what is no strict JSON.

    Besides what `formats.json_load` refuses: bytes that are no UTF-8, integers that do not fit 64 bits, and NUL.

    Raises:
        BadInput: `body:line:column: what is wrong`.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"body: expected UTF-8, got the byte 0x{body[error.start]:02x} at {error.start}") from None
    value = load(text, "body")
    if _SUSPECT.search(text) and (faults := list(islice(_faults(value, ()), _MOST_FAULTS))):
        raise refusal(text, "body", faults, "a request")


def _faults(value: object, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if isinstance(value, str) and "\0" in value:
        yield path, "expected text without NUL"
    elif type(value) is int and value not in _BITS_64:
        yield path, f"expected {dotted(path) or 'the number'} to fit 64 bits"
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _faults(inner, (*path, at))
    elif isinstance(value, dict):
        for key, inner in value.items():
            if "\0" in key:
                yield (*path, key), "expected a key without NUL"
            yield from _faults(inner, (*path, key))
