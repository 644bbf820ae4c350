"""What the store of experiences refuses."""

from __future__ import annotations

from tasktrail.model.errors import Conflict, StoreError, WrongState


class RawStoreError(StoreError):
    """The store cannot do what was asked; nothing was changed."""

    code = "raw_store"


class DuplicateExperience(Conflict, RawStoreError):
    """An experience of this id already exists."""

    code = "duplicate_experience"


class ImmutabilityViolation(WrongState, RawStoreError):
    """Records are append-only: they are neither updated nor deleted."""

    code = "immutable"
