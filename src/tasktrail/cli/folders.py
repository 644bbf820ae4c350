"""`--output-dir`: one folder per step with its result and output, whatever the step is called."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tasktrail.model.errors import BadInput

INDEX: Final = "index.json"
_SAFE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]|index\.json)(\..*)?", re.IGNORECASE)


class OutputFolder:
    """Files of one run's steps. `index.json` says which folder is which step's.

    Args:
        run: Public id of the run; a folder holds the files of one run.

    Raises:
        BadInput: The folder holds another run, or cannot be written.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path = path
        self._run = run
        self._by_key: dict[str, str] = {}
        self._taken: set[str] = set()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._load(path / INDEX)
            self._save()
        except OSError as error:
            raise BadInput(f"cannot write to {path}: {error.strerror}", hint="--output-dir FOLDER") from None

    def _load(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            run, steps = str(index["run"]), {str(key): str(name) for name, key in index["steps"].items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadInput(f"{path} is none of ours", hint="--output-dir ANOTHER") from None
        if run != self._run:
            raise BadInput(f"{self.path} holds the files of run {run}", hint="--output-dir ANOTHER")
        self._by_key = {key: name for key, name in steps.items() if name == safe_name(key) or name == hashed_name(key)}
        self._taken = {name.lower() for name in self._by_key.values()}

    def _save(self) -> None:
        index = {"run": self._run, "steps": {name: key for key, name in self._by_key.items()}}
        _replace(self.path / INDEX, json.dumps(index, ensure_ascii=False, indent=2) + "\n")

    def of(self, key: str) -> Path:
        """Return the folder of a step, made if need be."""
        if key not in self._by_key:
            name = safe_name(key)
            if name is None or name.lower() in self._taken:  # some systems take `A` and `a` for one file
                name = hashed_name(key)
            self._by_key[key] = name
            self._taken.add(name.lower())
        folder = self.path / self._by_key[key]
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def put_result(self, key: str, value: object) -> None:
        """Write what a step gave, as JSON."""
        _replace(self.of(key) / "result.json", json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def put_output(self, key: str, lines: Iterable[str]) -> None:
        """Write what a step printed."""
        _replace(self.of(key) / "output.txt", "".join(f"{line}\n" for line in lines))

    def close(self) -> None:
        """Say in the index which folder is which step's."""
        self._save()


def safe_name(key: str) -> str | None:
    """Return a step's id as a folder may be called; None when it cannot be one.

    >>> safe_name("fetch-1.2"), safe_name("../up"), safe_name("con"), safe_name("dot.")
    ('fetch-1.2', None, None, None)
    """
    is_safe = _SAFE.fullmatch(key) and not _RESERVED.fullmatch(key) and not key.endswith(".")
    return key if is_safe else None


def hashed_name(key: str) -> str:
    """Return a folder's name for any id: what can be read of it, and a hash of all of it."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", key)[:40].strip("-") or "step"
    return f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


def _replace(path: Path, text: str) -> None:
    """Nobody sees half a file, and no link is followed."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
