"""Which requirements of the seed documents are shown by a test, and which are open (`python3 dev.py requirements`).

A test says what it shows: `@pytest.mark.requirement("BL-031", "BL-032")`. The requirements are in requirements.toml
beside this file; one that cannot be met has `state = "impossible"` or `state = "wrong"`, and a `reason`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = Path(__file__).with_name("requirements.toml")
KINDS = {"stated", "relied-on", "expected", "extra", "future", "figure", "known-fix", "trap"}
STATES = {"impossible", "wrong"}
REQUIRED_KEYS = {"seed", "kind", "text"}
OPTIONAL_KEYS = {"state", "reason"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a seed document: what it asks for, and why it cannot be had when that is so."""

    id: str
    seed: str
    kinds: tuple[str, ...]
    text: str
    state: str | None = None
    reason: str | None = None


def load(path: Path = MANIFEST) -> dict[str, Requirement]:
    """Return the requirements by id, in the order of the file.

    Raises:
        ValueError: Entries are malformed; all of them are named.
    """
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    faults = [f"{name}: {fault}" for name, entry in entries.items() for fault in faults_of(entry)]
    if faults:
        raise ValueError("\n".join(faults))
    return {
        name: Requirement(
            name, entry["seed"], tuple(entry["kind"]), entry["text"], entry.get("state"), entry.get("reason")
        )
        for name, entry in entries.items()
    }


def faults_of(entry: Mapping[str, object]) -> list[str]:
    """Return what is wrong with one entry of the manifest.

    >>> faults_of({"seed": "003", "kind": ["trap"], "text": "No leak.", "state": "wrong"})
    ['a state needs a reason']
    """
    faults = [f"lacks {key}" for key in sorted(REQUIRED_KEYS - entry.keys())]
    faults += [f"unknown key {key}" for key in sorted(entry.keys() - REQUIRED_KEYS - OPTIONAL_KEYS)]
    kinds = entry.get("kind", [])
    faults += [f"unknown kind {kind}" for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind not in KINDS]
    if "state" in entry and entry["state"] not in STATES:
        faults.append(f"unknown state {entry['state']}")
    if ("state" in entry) != bool(entry.get("reason")):
        faults.append("a state needs a reason" if "state" in entry else "a reason needs a state")
    return faults


def unknown_ids(marks: Mapping[str, Sequence[str]], known: Iterable[str]) -> list[str]:
    """Return one sentence for each id that a test names and the manifest does not have."""
    ids = set(known)
    return [
        f"{test} names an unknown requirement: {name}"
        for test, names in marks.items()
        for name in names
        if name not in ids
    ]


def report(requirements: Mapping[str, Requirement], marks: Mapping[str, Sequence[str]], *, brief: bool = False) -> str:
    """Return, for each seed, what is shown and by how many tests, what is open, and what cannot be.

    Args:
        requirements: By id.
        marks: The ids that each test shows, by the test's name.
        brief: One line per seed and no ids.
    """
    counts = Counter(name for names in marks.values() for name in set(names))
    by_seed: dict[str, list[Requirement]] = {}
    for requirement in requirements.values():
        by_seed.setdefault(requirement.seed, []).append(requirement)
    blocks = [seed_block(seed, group, counts, brief=brief) for seed, group in sorted(by_seed.items())]
    total = headline("all seeds", list(requirements.values()), counts)
    return "\n".join([*blocks, total])


def seed_block(seed: str, group: Sequence[Requirement], counts: Mapping[str, int], *, brief: bool) -> str:
    """Return the lines about one seed document."""
    lines = [headline(f"seed {seed}", group, counts)]
    if brief:
        return lines[0]
    lines += wrapped("shown", [f"{r.id} ({counts[r.id]})" for r in group if counts.get(r.id)])
    lines += wrapped("open", [r.id for r in group if is_open(r, counts)])
    lines += [f"  {r.state:<10}  {r.id}: {r.reason}" for r in group if r.state]
    return "\n".join([*lines, ""])


def headline(title: str, group: Sequence[Requirement], counts: Mapping[str, int]) -> str:
    """Return the figures of a group of requirements in one line."""
    shown = sum(bool(counts.get(r.id)) for r in group)
    still_open = sum(is_open(r, counts) for r in group)
    cannot = sum(r.state is not None and not counts.get(r.id) for r in group)
    return f"{title}: {shown} of {len(group)} shown, {still_open} open" + (f", {cannot} not possible" if cannot else "")


def is_open(requirement: Requirement, counts: Mapping[str, int]) -> bool:
    """Tell whether a requirement still waits for a test."""
    return not counts.get(requirement.id) and requirement.state is None


def wrapped(label: str, words: Sequence[str]) -> list[str]:
    """Return words under a label, filled to the width of a page; nothing when there are none."""
    if not words:
        return []
    # A count must stay with its id at the end of a line.
    text = " ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
    indent = " " * 14
    filled = textwrap.fill(
        text, 120, initial_indent=f"  {label:<10}  ", subsequent_indent=indent, break_on_hyphens=False
    )
    return filled.replace("\N{NO-BREAK SPACE}", " ").splitlines()


def collect_marks() -> dict[str, list[str]]:
    """Return the requirement ids of all tests of the project, which are collected and not run.

    Raises:
        RuntimeError: The tests cannot be collected; the message is what pytest said.
    """
    with tempfile.TemporaryDirectory(prefix="tasktrail-marks-") as folder:
        target = Path(folder) / "marks.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"--requirement-marks={target}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the tests cannot be collected:\n{done.stdout}{done.stderr}")
        marks: dict[str, list[str]] = json.loads(target.read_text(encoding="utf-8"))
        return marks


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; the exit code is 1 when a test names an unknown id, or nothing could be collected."""
    parser = argparse.ArgumentParser(prog="dev.py requirements", description="Which requirements tests show.")
    parser.add_argument("--brief", action="store_true", help="one line per seed document")
    brief = parser.parse_args(arguments).brief
    try:
        requirements, marks = load(), collect_marks()
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    unknown = unknown_ids(marks, requirements)
    if not unknown:
        print(report(requirements, marks, brief=brief))
    print("\n".join(unknown), file=sys.stderr, end="\n" if unknown else "")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
