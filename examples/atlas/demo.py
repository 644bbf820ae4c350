"""The show: run `atlas.yaml`, kill it in the middle, resume it, and say what survived.

It types what anybody would type, and needs the standard library only.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from atlas import Inventory, folders, take_inventory

HERE = Path(__file__).resolve().parent
PATIENCE_S = 240.0  # a process that takes longer than this has hung
LONGEST_REST_S = 0.5  # on a small machine the mirror should have answered before the kill
AT_ONCE = 8  # as `max_parallel` in atlas.yaml
OVER = (0, 5)  # exit codes of a run that is over: all of it completed, or, as here, something failed
COLOURS = {"green": "32", "red": "31", "dim": "2", "bold": "1"}


class Start(NamedTuple):
    """One line of the journal: a step began."""

    step: str
    attempt: int
    pid: int


@dataclass(frozen=True, slots=True)
class Survival:
    """What the kill cost, from the store's word before the resumption and the journal's after the end."""

    finished_before: int
    again: list[str]  # finished before, and begun once more: must be empty
    broken_off: list[str]  # begun before and not finished: rightly begun once more


class Trouble(Exception):
    """The show cannot go on; the text says why and what to do."""


# ---- values --------------------------------------------------------------------------------------------------------


def read_journal(text: str) -> list[Start]:
    """Read the journal; a last line without its end is not there yet."""
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [Start(step, int(attempt), int(pid)) for step, attempt, pid in (line.split() for line in lines)]


def survival(finished_before: set[str], before: Sequence[Start], after: Sequence[Start]) -> Survival:
    """Compare what the store called finished after the kill with what each process began."""
    begun_after = {start.step for start in after}
    begun_before = {start.step for start in before}
    again = sorted(finished_before & begun_after)
    return Survival(len(finished_before), again, sorted((begun_before & begun_after) - finished_before))


def calls_for(inventory: Inventory) -> int:
    """Return how many calls a run takes: two for each distribution, one for each letter, and five others."""
    return 2 * len(inventory["entries"]) + len(inventory["letters"]) + 5


def rest_for(calls: int, seconds: float) -> float:
    """Return how long each call rests, so that all of them take about some seconds."""
    return round(min(LONGEST_REST_S, max(0.0, seconds) * AT_ONCE / max(1, calls)), 3)


def new_folder(parent: Path, name: str) -> Path:
    """Make a folder that was not there before: a second one in the same second gets a number."""
    for number in range(1, 1000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise Trouble(f"{parent} is full of runs named {name}")


# ---- what is said --------------------------------------------------------------------------------------------------


def say(text: str, colour: str | None = None, *, hang: str = "  ", end: str = "") -> None:
    """Print a line; where it is longer than the terminal, it is broken with `end`, and what follows hangs below it."""
    columns = shutil.get_terminal_size().columns - len(end)
    lines = textwrap.wrap(text, columns, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)
    text = f"{end}\n".join(lines)
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    print(text if plain or colour is None else f"\x1b[{COLOURS[colour]}m{text}\x1b[0m", flush=True)


def head(text: str) -> None:
    print()
    say(text, "bold")


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def tasktrail_words() -> str:
    """Return how this user types `tasktrail`: by name, by the path of this environment, or as a module."""
    if shutil.which("tasktrail"):
        return "tasktrail"
    beside = Path(sys.executable).with_name("tasktrail")
    return shown(beside) if beside.exists() else f"{shown(Path(sys.executable))} -m tasktrail"


# ---- the processes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Show:
    """One showing: its run, and the folder of its pages."""

    run_id: str
    folder: Path

    @property
    def progress(self) -> Path:
        return self.folder / "progress.txt"

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Show a command as one types it, and start it; it does not outlive the block.

        Where nobody looks on, its progress, a line for each change, goes to a file beside the pages.
        """
        say(f"$ tasktrail {shlex.join(arguments)}", "bold", hang="    ", end=" \\")
        command = [sys.executable, "-m", "tasktrail", *arguments]
        with Path(os.devnull if sys.stderr.isatty() else self.progress).open("ab") as file:
            stderr = None if sys.stderr.isatty() else file
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, env=environment())
        try:
            yield child
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=10)  # it got the Ctrl-C too, and ends in good order
            raise
        finally:
            child.kill()
            child.wait()

    def tasks(self) -> list[dict[str, Any]]:
        """Ask the store where every task of the run stands."""
        command = [sys.executable, "-m", "tasktrail", "run", "dag", "--status", self.run_id, "--json"]
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment(), timeout=60)
        if answer.returncode:
            raise Trouble(f"the run's state cannot be had:\n{answer.stderr[-3000:]}")
        return list(json.loads(answer.stdout)["data"]["tasks"])

    def check(self, child: subprocess.Popen[bytes]) -> None:
        """Refuse the end of a process that could not do its work."""
        if child.returncode not in OVER:
            where = "above" if sys.stderr.isatty() else f"in {shown(self.progress)}"
            raise Trouble(f"the work ended with exit code {child.returncode}; why is said {where}")

    def journal(self) -> list[Start]:
        file = self.folder / "journal.txt"
        return read_journal(file.read_text(encoding="utf-8")) if file.exists() else []


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": "utf-8"}


def run_and_kill(show: Show, rest_s: float, half: float) -> None:
    """Let a first process work until half of the calls have begun, and kill it."""
    head("1. A first process works until it is killed")
    where = ["-p", f"folder={show.folder.parent}", "-p", f"rest={rest_s}"]
    began_s = time.monotonic()
    with show.started("run", "dag", shown(HERE / "atlas.yaml"), "--run-id", show.run_id, *where) as child:
        while child.poll() is None and len(show.journal()) < half:
            if time.monotonic() - began_s > PATIENCE_S:
                raise Trouble(f"the work is not half done after {PATIENCE_S:.0f} s")
            time.sleep(0.05)
        killed = child.poll() is None
    if not killed:
        show.check(child)
        say("It had finished before it could be killed. (More --seconds give the kill more time.)")
        return
    if sys.stderr.isatty():
        print("\x1b[?25h")  # the live table hides the cursor, and had no time to show it again
    word = "Popen.kill()" if platform.system() == "Windows" else "SIGKILL"
    say(f"{word} after {time.monotonic() - began_s:.1f} s: no goodbye, nothing tidied up.", "red")


def resume(show: Show) -> None:
    """Let a second process do the rest."""
    head("2. A second process is given the run's id, nothing else")
    with show.started("resume", show.run_id) as child:
        child.wait(PATIENCE_S)
    show.check(child)


# ---- the report ----------------------------------------------------------------------------------------------------


def report_survival(show: Show, found: Survival) -> None:
    head("3. What survived the kill")
    tries = max((start.attempt for start in show.journal() if start.step == "mirror"), default=0)
    names = ", ".join(found.broken_off[:3]) + (" …" if len(found.broken_off) > 3 else "")
    spelling = next(task for task in show.tasks() if task["key"] == "spelling")
    good = "red" if found.again else "green"
    for label, value, colour in (
        ("finished before it", f"{found.finished_before} steps, said the store right after it", None),
        ("executed again", f"{len(found.again)} of these {found.finished_before}, says the journal", good),
        ("broken off by it", f"{len(found.broken_off)}, begun once more{f': {names}' if names else ''}", None),
        ("tried again", f"mirror, answered at attempt {tries} (the first two are meant to fail)", None),
        ("failed for good", f"spelling, which is optional: {spelling['error']}", None),
    ):
        say(f"  {label:<20}{value}", colour, hang=" " * 22)


def report_next(show: Show) -> None:
    head("4. What to look at, and to type next")
    tasktrail = tasktrail_words()
    for label, value in (
        ("the pages", shown(show.folder / "index.md")),
        ("what needs what", f"{tasktrail} graph {show.run_id}"),
        ("why it is partial", f"{tasktrail} explain {show.run_id}"),
        ("how a step ended", f"{tasktrail} history {show.run_id}:mirror"),
        ("proof", f"{tasktrail} doctor --verify"),
        ("and then", shown(HERE / "README.md")),
    ):
        say(f"  {label:<20}{value}", hang=" " * 22)


# ---- the course of the show ----------------------------------------------------------------------------------------


def begin(out: Path, seconds: float) -> tuple[Show, float, int]:
    """Say what will be done, and return the show, how long each call rests, and how many there are."""
    inventory = take_inventory(folders())
    calls = calls_for(inventory)
    homes = Counter(entry["home"] for entry in inventory["entries"])
    found = ", ".join(f"{n} in {home}" for home, n in sorted(homes.items(), reverse=True))
    without = f", and {inventory['nameless']} without a usable name, left out" if inventory["nameless"] else ""
    rest_s = rest_for(calls, seconds)
    say("The atlas of what Python finds on this machine", "bold")
    say(f"  {len(inventory['entries'])} distributions ({found}){without}")
    say(f"  8 steps, three of them done for each distribution or letter: {calls} in all")
    say("  a mirror that answers at the third attempt, a spelling check that misses its dictionary")
    if rest_s:
        say(f"  each rests {rest_s * 1000:.0f} ms, so that there is something to watch", "dim")
    folder = new_folder(out, time.strftime("atlas-%Y%m%d-%H%M%S"))
    return Show(folder.name, folder), rest_s, calls


def perform(show: Show, rest_s: float, calls: int) -> int:
    """Return 0 when everything held, 5 when a finished step was executed again or the index is missing."""
    run_and_kill(show, rest_s, calls / 2)
    finished = {task["id"].partition(":")[2] for task in show.tasks() if task["status"] == "completed"}
    before = show.journal()
    say(f"The store says: {len(finished)} steps are finished.")
    resume(show)
    found = survival(finished, before, show.journal()[len(before) :])
    report_survival(show, found)
    report_next(show)
    return 5 if found.again or not (show.folder / "index.md").exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("atlas-out"), help="where the runs' folders go (default atlas-out)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the work should take (default 10)")
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console that cannot draw a character shows ?, and goes on
    show, rest_s, calls = begin(options.out, options.seconds)
    try:
        return perform(show, rest_s, calls)
    except (Trouble, subprocess.TimeoutExpired) as trouble:
        print(f"\nerror: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        again = f"{tasktrail_words()} resume {show.run_id}"
        print(f"\ninterrupted; what is finished stays finished. Go on with\n  {again}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
