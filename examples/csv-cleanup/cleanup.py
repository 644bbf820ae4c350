"""The work of the clean-up: look, propose, apply, verify. Nothing here knows Tasktrail or time zones."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
MISSING = frozenset({"?", "-", "n/a", "none", "null", "unknown"})  # not `na`: that is Namibia
DATES = ("%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%d/%m/%Y", "%m/%d/%Y")
FIELDS = ("line", "column", "was", "becomes", "why")
Step = dict[str, Any]  # what a step hands on
Reader = Callable[[str], str | None]  # a text as it should be; None when that cannot be known


class Row(NamedTuple):
    """A row, and the line of the file that it ends on."""

    line: int
    cells: dict[str, str]


class Correction(NamedTuple):
    """What becomes of a cell; without a column, the row is dropped."""

    line: int
    column: str
    was: str
    becomes: str
    why: str


# ---- steps -----------------------------------------------------------------------------------------------------------


def profile(file: str, columns: dict[str, str], out: str, run: dict[str, str]) -> Step:
    """Say what is in the table, and make the folder for all that is written."""
    path, folder = Path(file).resolve() if file else HERE / "timezones.csv", Path(out).resolve() / run["id"]
    rows = read(path)
    if unknown := columns.keys() - rows[0].cells.keys():
        raise ValueError(f"{path.name} has no column {', '.join(sorted(unknown))}; it has {', '.join(rows[0].cells)}")
    folder.mkdir(parents=True, exist_ok=True)
    about = {name: Counter(row.cells[name] for row in rows) for name in rows[0].cells}
    found = {name: {"filled": len(rows) - seen[""], "different": len(seen)} for name, seen in about.items()}
    return {"file": str(path), "folder": str(folder), "rows": len(rows), "columns": found}


def propose(profile: Step, columns: dict[str, str]) -> Step:
    """Write corrections.csv; what cannot be decided stands in it too, and changes nothing as it is."""
    rows = read(Path(profile["file"]))
    found = list(corrections(rows, columns))
    file = Path(profile["folder"], "corrections.csv")
    write(file, FIELDS, (one._asdict() for one in found))
    reasons = Counter(reason for one in found for reason in one.why.split(", "))
    unclear = sum(one.column != "" and one.becomes == one.was for one in found)
    return {"file": str(file), "count": len(found) - unclear, "unclear": unclear, "reasons": dict(reasons)}


def apply(profile: Step, propose: Step) -> Step:
    """Write cleaned.csv, by the corrections as the person left them."""
    rows = {row.line: row for row in read(Path(profile["file"]))}
    dropped, changed = 0, 0
    for one in read_corrections(Path(propose["file"])):
        if (row := rows.get(one.line)) is None:
            raise ValueError(f"corrections.csv speaks of line {one.line}, where no row is left")
        if not one.column:
            del rows[one.line]
            dropped += 1
        elif row.cells.get(one.column) == one.was:
            changed += one.becomes != one.was
            row.cells[one.column] = one.becomes
        else:
            found = row.cells.get(one.column)
            raise ValueError(
                f"line {one.line}: corrections.csv says that {one.column} was {one.was!r}, but it is {found!r}"
            )
    file = Path(profile["folder"], "cleaned.csv")
    write(file, list(profile["columns"]), (row.cells for row in rows.values()))
    return {"file": str(file), "changed": changed, "dropped": dropped}


def verify(profile: Step, propose: Step, apply: Step, columns: dict[str, str]) -> Step:
    """Count rows and add up numbers anew; what the corrections do not account for is an error."""
    before, after = read(Path(profile["file"])), read(Path(apply["file"]))
    done = read_corrections(Path(propose["file"]))
    dropped = {one.line for one in done if not one.column}
    if len(after) != len(before) - len(dropped):
        raise ValueError(f"{len(before)} rows less {len(dropped)} are not {len(after)}")
    sums = {}
    for name in (name for name, kind in columns.items() if kind == "number"):
        edits = [(one.becomes, one.was) for one in done if one.column == name and one.line not in dropped]
        expected = total(row.cells[name] for row in before if row.line not in dropped)
        expected += total(new for new, _ in edits) - total(old for _, old in edits)
        sums[name] = total(row.cells[name] for row in after)
        if sums[name] != expected:
            raise ValueError(f"the sum of {name} is {sums[name]}; by the corrections it is {expected}")
    return {"rows": len(after), "sums": {name: str(value) for name, value in sums.items()}}


def report(profile: Step, propose: Step, apply: Step | None, verify: Step | None) -> Step:
    """Write report.md."""
    lines = [
        f"# {Path(profile['file']).name}",
        "",
        f"{profile['rows']} rows. Proposed: {propose['count']} corrections.",
    ]
    if apply is None or verify is None:
        lines += ["They were refused; nothing was changed."]
    else:
        sums = "; ".join(f"{name} {value}" for name, value in verify["sums"].items())
        lines += [f"Done: {apply['changed']} cells changed, {apply['dropped']} rows dropped, {verify['rows']} left."]
        lines += [f"Verified sums: {sums}."]
    lines += ["", "| why | proposed |", "|---|--:|", *(f"| {why} | {n} |" for why, n in propose["reasons"].items())]
    lines += ["", "| column | filled | different values |", "|---|--:|--:|"]
    lines += [f"| {name} | {one['filled']} | {one['different']} |" for name, one in profile["columns"].items()]
    page = Path(profile["folder"], "report.md")
    page.write_text("\n".join([*lines, ""]), "utf-8")
    print(f"written: {page}")
    return {"page": str(page), "refused": apply is None}


# ---- what is proposed ------------------------------------------------------------------------------------------------


def corrections(rows: Sequence[Row], columns: Mapping[str, str]) -> Iterator[Correction]:
    """Yield what is proposed, line by line: for each cell, then for a row that is there already."""
    readers: dict[str, Reader] = {name: READERS.get(kind, str) for name, kind in columns.items()}
    readers |= {name: spelling(rows, name) for name, kind in columns.items() if kind == "word"}
    first: dict[tuple[str, ...], int] = {}
    for line, cells in rows:
        clean: list[str] = []
        for name, was in cells.items():
            becomes, why = corrected(was, readers.get(name, str), columns.get(name, "text"))
            clean.append(becomes)
            if why:
                yield Correction(line, name, was, becomes, why)
        if (same := first.setdefault(tuple(clean), line)) != line:
            yield Correction(line, "", "", "", f"same as line {same}")


def corrected(was: str, read: Reader, kind: str) -> tuple[str, str]:
    """Return what becomes of a cell, and why: nothing where it is fine, itself where it cannot be read."""
    text = " ".join(was.split())
    if text.lower() in MISSING:
        return "", "missing"
    better = read(text) if text else ""
    if better is None:
        return was, f"unclear {kind}"
    return better, ", ".join(["blanks"] * (text != was) + [kind] * (better != text))


def spelling(rows: Iterable[Row], column: str) -> Reader:
    """Return what gives a word as most rows write it."""
    seen = Counter(" ".join(row.cells[column].split()) for row in rows)
    usual = {word.casefold(): word for word, _ in reversed(seen.most_common())}
    return lambda word: usual[word.casefold()]


def number(text: str) -> str | None:
    """Read a number with a point or a comma; `1,234` may be either, so it is left to the person.

    >>> number("−12,50"), number("1,234")
    ('-12.50', None)
    """
    plain = text.replace("−", "-").replace(",", ".")
    return plain if re.fullmatch(r"-?\d+(\.\d+)?", plain) and not re.search(r",\d{3}$", text) else None


def date(text: str) -> str | None:
    """Read a date; where the day and the month may be either way round, it is left to the person.

    >>> date("13/1/1900"), date("2/1/1900"), date("1 Apr 1900")
    ('1900-01-13', None, '1900-04-01')
    """
    found = {day for form in DATES if (day := _date(text, form))}
    return found.pop() if len(found) == 1 else None


def _date(text: str, form: str) -> str | None:
    try:
        return datetime.strptime(text, form).date().isoformat()
    except ValueError:
        return None


READERS: dict[str, Reader] = {"code": str.upper, "date": date, "number": number}

# ---- files -----------------------------------------------------------------------------------------------------------


def read(path: Path) -> list[Row]:
    """Read a table; a row that is longer or shorter than the head is refused."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        head = next(lines, [])
        rows = [(lines.line_num, cells) for cells in lines if cells]
    for line, cells in rows:
        if len(cells) != len(head):
            raise ValueError(f"line {line} of {path.name} has {len(cells)} cells, the head has {len(head)}")
    if not rows:
        raise ValueError(f"{path.name} has no rows")
    return [Row(line, dict(zip(head, cells, strict=True))) for line, cells in rows]


def read_corrections(path: Path) -> list[Correction]:
    """Read what the person left of the proposals; none is fine."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [Correction(int(row["line"]), *(row[name] for name in FIELDS[1:])) for row in csv.DictReader(file)]


def write(path: Path, head: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, head, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def total(texts: Iterable[str]) -> Decimal:
    """Add up what can be read as numbers."""
    return sum((Decimal(found) for text in texts if (found := number(text.strip()))), Decimal())
