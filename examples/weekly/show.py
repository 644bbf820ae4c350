"""The show: two workers take the weeks A to Z, one is killed in the middle, the other finishes; and what survived it.

It types what anybody would type, in a project folder of its own.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasktrail.tracker import TaskRecord, TaskStatus, TrackerBackend, get_tracker

HERE = Path(__file__).resolve().parent
ATLAS = HERE.parent / "atlas"
sys.path.insert(0, str(ATLAS))
demo: Any = importlib.import_module("demo")  # the atlas' show has the words and the processes
FILES = [*(HERE / name for name in ("tasktrail.toml", "inventory.py", "weekly.py", "post.py", "journal.py")),
         *(ATLAS / name for name in ("atlas.py", "pages.py"))]  # fmt: skip
AT_ONCE = 4  # tasks of one worker


def records(tracker: TrackerBackend) -> dict[str, TaskRecord]:
    """Return what the tracker.yaml files say of every task, by the names that commands take."""
    found = {}
    for letter in tracker.weeks():
        week = tracker.load_tracker(letter)
        found |= {f"{letter}:{item}/{key}": one for item, of in week.items.items() for key, one in of.tasks.items()}
        found |= {f"{letter}:{key}": one for key, one in week.week_tasks.tasks.items()}
    return found


def finished(tracker: TrackerBackend) -> set[str]:
    return {name for name, record in records(tracker).items() if record.status is TaskStatus.COMPLETED}


def typed(words: str) -> None:
    demo.say(f"$ {words}", "bold", hang="    ", end=" \\")


def tasktrail(*arguments: str) -> None:
    """Show a command as one types it, and let it print."""
    typed(f"tasktrail {' '.join(arguments)}")
    ended = subprocess.run([sys.executable, "-m", "tasktrail", *arguments], env=demo.environment(), timeout=60)
    if ended.returncode:
        raise demo.Trouble(f"it ended with exit code {ended.returncode}")


def begin(letters: Sequence[str]) -> TrackerBackend:
    """Take the inventory, and leave all weeks to workers."""
    demo.head("1. What is there, as items of the weeks A to Z")
    typed(" ".join(["python3 inventory.py", *letters, "> weeks.json"]))
    listed = subprocess.run([sys.executable, "inventory.py", *letters], stdout=subprocess.PIPE, timeout=60)
    if listed.returncode:
        raise demo.Trouble("the inventory cannot be taken; why is said above")
    Path("weeks.json").write_bytes(listed.stdout)
    tasktrail("matrix", "sync", "weeks.json")
    tasktrail("matrix", "run", "--all", "--pooled")
    if not (tracker := get_tracker()).weeks():
        raise demo.Trouble(f"nothing that is installed begins with {' or '.join(letters)}")
    return tracker


def is_middle(journal: Sequence[Any], pid: int, half: float) -> bool:
    """Whether half is begun, and some of it by that process."""
    return len(journal) >= half and any(start.pid == pid for start in journal)


def work_and_kill(show: Any, tracker: TrackerBackend, half: float) -> Any:
    """Let two workers work until half is begun, kill one, and return what survived it once the other is done."""
    demo.head("2. Two workers, one of which is killed in the middle")
    worker = ("worker", "--concurrency", str(AT_ONCE), "--drain")
    began_s = time.monotonic()
    with show.started(*worker) as first, show.started(*worker) as second:
        while first.poll() is None and not is_middle(show.journal(), first.pid, half):
            if time.monotonic() - began_s > demo.PATIENCE_S:
                raise demo.Trouble(f"the work is not half done after {demo.PATIENCE_S:.0f} s")
            time.sleep(0.05)
        if first.poll() is not None:
            demo.say("It had finished before it could be killed. (More --seconds give the kill more time.)")
        first.kill()
        first.wait()
        done, before = finished(tracker), show.journal()
        demo.say(f"The first is killed after {time.monotonic() - began_s:.1f} s: nothing tidied up.", "red")
        tasktrail("matrix", "progress")
        second.wait(demo.PATIENCE_S)
    show.check(second)
    return demo.survival(done, before, show.journal()[len(before) :])


def report(show: Any, tracker: TrackerBackend, found: Any) -> int:
    """Return 0 when everything held, 5 when a finished task was done again or something is left to do."""
    demo.head("3. The second one has finished the rest")
    letter = tracker.weeks()[0]
    tasktrail("matrix", "progress")
    tasktrail("matrix", letter)
    demo.head("4. What survived the kill")
    said = records(tracker)
    retried = sum(record.retry_count > 0 for name, record in said.items() if name.endswith(":blog_post"))
    names = ", ".join(found.broken_off[:2]) + (" …" if len(found.broken_off) > 2 else "")
    left = len(said) - len(finished(tracker))
    for label, value, colour in (
        ("finished before it", f"{found.finished_before} tasks, said the tracker.yaml files right after it", None),
        ("done again", f"{len(found.again)} of these {found.finished_before}, says the journal",
         "red" if found.again else "green"),
        ("broken off by it", f"{len(found.broken_off)}, begun once more{f': {names}' if names else ''}", None),
        ("left to do", f"{left} of {len(said)}", "red" if left else "green"),
        ("tried again", f"{retried} posts: their first two attempts are meant to fail (retry_count)", None),
    ):  # fmt: skip
        demo.say(f"  {label:<20}{value}", colour, hang=" " * 22)
    demo.head("5. What to look at, and to type next")
    for label, value in (
        ("go there", f"cd {show.folder}"),
        ("where all stands", f"data/weeks/{tracker.groups.folder(letter)}/tracker.yaml"),
        ("the posts", "website/content/letters"),
        ("how a post ended", f"{demo.tasktrail_words()} history {letter}:blog_post"),
        ("and then", demo.shown(HERE / "README.md")),
    ):
        demo.say(f"  {label:<20}{value}", hang=" " * 22)
    return 5 if found.again or left else 0


def perform(show: Any, letters: Sequence[str], seconds: float) -> int:
    for file in FILES:
        shutil.copy(file, show.folder)
    typed(f"cd {demo.shown(show.folder)}")
    os.chdir(show.folder)
    tracker = begin(letters)
    tasks = records(tracker)
    calls = len(tasks) + 2 * len(tracker.weeks())  # a post takes three attempts
    os.environ["WEEKLY_REST"] = str(demo.rest_for(calls, seconds))
    return report(show, tracker, work_and_kill(show, tracker, calls / 2))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("letters", nargs="*", help="these weeks alone (default: all)")
    parser.add_argument("--out", type=Path, default=Path("example-out"), help="where the folder of the show goes")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long all rests take together (default 5)")
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    folder = demo.new_folder(options.out.resolve(), time.strftime("weekly-%Y%m%d-%H%M%S"))
    try:
        return perform(demo.Show("weekly", folder), options.letters, options.seconds)
    except (demo.Trouble, subprocess.TimeoutExpired) as trouble:
        print(f"\nerror: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; in {folder} go on with\n  {demo.tasktrail_words()} worker --drain", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
