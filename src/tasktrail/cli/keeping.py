"""`backup` and `restore`: the store as one file, out and in."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, shown_path, tell
from tasktrail.cli.text import counted
from tasktrail.model.errors import StoreError

_FILE = click.Path(path_type=Path)


@click.command("backup", cls=SessionCommand)
@click.argument("file", type=_FILE)
def backup_command(session: Session, file: Path) -> None:
    """Copy the store to a new FILE, whole and consistent, while others work on it."""
    from tasktrail.engine.restoring import back_up

    try:
        back_up(session.config, file)
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror}", hint="tasktrail backup FILE") from error
    size = file.stat().st_size
    if session.json:
        emit("file@1", {"id": str(file), "path": str(file.resolve()), "bytes": size})
        return
    sys.stdout.write(f"{shown_path(file)}\n")
    tell(f"{size / (1024 * 1024):.1f} MB; to put it back: tasktrail restore {shown_path(file)}")


@click.command("restore", cls=SessionCommand)
@click.argument("file", type=_FILE)
@click.option("--force", is_flag=True, help="Replace a store that is there; it is kept beside under another name.")
def restore_command(session: Session, file: Path, force: bool) -> None:
    """Put the backup FILE in the place of the store; it is checked first, and goes in whole or not at all."""
    from tasktrail.engine.restoring import restore

    done = restore(session.config, file, force=force)
    if session.json:
        record = {"id": str(done.path), "path": str(done.path), "runs": done.runs}
        emit("file@1", {**record, "kept": str(done.kept) if done.kept else None})
        return
    sys.stdout.write(f"{shown_path(done.path)}\n")
    kept = f"; what was there is now {shown_path(done.kept)}" if done.kept else ""
    tell(f"{counted(done.runs, 'run')}{kept}")
