"""JSON on stdout: the envelope of what a command tells."""

from __future__ import annotations

import json
import sys


def emit(schema: str, data: object, cursor: str | None = None, *, paged: bool = False) -> None:
    """Print one document: `data` is a record, or a list of them with the cursor of the next page.

    Args:
        paged: Whether a record has further pages, as a list has.
    """
    envelope: dict[str, object] = {"schema": f"tasktrail/{schema}", "data": data}
    if paged or isinstance(data, list):
        envelope["next"] = cursor
    sys.stdout.write(json.dumps(envelope, ensure_ascii=False) + "\n")
