"""The show: run the atlas, kill it in the middle, let it go on, and say what survived.

It needs the standard library only, and talks to Tasktrail as anybody does, through the command line.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from atlas import Inventory, inventory_in

HERE = Path(__file__).resolve().parent
PATIENCE_S = 240.0  # a process that takes longer than this has hung
LONGEST_REST_S = 0.5  # on a small machine the mirror should have answered before the kill
AT_ONCE = 8  # as many steps as steps.py works on at the same time
LONGEST_TABLE = 40
COLOURS = {"green": "32", "red": "31", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}
STATUS_COLOURS = {
    "SUCCESS": "green",
    "PARTIAL_SUCCESS": "yellow",
    "FAILED": "red",
    "RETRY": "yellow",
    "RUNNING": "blue",
}


class Start(NamedTuple):
    """One line of the journal: a step began."""

    step: str
    attempt: int
    pid: int


@dataclass(frozen=True, slots=True)
class Survival:
    """What the kill cost, from the store's word before the restart and the journal's after the end."""

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


def bar(done: int, total: int, width: int = 28) -> str:
    """Draw progress.

    >>> bar(1, 2, width=4)
    '▕██░░▏  50 %'
    """
    share = min(1.0, done / max(1, total))
    full = int(width * share)
    return f"▕{'█' * full}{'░' * (width - full)}▏ {int(100 * share):3d} %"


def progress(starts: Iterable[Start], totals: dict[str, int]) -> str:
    """Say how far each kind of step is, and how often something was tried again."""
    kinds = Counter(step.partition("-")[0] for step in {start.step for start in starts})
    said = " · ".join(f"{kind} {kinds[kind]}/{totals[kind]}" for kind in ("research", "content", "letter"))
    return f"{bar(kinds.total(), sum(totals.values()))}  {said}"


def totals_of(inventory: Inventory) -> dict[str, int]:
    """Return the number of steps of each kind that steps.py makes of an inventory."""
    each, letters = len(inventory.entries), len(inventory.letters)
    return {"research": each, "content": each, "letter": letters, "mirror": 1, "index": 1, "spelling": 1}


def rest_for(steps: int, seconds: float) -> float:
    """Return how long each step rests, so that all of them take about some seconds."""
    return round(min(LONGEST_REST_S, max(0.0, seconds) * AT_ONCE / max(1, steps)), 3)


def steps_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of `run dag --status RUN --json`."""
    data = answer["data"]
    record = data[0] if isinstance(data, list) else data
    steps = record.get("steps") or record.get("tasks") or []
    return [{"key": key, **step} for key, step in steps.items()] if isinstance(steps, dict) else steps


def keys_with(steps: Iterable[dict[str, Any]], *statuses: str) -> set[str]:
    """Return the keys of the steps that have one of some statuses."""
    return {step.get("key") or step.get("step_id") or step["id"] for step in steps if step["status"] in statuses}


def shorten_table(table: str, most: int = LONGEST_TABLE) -> tuple[str, int]:
    """Leave rows out of a long status table, and count them: plain successes, after three of each kind."""
    lines = table.rstrip().splitlines()
    rows = [
        n
        for n, line in enumerate(lines)
        if re.match(r"[│|] *(research|content|letter)-.*[│|] *SUCCESS *[│|] *0/", line)
    ]
    if len(lines) <= most:
        return "\n".join(lines), 0
    seen: Counter[str] = Counter()
    dropped = set()
    for n in rows:
        kind = lines[n].strip("│| ").partition("-")[0]
        seen[kind] += 1
        if seen[kind] > 3:
            dropped.add(n)
    return "\n".join(line for n, line in enumerate(lines) if n not in dropped), len(dropped)


# ---- the screen ----------------------------------------------------------------------------------------------------


class Screen:
    """Where the show is seen: one live line and colours on a terminal, a plain line a second elsewhere."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.coloured = self.live and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._last_s = float("-inf")

    def paint(self, text: str, *colours: str) -> str:
        codes = ";".join(COLOURS[colour] for colour in colours)
        return f"\x1b[{codes}m{text}\x1b[0m" if self.coloured else text

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def head(self, text: str) -> None:
        self.say("\n" + self.paint(text, "bold"))

    def tick(self, text: str, last: bool = False) -> None:
        """Show progress: each call on a terminal, at most one a second elsewhere, the last one always."""
        now_s = time.monotonic()
        if self.live:
            print(f"\r\x1b[K  {text[: shutil.get_terminal_size().columns - 3]}", end="\n" if last else "", flush=True)
        elif last or now_s - self._last_s >= 1:
            self._last_s = now_s
            self.say(f"  {text}")

    def table(self, text: str) -> None:
        """Print a status table, its statuses in their colours."""
        for line in text.splitlines():
            self.say("  " + re.sub(r"\b[A-Z_]{5,}\b", lambda word: self._status(word[0]), line))

    def _status(self, word: str) -> str:
        return self.paint(word, STATUS_COLOURS[word]) if word in STATUS_COLOURS else word


# ---- the processes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Show:
    """One showing: its run, its folder, and what is to be seen on which screen."""

    run_id: str
    folder: Path
    totals: dict[str, int]
    rest_s: float
    screen: Screen

    def journal(self) -> list[Start]:
        file = self.folder / "journal.txt"
        return read_journal(file.read_text(encoding="utf-8")) if file.exists() else []

    def command(self) -> list[str]:
        return [shown(HERE / "steps.py"), "--run-id", self.run_id, "--pages", str(self.folder)]

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process that does the work; what it says goes to a file beside the pages."""
        command = [sys.executable, *self.command(), "--rest", str(self.rest_s)]
        with (self.folder / "steps.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def watch(self, child: subprocess.Popen[bytes], enough: Callable[[int], bool]) -> float:
        """Show progress until the child ends, or enough steps have begun; return the seconds it took."""
        began_s = time.monotonic()
        while child.poll() is None:
            starts = self.journal()
            if enough(len({start.step for start in starts})):
                break
            spent_s = time.monotonic() - began_s
            self.screen.tick(f"{progress(starts, self.totals)} · {spent_s:.0f} s")
            if spent_s > PATIENCE_S:
                raise Trouble(f"the work has not ended after {spent_s:.0f} s; see {self.folder / 'steps.log'}")
            time.sleep(0.05)
        spent_s = time.monotonic() - began_s
        self.screen.tick(f"{progress(self.journal(), self.totals)} · {spent_s:.1f} s", last=True)
        return spent_s

    def check_end(self, child: subprocess.Popen[bytes]) -> None:
        if child.wait() != 0:
            log = (self.folder / "steps.log").read_text(encoding="utf-8", errors="replace").strip()
            raise Trouble(f"the work ended with exit code {child.returncode}:\n{log[-3000:]}")

    def ask(self, *arguments: str) -> str:
        """Ask the `tasktrail` command; its words, not its exit code, are the answer."""
        command = [sys.executable, "-m", "tasktrail", *arguments]
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=60)
        if not answer.stdout:
            raise Trouble(f"tasktrail {' '.join(arguments)} said nothing:\n{answer.stderr[-3000:]}")
        return answer.stdout

    def steps(self) -> list[dict[str, Any]]:
        return steps_in(json.loads(self.ask("run", "dag", "--status", self.run_id, "--json")))


def first_process(show: Show) -> tuple[set[str], list[Start]]:
    """Run until half of the steps have begun, kill, and return what the store calls finished, and the journal."""
    half = sum(show.totals.values()) / 2
    child = show.start()
    try:
        show.screen.head(f"1. A first process ({child.pid}) works until it is killed")
        spent_s = show.watch(child, lambda begun: begun >= half)
        killed = child.poll() is None
    finally:
        child.kill()
        child.wait()
    if not killed:
        show.check_end(child)
        show.screen.say("  It had finished before it could be killed. (More --seconds give the kill more time.)")
    else:
        word = "Popen.kill()" if platform.system() == "Windows" else "SIGKILL"
        show.screen.say(
            "  " + show.screen.paint(f"{word} after {spent_s:.1f} s: no goodbye, nothing tidied up.", "red")
        )
    steps = show.steps()
    finished = keys_with(steps, "completed")
    show.screen.say(f"  The store says: {len(finished)} of {len(steps)} steps finished.")
    return finished, show.journal()


def second_process(show: Show) -> None:
    """Start the same command again and let it end."""
    child = show.start()
    try:
        show.screen.head(f"2. A second process ({child.pid}) is given the same run id, nothing else")
        spent_s = show.watch(child, lambda begun: False)
    except BaseException:
        child.kill()
        raise
    show.check_end(child)
    show.screen.say(
        "  " + show.screen.paint(f"All that can be done is done, {spent_s:.1f} s after the restart.", "green")
    )


# ---- the report ----------------------------------------------------------------------------------------------------


def tasktrail_command() -> str:
    """Return how this user types `tasktrail`: by name, by the path of this environment, or as a module."""
    if shutil.which("tasktrail"):
        return "tasktrail"
    beside = Path(sys.executable).with_name("tasktrail")
    return shown(beside) if beside.exists() else f"{shown(Path(sys.executable))} -m tasktrail"


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def report_table(show: Show) -> None:
    show.screen.head("3. Where it stands")
    table, left_out = shorten_table(show.ask("run", "dag", "--status", show.run_id))
    show.screen.table(table)
    if left_out:
        show.screen.say(show.screen.paint(f"  {left_out} rows of SUCCESS at the first try are left out here.", "dim"))


def report_survival(show: Show, found: Survival, starts: Sequence[Start]) -> None:
    screen = show.screen
    screen.head("4. What survived the kill")
    colour = "red" if found.again else "green"
    tries = max((start.attempt for start in starts if start.step == "mirror"), default=0)
    names = ", ".join(found.broken_off[:4]) + (" …" if len(found.broken_off) > 4 else "")
    rows = [
        ("finished before it", f"{found.finished_before} of {sum(show.totals.values())} steps"),
        ("executed again", screen.paint(f"{len(found.again)} of the {found.finished_before}", colour)),
        ("broken off by it", f"{len(found.broken_off)}, begun once more{f': {names}' if names else ''}"),
        ("tried again, with back-off", f"mirror: answered at attempt {tries} (the first two are meant to fail)"),
        ("failed for good", spelling_error(show.steps())),
    ]
    for label, value in rows:
        screen.say(f"  {label:<28}{value}")


def spelling_error(steps: Iterable[dict[str, Any]]) -> str:
    """Say what became of the optional step."""
    step = next((step for step in steps if "spelling" in keys_with([step], step["status"])), {})
    error = step.get("error") or step.get("status", "never begun")
    text = error.get("message", "") if isinstance(error, dict) else str(error)
    return f"spelling, which is optional: {text}"


def report_next(show: Show) -> None:
    tasktrail, run_id = tasktrail_command(), show.run_id
    show.screen.head("5. Where to look, and what to type next")
    show.screen.say(f"  The pages: {shown(show.folder / 'index.md')}")
    for line, why in (
        (f"{tasktrail} run dag --status {run_id}", "the whole table"),
        (f"{tasktrail} history {run_id}:mirror", "how one step came to its end"),
        (f"{tasktrail} doctor --verify", "the history proves the state"),
    ):
        show.screen.say(f"    {show.screen.paint(line, 'bold')}   {show.screen.paint(f'# {why}', 'dim')}")


# ---- the course of the show ----------------------------------------------------------------------------------------


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


def prepare(out: Path, seconds: float, screen: Screen) -> Show:
    """Take the inventory, say what will be done, and return the show."""
    folder = new_folder(out, time.strftime("atlas-%Y%m%d-%H%M%S"))
    inventory = inventory_in(folder)
    totals = totals_of(inventory)
    rest_s = rest_for(sum(totals.values()), seconds)
    homes = Counter(entry["home"] for entry in inventory.entries)
    screen.say(screen.paint("The atlas of what Python finds on this machine", "bold"))
    found = ", ".join(f"{n} in {home}" for home, n in sorted(homes.items(), reverse=True))
    without = f", and {inventory.nameless} without a usable name, left out" if inventory.nameless else ""
    screen.say(f"  {len(inventory.entries)} distributions ({found}){without}")
    screen.say(f"  {sum(totals.values())} steps: research → profile of each, {totals['letter']} letters, an index;")
    screen.say("  a mirror that is played and answers at the third attempt, a spelling check without a dictionary")
    if rest_s:
        screen.say(
            screen.paint(f"  each step rests {rest_s * 1000:.0f} ms, so that there is something to watch", "dim")
        )
    return Show(folder.name, folder, totals, rest_s, screen)


def perform(show: Show) -> int:
    """Return 0 when everything held, 5 when a finished step was executed again or the index is missing."""
    finished, before = first_process(show)
    second_process(show)
    starts = show.journal()
    found = survival(finished, before, starts[len(before) :])
    report_table(show)
    report_survival(show, found, starts)
    report_next(show)
    return 5 if found.again or not (show.folder / "index.md").exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("atlas-out"), help="where the runs' folders go (default atlas-out)"
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="how long the work should take (default 12)")
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console that cannot draw a bar shows ?, and goes on
    show = prepare(options.out, options.seconds, Screen())
    try:
        return perform(show)
    except Trouble as trouble:
        print(f"\nerror: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        again = " ".join([shown(Path(sys.executable)), *show.command()])
        print(f"\ninterrupted; what is finished stays finished. Go on with\n  {again}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
