"""The command line. Only the way in stands here: each command is imported when it is called."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave the process with its exit code; None takes the process's own arguments."""
    from tasktrail.cli.app import run

    code = run(sys.argv[1:] if arguments is None else list(arguments))
    gc.freeze()  # else the interpreter looks through all modules for garbage before it ends: 5 ms
    sys.exit(code)
