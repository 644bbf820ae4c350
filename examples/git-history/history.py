"""The work of the git history: split the log by month, count, and write a page. Nothing here knows Tasktrail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, TypedDict

HERE = Path(__file__).resolve().parent
TOP = "(top)"  # files that lie in no folder
MOST_FOLDERS = 15
WIDTH = 30  # of the longest bar


class Count(TypedDict):
    """What can be counted of a month."""

    month: str
    commits: int
    people: int
    added: int
    removed: int
    folders: dict[str, int]  # commits that touch it, by top-level folder


class Split(TypedDict):
    """The files of the months, oldest first, and what is known of the whole."""

    months: list[dict[str, str]]
    people: int
    names: list[str]  # empty unless asked for


def places(repository: str, out: str, run: dict[str, str]) -> dict[str, str]:
    """Return where things lie, as whole paths: git works in another folder than we do."""
    folder = Path(out).resolve() / run["id"]
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "repository": str(Path(repository).resolve() if repository else HERE),
        "log": str(folder / "log.txt"),
        "folder": str(folder),
    }


def split(places: dict[str, str], names: bool) -> Split:
    """Write the log again as a file per month, in which each author is a number."""
    numbers: dict[str, int] = {}
    lines: dict[str, list[str]] = {}
    month = ""
    for line in Path(places["log"]).read_text("utf-8", "replace").split("\n"):
        if line.startswith("commit\t"):
            _, month, author = line.split("\t", 2)
            line = f"commit\t{numbers.setdefault(author, len(numbers) + 1)}"
        if line:
            lines.setdefault(month, []).append(line)
    files = {month: Path(places["folder"], f"{month}.txt") for month in sorted(lines)}
    for month, file in files.items():
        file.write_text("\n".join(lines[month]) + "\n", "utf-8")
    shown = sorted(author.partition(" <")[0] for author in numbers) if names else []
    return Split(
        months=[{"month": month, "file": str(file)} for month, file in files.items()],
        people=len(numbers),
        names=list(dict.fromkeys(shown)),
    )


def month(item: dict[str, str]) -> Count:
    """Count what happened in one month."""
    people: set[str] = set()
    folders: Counter[str] = Counter()
    count = Count(month=item["month"], commits=0, people=0, added=0, removed=0, folders={})
    with Path(item["file"]).open(encoding="utf-8", newline="\n") as file:
        for author, changes in commits(file):
            people.add(author)
            count["commits"] += 1
            count["added"] += sum(lines_in(added) for added, _, _ in changes)
            count["removed"] += sum(lines_in(removed) for _, removed, _ in changes)
            folders.update({folder_of(path) for _, _, path in changes})
    count["people"], count["folders"] = len(people), dict(folders)
    return count


def commits(file: TextIO) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each commit's author, and its changes: lines added, lines removed, path."""
    author = ""
    changes: list[list[str]] = []
    for line in file:
        if line.startswith("commit\t"):
            if author:
                yield author, changes
            author, changes = line[len("commit\t") :].rstrip("\n"), []
        else:
            changes.append(line.rstrip("\n").split("\t", 2))
    if author:
        yield author, changes


def lines_in(text: str) -> int:
    """Return a number of lines; git writes `-` for what has no lines."""
    return int(text) if text.isdigit() else 0


def folder_of(path: str) -> str:
    """Return the top-level folder; git puts paths with unusual characters in quotes."""
    first, slash, _ = path.strip('"').partition("/")
    return first if slash else TOP


def report(
    month: list[Count], split: Split, shallow: dict[str, str] | None, places: dict[str, str]
) -> dict[str, object]:
    """Write the page; return where it is, and the figures in it."""
    total = {key: sum(one[key] for one in month) for key in ("commits", "added", "removed")}
    folders = sum((Counter(one["folders"]) for one in month), Counter())
    page = [
        "# History",
        "",
        f"{amount(total['commits'], 'commit', 'commits')} by {amount(split['people'], 'person', 'people')}, "
        f"{month[0]['month']} to {month[-1]['month']}: "
        f"{amount(total['added'], 'line', 'lines')} added, {total['removed']:,} removed.",
    ]
    if shallow and shallow["stdout"].strip() == "true":
        page += ["", "This clone is shallow: what is older is not counted, and the oldest commit seems to add it all."]
    if split["names"]:
        page += ["", f"Authors: {', '.join(split['names'])}"]
    page += ["", *month_table(month), "", *folder_table(folders), ""]
    file = Path(places["folder"], "history.md")
    file.write_text("\n".join(page), "utf-8")
    print(f"written: {file}")
    return {"page": str(file), "people": split["people"], **total}


def month_table(months: list[Count]) -> list[str]:
    """Return the months as a table with bars."""
    most = max(one["commits"] for one in months)
    rows = [
        f"| {one['month']} | {one['commits']:,} | {one['people']} | +{one['added']:,} −{one['removed']:,} "
        f"| {'█' * max(1, round(WIDTH * one['commits'] / most))} |"
        for one in months
    ]
    return ["| month | commits | people | lines | |", "|---|--:|--:|--:|---|", *rows]


def folder_table(folders: Counter[str]) -> list[str]:
    """Return the folders that most commits touch."""
    rows = [f"| {name.replace('|', '/')} | {commits:,} |" for name, commits in folders.most_common(MOST_FOLDERS)]
    return ["| folder | commits that touch it |", "|---|--:|", *rows]


def amount(count: int, one: str, more: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else more}"
