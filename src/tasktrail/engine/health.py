"""What the doctor looks at: the store, its file and folder, who works on it, and on demand the proof of its history."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from tasktrail.config import Config
from tasktrail.engine.findings import Check, Level
from tasktrail.engine.ownership import is_alive, owner_of
from tasktrail.engine.project import existing
from tasktrail.engine.server_health import look_at_server
from tasktrail.model.errors import StoreError
from tasktrail.store import locks
from tasktrail.store.opening import is_postgres
from tasktrail.store.seam import Store

SOUND_SQLITE: Final = (3, 51, 3)
"""Older ones since 3.7.0 can corrupt a WAL database. Source: release notes of SQLite 3.51.3 and 3.53.0."""
_LITTLE_SPACE: Final = 200 * 1024 * 1024
_NO_SPACE: Final = 20 * 1024 * 1024
_SYNCHRONOUS: Final = ("off", "normal", "full", "extra")
_NETWORK: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "lustre",
    "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs",
})  # fmt: skip


def examine(config: Config, *, prove: bool = False) -> Iterator[Check]:
    """Yield what was found, one thing after the other. Nothing is changed, nothing is made.

    Args:
        prove: Whether to verify every run's history as well, which takes time.
    """
    yield Check("versions", "ok", f"Tasktrail {_version('tasktrail')}, Python {platform.python_version()}, {_system()}")
    location = config.store
    where = f"{location} ({location.origin})"
    if location.path is not None and location.path.exists():
        yield Check("store", "ok", where)
        yield from _look_at_file(location.path)
    try:
        store = existing(location, config)
    except StoreError as error:
        yield Check("open", "problem", error.message, error.hint)
        return
    if store is None:
        yield Check("store", "ok", f"there is none yet; the first write makes {where}")
        return
    yield from look_at_server(store, where) if is_postgres(location.url) else _look_inside(store)
    yield from _look_at_workers(store)
    if prove:
        yield from _prove(store)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a folder of sources
        from tasktrail import __version__

        return __version__ if package == "tasktrail" else "unknown"


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


# around the file


def _look_at_file(path: Path) -> Iterator[Check]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name != "nt" and mode & 0o077:
        yield Check("mode", "warning", f"others on this machine may open the store ({mode:04o})", f"chmod 600 {path}")
    else:
        yield Check("mode", "ok", f"only its owner may open it ({mode:04o})")
    folder = stat.S_IMODE(path.parent.stat().st_mode)
    if os.name != "nt" and folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
        yield Check("folder", "problem", f"anybody may replace files in {path.parent}", f"chmod o-w {path.parent}")
    kind = _file_system(path)
    if kind in _NETWORK:
        words = f"the store lies on a network file system ({kind}), where locks and WAL cannot be trusted"
        yield Check("file system", "problem", words, "tasktrail backup FILE on a local disk, then --store FILE")
    else:
        yield Check("file system", "ok", kind or "unknown")
    yield _space(path)


def _space(path: Path) -> Check:
    free = shutil.disk_usage(path.parent).free
    words = f"{free // (1024 * 1024):,} MB free beside the store"
    level: Level = "problem" if free < _NO_SPACE else "warning" if free < _LITTLE_SPACE else "ok"
    return Check("disk", level, words, None if level == "ok" else "free some space")


def _file_system(path: Path) -> str | None:
    """Return the kind of file system that a file lies on; None where the system does not tell. Source: proc(5)."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    mounts = {}
    for line in lines:
        fields, _, rest = line.partition(" - ")
        mounts[fields.split(" ")[4].replace("\\040", " ")] = rest.split(" ")[0]
    return next((mounts[str(one)] for one in (path, *path.parents) if str(one) in mounts), None)


# inside


def _look_inside(store: Store) -> Iterator[Check]:
    facts = store.read(lambda tx: tx.row("store_facts"))
    assert facts is not None
    library, schema, journal, synchronous, size = facts
    words = f"SQLite {library} (apsw {_version('apsw')})"
    if tuple(int(part) for part in str(library).split(".")[:3]) < SOUND_SQLITE:
        yield Check("sqlite", "problem", f"{words} can corrupt a store in WAL mode", "pip install --upgrade apsw")
    else:
        yield Check("sqlite", "ok", words)
    megabytes = int(str(size)) / (1024 * 1024)
    durability = _SYNCHRONOUS[int(str(synchronous))]
    file = f"schema version {schema}, journal {journal}, synchronous {durability}, {megabytes:.1f} MB"
    yield Check("file", "ok", file)


def _look_at_workers(store: Store) -> Iterator[Check]:
    rows = store.read(lambda tx: tx.rows("unstopped_workers"))
    living = [row for row in rows if is_alive(store, row)]
    words = ", ".join(f"process {row[3]} on {row[2]} ({row[1]})" for row in living) or "nobody"
    yield Check("workers", "ok", f"at work: {words}")
    holder = locks.write_lock_holder(store.path) if store.path else None
    if holder:
        yield Check("lock", "warning", f"{holder} is writing just now; if it stays so, others wait for it")
    for run in store.read(lambda tx: tx.runs("owned_runs")):
        if owner_of(store, run) is None:
            words = f"the process that executed run {run.name} is gone; what it finished is kept"
            yield Check("owner", "warning", words, f"tasktrail resume {run.name}")


def _prove(store: Store) -> Iterator[Check]:
    from tasktrail.engine.verification import verify

    findings = verify(store)
    yield from (Check("history", "problem", finding) for finding in findings)
    if not findings:
        yield Check("history", "ok", "every run's history folds to its rows")
    yield from _look_at_removals(store)


def _look_at_removals(store: Store) -> Iterator[Check]:
    from tasktrail.engine.removals import removals

    totals, rows = store.read(removals)
    if rows:
        actors = sorted({str(row[2]) for row in rows})
        by = f"{actors[0]} and {len(actors) - 1} others" if len(actors) > 3 else ", ".join(actors)
        gone = ", ".join(f"{number:,} {name if number > 1 else name[:-1]}" for name, number in totals.items())
        days = " to ".join(dict.fromkeys(_day(row[1]) for row in (rows[0], rows[-1])))
        yield Check("pruned", "ok", f"{gone}; {days}, by {by}")


def _day(at: object) -> str:
    return datetime.fromtimestamp(int(str(at)) / 1_000_000, UTC).strftime("%Y-%m-%d")
