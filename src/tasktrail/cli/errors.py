"""Errors as a command tells them: one table of exit codes, words on stderr, with --json a document on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tasktrail.cli.text import plain
from tasktrail.model.errors import TasktrailError

OK: Final = 0
FAILED: Final = 1
RUN_FAILED: Final = 5
INTERRUPTED: Final = 130

EXIT_CODES: Final[Mapping[str, int]] = MappingProxyType({
    "error": 1, "no_results": 1, "notice_failed": 1, "timeout": 1, "unexpected": 1,
    "bad_input": 2, "usage": 2,
    "not_found": 3,
    "ambiguous": 4, "conflict": 4, "held": 4, "lease_lost": 4, "unmet_need": 4, "wrong_state": 4,
    "verification_failed": 5, "run_failed": RUN_FAILED,
    "busy": 6, "newer_store": 6, "not_a_store": 6, "store": 6, "unreachable": 6,
    "interrupted": 130,
})  # fmt: skip  # one line per exit code
"""By the code of the error."""

MEANINGS: Final[Mapping[int, str]] = MappingProxyType({
    0: "it worked; also an empty list",
    1: "it failed",
    2: "the command or a value in it cannot be understood; nothing was changed",
    3: "no record has this reference",
    4: "not now: wrong status, unmet need, changed meanwhile, held by somebody, or several records are meant",
    5: "a run that the command waited for did not complete, or a check found something",
    6: "the store cannot be reached, read or written",
    130: "interrupted",
})  # fmt: skip  # one line per exit code


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error, ready to be told."""

    code: str
    message: str
    hint: str | None = None
    details: Sequence[str] = ()
    kinds: Sequence[str] = ()
    """Codes of more general errors that it is, the nearest first: that of a door has the exit code of its kind."""

    @property
    def exit_code(self) -> int:
        """What the process leaves with."""
        return next((EXIT_CODES[code] for code in (self.code, *self.kinds) if code in EXIT_CODES), FAILED)


def trouble_of(error: TasktrailError) -> Trouble:
    """Return an error that was raised on purpose."""
    return Trouble(error.code, error.message, error.hint, error.details, kinds_of(type(error)))


def kinds_of(error: type[TasktrailError]) -> list[str]:
    """Return the codes of what an error is besides, the nearest first."""
    return [str(vars(kind)["code"]) for kind in error.__mro__[1:] if "code" in vars(kind)]


def unexpected(error: BaseException) -> Trouble:
    """Return an error that nobody expected: one line, and how to get the rest."""
    from tasktrail.model.scrub import scrub_text

    words = plain(scrub_text(f"{type(error).__name__}: {error}"))
    return Trouble("unexpected", f"unexpected {words}", "the same command with -v shows where it happened")


def tell(trouble: Trouble, *, as_json: bool, color: bool = False) -> int:
    """Tell an error on stderr, with --json on stdout as well, and return the exit code."""
    if as_json:
        sys.stdout.write(document(trouble) + "\n")
    red, off = ("\x1b[31m", "\x1b[0m") if color else ("", "")
    lines = [f"{red}error:{off} {_indented(trouble.message)}", *(f"  {_indented(line)}" for line in trouble.details)]
    if trouble.hint:
        lines.append(f"hint: {plain(trouble.hint)}")
    sys.stderr.write("\n".join(lines) + "\n")
    return trouble.exit_code


def document(trouble: Trouble) -> str:
    """Return an error as JSON."""
    error = {"code": trouble.code, "message": trouble.message, "hint": trouble.hint, "details": list(trouble.details)}
    return json.dumps({"schema": "tasktrail/error@1", "error": error}, ensure_ascii=False)


def _indented(text: str) -> str:
    """Further lines are indented, so that no message passes for one of ours."""
    return "\n    ".join(plain(line) for line in text.splitlines())


def stack_of(error: BaseException) -> str:
    """Return where an error happened, scrubbed."""
    import traceback

    from tasktrail.model.scrub import scrub_text

    lines = scrub_text("".join(traceback.format_exception(error))).splitlines()
    return "\n".join(plain(line) for line in lines) + "\n"
