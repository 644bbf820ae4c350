"""A store as one file, out; and in again: checked first, whole or not at all, and what was there is kept."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tasktrail.config import Config, prepare_folder
from tasktrail.engine.ownership import is_alive
from tasktrail.engine.project import existing
from tasktrail.model.errors import BadInput, Busy, Conflict, Held, NotFound, StoreError
from tasktrail.store import locks
from tasktrail.store.address import refuse_backup, refuse_restore
from tasktrail.store.opening import is_postgres, open_store
from tasktrail.store.seam import Store


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Args:
        kept: Where the store that was there lies now; None when there was none.
    """

    path: Path
    runs: int
    kept: Path | None


def back_up(config: Config, file: Path) -> None:
    """Copy the project's store to a new file.

    Raises:
        NotFound: There is no store.
        BadInput: It is on a server; the hint says what copies it.
        StoreError: The file exists, or cannot be written.
    """
    if is_postgres(config.store.url):
        raise refuse_backup(config.store.url, file)
    store = existing(config.store, config)
    if store is None:
        raise NotFound(f"there is no store to copy: {config.store}", hint="tasktrail config show")
    store.backup(file)


def restore(config: Config, backup: Path, *, force: bool = False) -> Restored:
    """Put a backup in the place of the project's store.

    Args:
        force: Replace a store that is there; it is kept beside under another name.

    Raises:
        NotFound: There is no such backup.
        BadInput: The project's store is no file, or the backup is a store that is open. Of a store on a server the hint
            says what puts a copy back.
        Conflict: There is a store, and no force.
        Held: A process works on the store.
        StoreError: The backup is damaged or none of ours.
    """
    path = config.store.path
    if is_postgres(config.store.url):
        raise refuse_restore(config.store.url, backup)
    if path is None:
        hint = f"tasktrail --store FILE restore {backup}"
        raise BadInput(f"expected the store to be a file, got: {config.store}", hint=hint)
    _check_backup(backup, path)
    if path.exists() and not force:
        raise Conflict(f"{path} exists; a restore would replace it", hint=f"tasktrail restore {backup} --force")
    prepare_folder(config.store)
    part = path.with_name(f".{path.name}.restore-{secrets.token_hex(4)}")
    try:
        runs = _copied(backup, part)
        kept = _set_aside(path) if path.exists() else None
        part.replace(path)
        locks.sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot restore to {path}: {error.strerror}; nothing was changed") from error
    finally:
        for leftover in path.parent.glob(f"{part.name}*"):
            leftover.unlink(missing_ok=True)
    return Restored(path, runs, kept)


def _check_backup(backup: Path, path: Path) -> None:
    if not backup.is_file():
        raise NotFound(f"there is no file {backup}", hint="tasktrail restore BACKUP")
    if path.exists() and backup.samefile(path):
        raise BadInput(f"{backup} is the store itself", hint="tasktrail restore BACKUP")
    journal = backup.with_name(f"{backup.name}-wal")
    if journal.exists() and journal.stat().st_size:
        raise BadInput(
            f"{backup} is a store with changes in {journal.name}, no backup",
            hint=f"tasktrail --store {backup} backup FILE, then restore FILE",
        )


def _copied(backup: Path, part: Path) -> int:
    """Copy the backup, and look at the copy: a look at the original might change it. Returns the number of runs."""
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    shutil.copyfile(backup, part)
    try:
        store = open_store(str(part))
        faults = store.integrity()
        runs = len(store.read(lambda tx: tx.rows("run_ids")))
        store.close()
    except StoreError as error:
        raise type(error)(error.message.replace(str(part), str(backup)), hint="nothing was changed") from None
    if faults:
        raise StoreError(f"{backup} is damaged; nothing was changed", details=faults)
    return runs


def _set_aside(path: Path) -> Path:
    """Keep the store that is there under another name; a sound one as a whole copy, another one as it is."""
    kept = path.with_name(f"{path.name}.before-restore-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    try:
        store = open_store(str(path), busy_s=1.0)
    except Busy as error:
        raise Held(error.message, hint="stop it, then restore again") from None
    except StoreError:
        _move(path, kept)
        return kept
    _refuse_while_used(store)
    with contextlib.suppress(StoreError):
        store.backup(kept)
    store.close()
    if path.with_name(f"{path.name}-wal").exists():
        kept.unlink(missing_ok=True)
        raise Held(f"another process has {path} open", hint="stop it, then restore again")
    if not kept.exists():
        _move(path, kept)
    return kept


def _refuse_while_used(store: Store) -> None:
    rows = store.read(lambda tx: tx.rows("unstopped_workers"))
    living = [f"process {row[3]} on {row[2]} ({row[1]})" for row in rows if is_alive(store, row)]
    if living:
        store.close()
        raise Held(f"{store.where} is in use by {living[0]}", hint="stop it, then restore again", details=living[1:])


def _move(path: Path, kept: Path) -> None:
    """The journal goes first: beside another file of the same name it would be taken for that file's own."""
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + suffix))
    path.rename(kept)
