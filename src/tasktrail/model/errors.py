"""Every error that Tasktrail raises on purpose: a code, a sentence, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class TasktrailError(Exception):
    """Root of all errors that Tasktrail raises on purpose.

    Args:
        message: Which thing, its state now, what was needed. No trailing full stop.
        hint: The next command or call to try; None when there is none.
        details: Further findings of the same kind, one sentence each, when all errors are reported at once;
            lines after a sentence show the place in a file.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)

    def __str__(self) -> str:
        details = (line.replace("\n", "\n    ") for line in self.details)
        return "\n".join([self.message, *(f"  - {line}" for line in details)])


class BadInput(TasktrailError, ValueError):
    """What was given cannot be used; nothing was changed."""

    code = "bad_input"


class NotFound(TasktrailError, LookupError):
    """No record has this reference."""

    code = "not_found"


class Ambiguous(TasktrailError):
    """Several records have this reference; the details list them."""

    code = "ambiguous"


class WrongState(TasktrailError):
    """The record's status does not allow this verb."""

    code = "wrong_state"


class UnmetNeed(TasktrailError):
    """A task cannot start: the details name the needs that are not met."""

    code = "unmet_need"


class Conflict(TasktrailError):
    """Somebody else changed the record meanwhile; nothing was overwritten."""

    code = "conflict"


class Held(TasktrailError):
    """A lease or another process holds what was asked for; the message names the holder."""

    code = "held"


class LeaseLost(TasktrailError):
    """The answer came after the claim had been taken away; it is kept as a late event and changes nothing."""

    code = "lease_lost"


class Busy(TasktrailError):
    """Another process kept the store's write lock for longer than the time limit."""

    code = "busy"


class TookTooLong(TasktrailError):
    """What somebody asked of the store was stopped, since its time was over; nothing was changed."""

    code = "timeout"


class StoreError(TasktrailError):
    """The store cannot be reached, read or written; nothing was half written."""

    code = "store"


class Unreachable(StoreError):
    """The server of the store is away; what was asked for was not done, and may be asked again."""

    code = "unreachable"


class NotAStore(StoreError):
    """The file is no Tasktrail store."""

    code = "not_a_store"


class NewerStore(StoreError):
    """A newer Tasktrail wrote this store; the message names both versions."""

    code = "newer_store"


class RunFailed(TasktrailError):
    """A run that somebody waited for did not complete; the details say which steps failed."""

    code = "run_failed"


class VerificationFailed(TasktrailError):
    """The history does not fold to the rows, or a counter is off; the details say where."""

    code = "verification_failed"
