"""What the system knows of files: who holds the write lock, and that a rename is on the disk."""

from __future__ import annotations

import os
from pathlib import Path

_WAL_WRITE_LOCK = 120
"""The byte of the -shm file that a writer locks. Source: SQLite's WAL-mode file format, section 2.3."""


def write_lock_holder(path: Path) -> str | None:
    """Return `process PID (command)` that holds a SQLite file's write lock; None where the system does not tell.

    Only /proc is asked: to open the file here would drop this process's own locks on it.
    """
    try:
        inode = Path(f"{path}-shm").stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) < 8 or "WRITE" not in fields or not fields[-3].endswith(f":{inode}"):
            continue
        if int(fields[-2]) <= _WAL_WRITE_LOCK and fields[-1] in ("EOF", str(_WAL_WRITE_LOCK)):
            return f"process {fields[-4]} ({_command(fields[-4])})"
    return None


def _command(pid: str) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "gone"
    return b" ".join(words).decode(errors="replace").strip()[:80] or "unnamed"


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: without it a rename can vanish with the power."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
