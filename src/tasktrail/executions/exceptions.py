"""What the store of experiences refuses."""

from __future__ import annotations

from tasktrail.model.errors import Conflict, TasktrailError


class RawStoreError(TasktrailError):
    """The store cannot do what was asked; nothing was changed."""

    code = "raw_store"


class DuplicateExperience(RawStoreError, Conflict):
    """An experience of this id already exists."""

    code = "conflict"


class ImmutabilityViolation(RawStoreError):
    """Records are append-only: they are neither updated nor deleted."""

    code = "immutable"
