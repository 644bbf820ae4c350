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
    from tasktrail.engine.erasing import Erasing, Sighting
    from tasktrail.engine.pruning import Prospect
    from tasktrail.store.seam import Store

_KEPT: Final = {
    "open": "not over, or with something that is still to be done",
    "held": "being executed",
    "attached": "attached to a file, which was there when it was last looked at",
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

    Runs stay that are open, being executed, or attached to a file that was there when it was last looked at, and
    recordings whose trace has something younger. The history keeps a digest of what went, which doctor --verify
    begins with. It may be interrupted, and goes on when it is called again.
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


@click.command("erase", cls=SessionCommand)
@click.option("--match", "text", metavar="TEXT", required=True, help="Taken literally, whatever its case.")
@_DRY_RUN
@_YES
def erase_command(session: Session, text: str, dry_run: bool, yes: bool) -> int:
    """Replace TEXT by [erased] in all that people, steps and agents said: rows, history, results, output.

    Refused where it is part of a name by which others refer to something (run ids, keys, items), or where an attached
    file has it, which would bring it back. The history keeps how often it stood where, and a slow hash of it. Then the
    store is written anew, so that no byte of it is left; others wait for that.
    """
    from tasktrail.engine.erasing import Erasing

    ledger = session.ledger()
    erasing = Erasing(ledger, text)
    seen = erasing.look()
    if dry_run:
        _show_sighting(session, erasing, seen, (), dry_run=True)
        return errors.OK
    erasing.refuse(seen)
    places = counted(seen.places.total(), "place")
    if seen.places and not (yes or _confirmed(f"erase it in {places}?", "erase --match TEXT")):
        return errors.FAILED
    done = erasing.erase()
    obstacles = ledger.store.compact()
    _show_sighting(session, erasing, done, obstacles, dry_run=False)
    return errors.FAILED if obstacles else errors.OK


def _show_sighting(
    session: Session, erasing: Erasing, seen: Sighting, obstacles: Sequence[str], *, dry_run: bool
) -> None:
    copies = [str(path) for path in erasing.copies()]
    if session.json:
        where = {"places": dict(seen.places), "left": dict(seen.left), "names": seen.names, "files": seen.files}
        emit("erased@1", {"id": "erased", "dry_run": dry_run, **where, "copies": copies, "in_the_way": [*obstacles]})
        return
    sys.stdout.writelines(f"{place}  {counted(number, 'row')}\n" for place, number in sorted(seen.places.items()))
    if not seen.places:
        sys.stdout.write("it stands nowhere that is erased\n")
    sys.stdout.flush()
    tell(*(f"in the way: {plain(one)}" for one in (*seen.names, *seen.files, *obstacles)))
    tell(*(f"stays in names of members: {place}, {counted(number, 'row')}" for place, number in seen.left.items()))
    tell(*(f"not changed, and may have it: {plain(path)}" for path in copies))
    tell("nothing was changed: this is where it stands" if dry_run else "backups elsewhere may have it: they are yours")


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
    if click.confirm(question, err=True):
        return True
    tell("nothing was changed")
    return False


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
