"""An item of a matrix: what has a task of each type."""

from __future__ import annotations

from typing import NamedTuple


class Item(NamedTuple):
    """One row of `item`. The order of the fields is that of the columns in the query `item_columns`.

    Args:
        attributes: JSON text of an object; None when it has none.
        content_hash: Tells one state of what it stands for from another; None where nobody said.
        removed_at: Since when the list has it no more.
        changed_at: When its content hash became another one.
    """

    id: int
    run_id: int
    name: str
    position: int
    attributes: str | None
    content_hash: str | None
    removed_at: int | None
    changed_at: int | None
