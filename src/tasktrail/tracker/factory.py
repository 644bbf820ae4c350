"""Which tracker: by a word or a URL, and what is configured."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from tasktrail.model.errors import BadInput
from tasktrail.tracker.backend import TrackerBackend

__all__ = ["ENTRY_POINTS", "UnsupportedBackend", "get_tracker"]

ENTRY_POINTS: Final = "tasktrail.trackers"
"""The group in which other packages offer backends: `name = module:function(rest, config)`."""
DEFAULT_WEEKS_DIR: Final = "data/weeks"

Make = Callable[[str, Any], TrackerBackend]


class UnsupportedBackend(BadInput):
    """No tracker is called so."""

    code = "unsupported_backend"


def get_tracker(backend_type: str = "yaml", config: object = None) -> TrackerBackend:
    """Return a tracker.

    Args:
        backend_type: `yaml`, `json`, `memory:`, `sqlite:///…`, `postgresql://…`, or a backend that a package offers;
            behind a colon its folder or address: `yaml:data/weeks`, `s3://bucket/weeks`.
        config: An object of which `weeks_dir` is the folder with a folder per week, else `data/weeks`; it may have
            `grid` and `groups`.

    Raises:
        ValueError: There is no such backend.

    Source: document 002, Basic Usage.
    """
    scheme, _, rest = str(backend_type).partition(":")
    make = _BACKENDS.get(scheme) or _installed(scheme)
    if make is None:
        known = ", ".join([*_BACKENDS, *sorted(one.name for one in entry_points(group=ENTRY_POINTS))])
        raise UnsupportedBackend(f"Unsupported backend type: {backend_type}", hint=f"there are {known}")
    return make(rest, config)


def _yaml(rest: str, config: Any) -> TrackerBackend:
    from tasktrail.tracker.documents import YAMLTrackerBackend

    return YAMLTrackerBackend(_folder(rest, config), *_configured(config))


def _json(rest: str, config: Any) -> TrackerBackend:
    from tasktrail.tracker.documents import JSONTrackerBackend

    return JSONTrackerBackend(_folder(rest, config), *_configured(config))


def _store(scheme: str) -> Make:
    def make(rest: str, config: Any) -> TrackerBackend:
        from tasktrail.tracker.stores import StoreTrackerBackend

        return StoreTrackerBackend(f"{scheme}:{rest}", *_configured(config))

    return make


def _objects(scheme: str) -> Make:
    def make(rest: str, config: Any) -> TrackerBackend:
        from tasktrail.tracker.documents import YAMLTrackerBackend

        return YAMLTrackerBackend(f"{scheme}:{rest}", *_configured(config))

    return make


def _folder(rest: str, config: Any) -> Path:
    return Path(rest or getattr(config, "weeks_dir", None) or DEFAULT_WEEKS_DIR)


def _configured(config: Any) -> tuple[Any, Any]:
    return getattr(config, "grid", None), getattr(config, "groups", None)


def _installed(name: str) -> Make | None:
    found = next(iter(entry_points(group=ENTRY_POINTS, name=name)), None)
    return found.load() if found is not None else None


_BACKENDS: Final[dict[str, Make]] = {
    "yaml": _yaml, "json": _json, "memory": _store("memory"), "sqlite": _store("sqlite"),
    "postgresql": _store("postgresql"), "postgres": _store("postgres"), "s3": _objects("s3"), "gs": _objects("gs"),
    "az": _objects("az"),
}  # fmt: skip
