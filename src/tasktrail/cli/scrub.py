"""`scrub`: a text without what is private in it; or what the store holds that does not belong there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Literal

import click

from tasktrail.cli import errors
from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import columns, counted, plain

if TYPE_CHECKING:
    from tasktrail.engine.scrub_check import Leak

_PROFILES: Final = ("text", "strict")


@click.command("scrub", cls=SessionCommand)
@click.argument("file", default="-", type=click.Path(allow_dash=True, exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Look over all text in the store; exit code 5: something was found.")
@click.option("--profile", type=click.Choice(_PROFILES), default="text", show_default=True,
              help="strict also knows IP addresses, long ids and telephone numbers.")  # fmt: skip
def scrub_command(session: Session, file: str, check: bool, profile: Literal["text", "strict"]) -> int:
    """Print FILE (stdin) without what is private in it: placeholders stand there, equal ones for equal values.

    --check says which texts in the store hold what kinds of values; the values are not shown, and nothing is changed.
    """
    if check and file != "-":
        raise click.UsageError("--check looks over the store; it takes no file")
    if check:
        return _check(session, profile)
    pieces = _scrubbed(session, file, profile)
    if session.json:
        emit("scrubbed-text@1", {"id": file, "profile": profile, "text": "".join(pieces)})
        return errors.OK
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode("utf-8", "surrogateescape"))
    return errors.OK


def _scrubbed(session: Session, file: str, profile: Literal["text", "strict"]) -> Iterator[str]:
    from tasktrail.engine.scrub_stream import CHUNK_CHARS, pieces
    from tasktrail.engine.scrubbing import scrubber_of

    scrub = scrubber_of(session.config, profile).record()
    source = sys.stdin.fileno() if file == "-" else file
    with open(source, encoding="utf-8", errors="surrogateescape", newline="", closefd=file != "-") as text:
        yield from map(scrub, pieces(iter(lambda: text.read(CHUNK_CHARS), "")))


def _check(session: Session, profile: Literal["text", "strict"]) -> int:
    from tasktrail.engine.scrub_check import looked_over
    from tasktrail.engine.scrubbing import scrubber_of

    scrub = scrubber_of(session.config, profile)
    leaks = session.ledger().store.read(lambda tx: list(looked_over(tx, scrub)))
    if session.json:
        found = [{"id": leak.row, **asdict(leak)} for leak in leaks]
        emit("scrub-check@1", {"id": "scrub-check", "profile": profile, "clean": not leaks, "found": found})
    else:
        _show(session, leaks)
    return errors.EXIT_CODES["verification_failed"] if leaks else errors.OK


def _show(session: Session, leaks: list[Leak]) -> None:
    rows = [(plain(leak.row), f"{leak.table}.{leak.column}", _kinds(leak)) for leak in leaks]
    if rows:
        header = ("WHERE", "COLUMN", "HOLDS")
        sys.stdout.writelines(
            f"{line}\n" for line in columns(header, rows, limit=None, ink=session.ink(), style=lambda *_: None)
        )
    tell(f"{counted(len(leaks), 'text')} with what does not belong there" if leaks else "nothing was found")


def _kinds(leak: Leak) -> str:
    return ", ".join(plain(kind) if number == 1 else f"{plain(kind)} ({number})" for kind, number in leak.kinds.items())
