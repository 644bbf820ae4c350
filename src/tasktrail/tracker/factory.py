"""Which tracker: by a word or a URL, and what is configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from tasktrail.model.errors import BadInput
from tasktrail.tracker.backend import TrackerBackend
from tasktrail.tracker.settings import TrackerSettings, folder_of, load_settings

__all__ = ["ENTRY_POINTS", "UnsupportedBackend", "get_tracker"]

ENTRY_POINTS: Final = "tasktrail.trackers"
"""The group in which other packages offer backends: `name = module:function(rest, settings)`."""

Make = Callable[[str, TrackerSettings], TrackerBackend]


class UnsupportedBackend(BadInput):
    """No tracker is called so."""

    code = "unsupported_backend"


def get_tracker(backend_type: str | None = None, config: object = None) -> TrackerBackend:
    """Return a tracker.

    Args:
        backend_type: `yaml`, `json`, `memory:`, `sqlite:///…`, `postgresql://…`, or a backend that a package offers;
            behind a colon its folder or address: `yaml:data/weeks`, `s3://bucket/weeks`. None is the setting
            `tracker.backend`, else `yaml`.
        config: An object of which `weeks_dir` is the folder with a folder per week; it may have `grid` and `groups`.
            What it does not have, and where it is None, the table `[tracker]` of tasktrail.toml says.

    Raises:
        ValueError: There is no such backend, or what is configured cannot be.

    Source: document 002, Basic Usage.
    """
    settings = _settings(config)
    backend = settings.backend if backend_type is None else str(backend_type)
    scheme, _, rest = backend.partition(":")
    make = _BACKENDS.get(scheme) or _installed(scheme)
    if make is None:
        known = ", ".join([*_BACKENDS, *sorted(one.name for one in entry_points(group=ENTRY_POINTS))])
        raise UnsupportedBackend(f"Unsupported backend type: {backend}", hint=f"there are {known}")
    return make(rest, settings)


def _settings(config: Any) -> TrackerSettings:
    if isinstance(config, TrackerSettings):
        return config
    if isinstance(config, (str, Path, Mapping)):
        raise BadInput(
            f"expected config to be an object with weeks_dir, got: {config!r:.80}",
            hint="get_tracker('yaml:FOLDER') needs none",
        )
    folder = getattr(config, "weeks_dir", None)
    folder = None if folder is None else folder_of(folder)
    found = load_settings(folder)
    said = {name: getattr(config, name, None) for name in ("grid", "groups")}
    said["weeks_dir"] = folder
    return replace(found, **{name: value for name, value in said.items() if value is not None})


def _yaml(rest: str, config: TrackerSettings) -> TrackerBackend:
    from tasktrail.tracker.documents import YAMLTrackerBackend

    return YAMLTrackerBackend(_folder(rest, config), config.grid, config.groups, config.flags)


def _json(rest: str, config: TrackerSettings) -> TrackerBackend:
    from tasktrail.tracker.documents import JSONTrackerBackend

    return JSONTrackerBackend(_folder(rest, config), config.grid, config.groups, config.flags)


def _store(scheme: str) -> Make:
    def make(rest: str, config: TrackerSettings) -> TrackerBackend:
        from tasktrail.tracker.stores import StoreTrackerBackend

        if rest if scheme == "memory" else not rest.startswith("//"):  # else the store takes it for a file of this name
            raise _incomplete(f"{scheme}:{rest}", "memory:" if scheme == "memory" else f"{scheme}://…")
        return StoreTrackerBackend(f"{scheme}:{rest}", config.grid, config.groups, config.flags)

    return make


def _objects(scheme: str) -> Make:
    def make(rest: str, config: TrackerSettings) -> TrackerBackend:
        from tasktrail.tracker.documents import YAMLTrackerBackend

        if not rest.startswith("//") or not rest.strip("/"):  # else the documents take it for a folder of this name
            raise _incomplete(f"{scheme}:{rest}", f"{scheme}://BUCKET/PREFIX")
        return YAMLTrackerBackend(f"{scheme}:{rest}", config.grid, config.groups, config.flags)

    return make


def _folder(rest: str, config: TrackerSettings) -> Path:
    return folder_of(rest) if rest else config.weeks_dir


def _incomplete(backend: str, form: str) -> UnsupportedBackend:
    return UnsupportedBackend(f"Unsupported backend type: {backend}", hint=f"expected {form}")


def _installed(name: str) -> Make | None:
    found = next(iter(entry_points(group=ENTRY_POINTS, name=name)), None)
    return found.load() if found is not None else None


_BACKENDS: Final[dict[str, Make]] = {
    "yaml": _yaml, "json": _json, "memory": _store("memory"), "sqlite": _store("sqlite"),
    "postgresql": _store("postgresql"), "postgres": _store("postgres"), "s3": _objects("s3"), "gs": _objects("gs"),
    "az": _objects("az"),
}  # fmt: skip
