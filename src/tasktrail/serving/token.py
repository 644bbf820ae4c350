"""The token by which clients of a server show that they may ask: made once, kept in a file that nobody else reads."""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tasktrail.config import Config, prepare_folder, user_file
from tasktrail.model.errors import BadInput, StoreError

_BYTES: Final = 32
_FILE: Final = "token"
_FORM: Final = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")  # what may stand after `Bearer` (RFC 6750 §2.1), long enough
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Token:
    """A token.

    Args:
        text: Never shown, logged, or given to others.
        origin: Where it was said: a file, or the setting.
    """

    text: str = field(repr=False)
    origin: str


def find_token(config: Config) -> Token:
    """Return the token of the settings, else that of the file; a file that is not there is made.

    Raises:
        BadInput: Others can read the file, or what is there is no token.
        StoreError: The file cannot be read or made.
    """
    if config.serve_token:
        if not _FORM.fullmatch(config.serve_token):
            raise BadInput("expected serve.token to be letters, digits and -._~+/=", hint="openssl rand -hex 32")
        return Token(config.serve_token, "serve.token")
    path = _folder(config) / _FILE
    try:
        if not os.path.lexists(path):
            _make(path)
        return Token(_read(path), str(path))
    except OSError as error:
        raise StoreError(f"cannot read or make {path}: {error.strerror}", hint="set TASKTRAIL_TOKEN") from error


def _folder(config: Config) -> Path:
    """A store that is a file has its own; what is shared with other machines has none that is one's own."""
    path = config.store.path
    if path is not None and path.parent.name == ".tasktrail":
        prepare_folder(config.store)
        return path.parent
    users = user_file()
    if users is None:
        raise BadInput("no home to keep a token in", hint="set TASKTRAIL_TOKEN")
    return users.parent


def _make(path: Path) -> None:
    """Make it complete or not at all: of two servers that start at once, both read what the first one made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = secrets.token_urlsafe(_BYTES)
    draft = path.with_name(f".{_FILE}-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


def _read(path: Path) -> str:
    """Read it by one descriptor, so that what was looked at is what is read."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(file.fileno()))
        text = file.read(1024).decode("ascii", "replace").strip()
    if not _FORM.fullmatch(text):
        raise BadInput(f"{path} holds no token", hint=f"rm {path}: the next start makes one")
    return text


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(f"expected {path} to be a file", hint="move it away: the next start makes one")
    if os.name == "nt":
        return  # Windows has no such modes; a home is its user's own
    if found.st_uid != os.geteuid():
        raise BadInput(f"{path} belongs to another user, who knows the token", hint="set TASKTRAIL_TOKEN")
    if found.st_mode & _OTHERS:
        hint = f"rm {path}: the next start makes another one; chmod 600 keeps this one, if nobody read it"
        raise BadInput(f"{path} can be read or written by others (mode {found.st_mode & 0o777:03o})", hint=hint)
