"""`prune` and `erase`: what is old goes, and what is somebody's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli import errors
from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import counted, plain
from tasktrail.model.errors import BadInput

if TYPE_CHECKING:
    from tasktrail.engine.pruning import Prospect
    from tasktrail.store.seam import Store

_KEPT: Final = {
    "open": "not over, or with something that is still to be done",
    "held": "being executed",
    "attached": "attached to a file, which says where it stands",
    "failed": "failed (--keep-failures)",
    "recent": "with something younger in the trace",
}
"""Why something stays, behind how many do."""

_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")


@click.command("prune", cls=SessionCommand)
@click.option("--older-than", "age", metavar="T", required=True, help="A span such as 90d or 12h.")
@click.option("--keep-failures", is_flag=True, help="Keep runs in which something failed, and recordings that failed.")
@_DRY_RUN
@_YES
@click.option(
    "--vacuum", is_flag=True, help="Give the space back: the store is written anew, and others wait for that."
)
def prune_command(session: Session, age: str, keep_failures: bool, dry_run: bool, yes: bool, vacuum: bool) -> int:
    """Remove runs that have been over for longer than T, with all that belongs to them, and recordings that old.

    Runs stay that are open, being executed, or attached to a file that is there, and recordings whose trace has
    something younger. The history keeps a digest of what went, which doctor --verify begins with. It may be
    interrupted, and goes on when it is called again.
    """
    from tasktrail.engine.pruning import Pruning
    from tasktrail.model.duration import parse_duration_ms

    ledger = session.ledger()
    pruning = Pruning(ledger, ledger.clock.now() - 1_000 * parse_duration_ms(age, "--older-than"), keep_failures)
    found = pruning.look()
    if not session.json:
        _show_prospect(found)
    if dry_run:
        _say(session, found, found.rows, ledger.store, dry_run=True)
        return errors.OK
    command = f"prune --older-than {age}{' --keep-failures' if keep_failures else ''}"
    if +found.rows and not (yes or _confirmed(f"remove what is older than {age}?", command)):
        return errors.FAILED
    gone = pruning.prune(_progress(found.rows["tasks"] + found.rows["recordings"]))
    if vacuum:
        _compact(ledger.store)
    _say(session, found, gone, ledger.store, dry_run=False)
    return errors.OK


def _say(session: Session, found: Prospect, gone: Mapping[str, int], store: Store, *, dry_run: bool) -> None:
    spare = store.spare_bytes()
    if session.json:
        counts = {name: number for name, number in gone.items() if number}
        kept = {"kept": dict(found.kept), "files": found.files}
        emit("pruned@1", {"id": "pruned", "dry_run": dry_run, "rows": counts, **kept, "spare_bytes": spare})
        return
    if dry_run:
        tell("nothing was changed: this is what prune would do")
    else:
        sys.stdout.write(f"removed: {_rows(gone)}\n")
    if spare:
        tell(f"{spare / (1024 * 1024):.1f} MB of the store hold nothing; --vacuum gives them back")


def _show_prospect(found: Prospect) -> None:
    sys.stdout.write(f"old: {_rows(found.rows)}\n")
    for why, number in found.kept.items():
        sys.stdout.write(f"kept: {number:,} {_KEPT[why]}\n")
    sys.stdout.writelines(f"  {plain(path)}\n" for path in found.files)
    sys.stdout.flush()


def _rows(rows: Mapping[str, int]) -> str:
    return ", ".join(counted(number, name.removesuffix("s")) for name, number in rows.items() if number) or "nothing"


# what both have in common


def _confirmed(question: str, command: str) -> bool:
    """Ask on a terminal.

    Raises:
        BadInput: There is none, and nobody said --yes.
    """
    if not sys.stdin.isatty():
        raise BadInput(
            "nobody is there to be asked, and what goes does not come back", hint=f"tasktrail {command} --yes"
        )
    return click.confirm(question, err=True)


def _progress(total: int) -> Callable[[int], None]:
    """Return what hears of progress and draws it in one line of a terminal; elsewhere it says nothing."""
    if not sys.stderr.isatty():
        return lambda _: None
    done = 0

    def told(number: int) -> None:
        nonlocal done
        done += number
        sys.stderr.write(f"\r{done:,} of {total:,}" + ("\n" if done >= total else ""))
        sys.stderr.flush()

    return told


def _compact(store: Store) -> None:
    obstacles: Sequence[str] = store.compact()
    tell(*(f"not all space was given back: {one}" for one in obstacles))
