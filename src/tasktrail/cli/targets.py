"""TARGET: where a runner's code is found. `MODULE:ATTRIBUTE` or `path/to/file.py:ATTRIBUTE`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from types import ModuleType
from typing import Final

from tasktrail.config import StoreLocation
from tasktrail.dag.interface import IDAGRunner
from tasktrail.engine.workflow_files import SUFFIXES, WorkflowFile, stored
from tasktrail.model.errors import BadInput, NotFound, TasktrailError

_FORM: Final = "FILE.yaml, MODULE:ATTRIBUTE or path/to/file.py:ATTRIBUTE"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the code is, split: a module's name or a file, and the attribute in it."""

    place: str
    attribute: str
    folder: Path
    """Where relative places begin."""

    def locate(self) -> None:
        """Refuse code that is not there; see the function."""
        locate(self)

    @property
    def is_file(self) -> bool:
        """Whether the place is a path rather than a module's name."""
        return self.place.endswith(".py")

    def stored(self, store: StoreLocation) -> str:
        """Return the text by which the code is found again from the project's folder."""
        path = self._path()
        return f"{self.place if path is None else stored(path, store)}:{self.attribute}"

    def _path(self) -> Path | None:
        """The file, if it is one; a module beside the working directory is one too."""
        if self.is_file:
            return (self.folder / self.place).resolve()
        path = self.folder / f"{self.place}.py"
        return path.resolve() if path.is_file() else None


def parse(text: str, folder: Path) -> Target | WorkflowFile:
    """Read a target.

    Raises:
        BadInput: It is of another form.
    """
    place, colon, attribute = text.rpartition(":")
    if text.endswith(SUFFIXES):
        return WorkflowFile(folder / text, text)
    if not colon and text.endswith(".py"):
        raise BadInput(f"{text} names no runner in the file", hint=f"tasktrail run dag {text}:RUNNER")
    names = [*attribute.split("."), *(() if place.endswith(".py") else place.split("."))]
    if not place or not all(name.isidentifier() for name in names):
        raise BadInput(f"expected TARGET to be {_FORM}, got: {text[:80]!r}", hint="tasktrail run dag flow:runner")
    return Target(place, attribute, folder)


def locate(target: Target) -> None:
    """Refuse a file or module that is not there, before anything is made for it.

    Raises:
        NotFound: It is not there.
    """
    if target.is_file:
        if not (target.folder / target.place).is_file():
            raise NotFound(f"there is no file {target.place}", hint=f"tasktrail run dag {_FORM}")
        return
    _find_in(target.folder)
    try:
        missing = importlib.util.find_spec(target.place.partition(".")[0]) is None
    except (ImportError, ValueError):
        missing = True
    if missing:
        raise NotFound(f"no module is called {target.place}", hint="tasktrail run dag path/to/file.py:RUNNER")


def load(target: Target) -> IDAGRunner:
    """Import the code that `locate` found and return its runner; a function is called for it.

    Raises:
        NotFound: There is no such attribute.
        BadInput: The code cannot be imported, or gives something else.
    """
    module = _file(target) if target.is_file else _imported(target, lambda: importlib.import_module(target.place))
    value = _attribute(module, target)
    if isinstance(value, IDAGRunner):
        return value
    if not callable(value):
        raise _no_runner(target, value)
    return _called(target, value)


def _file(target: Target) -> ModuleType:
    path = (target.folder / target.place).resolve()
    _find_in(path.parent)
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"tasktrail_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    execute = spec.loader.exec_module
    return _imported(target, partial(_executed, execute, module))


def _executed(execute: Callable[[ModuleType], None], module: ModuleType) -> ModuleType:
    execute(module)
    return module


def _find_in(folder: Path) -> None:
    """As for `python -m`: what lies beside the working directory is found."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _imported(target: Target, work: Callable[[], ModuleType]) -> ModuleType:
    try:
        return work()
    except TasktrailError:
        raise
    except (Exception, SystemExit) as error:  # foreign code
        raise BadInput(f"{target.place} cannot be imported: {_words(error)}", hint=_V) from error


def _attribute(module: ModuleType, target: Target) -> object:
    try:
        return reduce(getattr, target.attribute.split("."), module)
    except AttributeError:
        close = _candidates(module, target.attribute)
        raise NotFound(
            f"{target.place} has no {target.attribute}" + (f"; did you mean {' or '.join(close)}?" if close else ""),
            hint=f"tasktrail run dag {target.place}:{close[0] if close else 'RUNNER'}",
        ) from None


def _candidates(module: ModuleType, name: str) -> list[str]:
    """What reads alike; nothing doing so, the runners that are there."""
    from difflib import get_close_matches

    names = [each for each in vars(module) if not each.startswith("_")]
    return get_close_matches(name, names) or [each for each in names if isinstance(getattr(module, each), IDAGRunner)]


def _called(target: Target, function: Callable[..., object]) -> IDAGRunner:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise BadInput(f"{_named(target)} cannot be called without arguments: {error}", hint=_ZERO) from None
    except ValueError:
        pass  # no signature: calling it tells
    try:
        value = function()
    except TasktrailError:
        raise
    except (Exception, SystemExit) as error:  # foreign code
        raise BadInput(f"{_named(target)} gave no runner: {_words(error)}", hint=_V) from error
    if isinstance(value, IDAGRunner):
        return value
    if inspect.iscoroutine(value):
        value.close()
    raise _no_runner(target, value)


_V: Final = "the same command with -v shows where it happened"
_ZERO: Final = "write a function without parameters that returns the runner"


def _named(target: Target) -> str:
    return f"{target.place}:{target.attribute}"


def _words(error: BaseException) -> str:
    from tasktrail.model.scrub import scrub_text

    return scrub_text(f"{type(error).__name__}: {error}")


def _no_runner(target: Target, value: object) -> BadInput:
    return BadInput(
        f"expected {_named(target)} to be a runner or a function that returns one, got: {type(value).__name__}",
        hint="a runner is a StatefulDAGRunner or another IDAGRunner of tasktrail.dag",
    )
