"""Scenes that are killed by SIGKILL before their first step, their second … until they live. They need fork."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore

Arm = Callable[[Store], None]
"""What a scene calls when its steps begin to count; it gives the store whose statements are steps."""

_LONGEST_S: Final = 120.0

R = TypeVar("R")


def die_everywhere(module: str, scene: str, folder: Path, *arguments: object, only: str = "") -> list[str]:
    """Play a scene in processes that are killed before their first step, their second … until one survives.

    Args:
        scene: A function of the module, called with a folder of its own, `folder/<n>`, the arguments as text, and
            `arm`: what happens after that is called counts. It gives the store whose statements are steps.
        only: The words of the steps that count, with commas; all others are passed over. Empty counts all.

    Returns:
        Before which step each was killed.
    """
    script = (
        "import importlib, json, sys\n"
        "sys.path[:] = json.loads(sys.argv.pop(1))\n"
        "from tasktrail.testing.dying import _die_everywhere\n"
        "scene = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])\n"
        "_die_everywhere(scene, sys.argv[3], sys.argv[4], sys.argv[5:])"
    )
    paths = json.dumps(sys.path)
    command = [sys.executable, "-c", script, paths, module, scene, str(folder), only, *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    assert found.returncode == 0, found.stderr
    told: list[str] = json.loads(found.stdout)
    return told


def _die_everywhere(scene: Callable[..., None], folder: str, only: str, arguments: Sequence[str]) -> None:
    """Fork once for each step: a child that starts from here costs milliseconds, a new process a second."""
    told: list[str] = []
    for n in count(1):
        here = Path(folder, str(n))
        here.mkdir()
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            _play(scene, here, arguments, _Death(n, writing, frozenset(filter(None, only.split(",")))))
        os.close(writing)
        with os.fdopen(reading) as pipe:
            step = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            break
        assert code == -signal.SIGKILL, f"the scene failed at step {n}: {step}"
        told.append(step)
    print(json.dumps(told))  # noqa: T201  # to the process that asked


def _play(scene: Callable[..., None], folder: Path, arguments: Sequence[str], death: _Death) -> None:
    code = 1
    try:
        scene(folder, *arguments, death.arm)
        code = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        raise
    finally:
        os._exit(code)


class _Death:
    """Comes before the n-th step after it was armed, and tells the pipe which one that is.

    Args:
        words: Of the steps that count; empty counts all.
    """

    def __init__(self, n: int, pipe: int, words: frozenset[str]) -> None:
        self._left = n
        self._pipe = pipe
        self._words = words

    def arm(self, store: Store) -> None:
        """From now on steps count: calls of the system that change files, and statements that change the store."""
        for name, word in (("open", "open"), ("fsync", "fsync"), ("replace", "rename"), ("unlink", "unlink")):
            setattr(os, name, _stepping(self._step, word, getattr(os, name)))
        assert isinstance(store, SqliteStore)
        store._connection().exec_trace = self._trace

    def _trace(self, _cursor: object, sql: str, _bindings: object) -> bool:
        if not sql.startswith("SELECT"):  # to die before one that changes nothing is to die before the next
            self._step(" ".join(sql.split())[:60])
        return True

    def _step(self, word: str) -> None:
        if self._words and word not in self._words:
            return
        self._left -= 1
        if not self._left:
            os.write(self._pipe, word.encode())
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(_LONGEST_S)  # a signal to oneself may take its time


def _stepping(step: Callable[[str], None], word: str, function: Callable[..., R]) -> Callable[..., R]:
    def wrapped(*arguments: Any, **options: Any) -> R:
        step(word)
        return function(*arguments, **options)

    return wrapped
