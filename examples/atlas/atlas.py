"""The work of the atlas: read what is installed, and find out about it.

Nothing here knows Tasktrail: functions take values and return what JSON can hold. `pages.py` writes it down.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import site
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TypedDict, TypeVar

NOT_STATED = "not stated"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*"
    r"(?:@\s*\S+|\(?(?P<versions>[^;()@]*)\)?)\s*(?:;\s*(?P<marker>.*))?"
)
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
T = TypeVar("T")


class Need(TypedDict):
    """One distribution that another one requires."""

    key: str
    name: str
    versions: str  # ">=2,<3"; empty: any
    marker: str  # the condition as written; empty: always


class Entry(TypedDict):
    """One line of the inventory: enough to find the distribution again."""

    key: str
    name: str
    folder: str
    home: str


class Inventory(TypedDict):
    """What a run is about: taken once, so that a run that goes on has the same steps."""

    entries: list[Entry]
    letters: list[str]
    nameless: int


class Facts(TypedDict):
    """What research finds out about one distribution."""

    key: str
    name: str
    version: str
    summary: str
    licence: str
    python: str
    url: str
    home: str
    files: int | None
    size_bytes: int | None
    needs: list[Need]
    elsewhere: list[Need]  # required under a condition that does not hold on this machine
    extras: dict[str, list[str]]
    commands: list[str]
    entry_points: dict[str, list[str]]
    gaps: list[str]  # what could not be read, and why


class Dependant(TypedDict):
    """One distribution that requires another one."""

    key: str
    name: str
    version: str
    asks_for: str  # ">=2,<3"; empty: any


class Profile(TypedDict):
    """What one page says: the facts, and how they are tied to others."""

    facts: Facts
    names: dict[str, str]  # of those of its needs that are installed, by key
    dependants: list[Dependant]


class Card(TypedDict):
    """A profile in one line."""

    key: str
    name: str
    version: str
    summary: str
    licence: str
    files: int | None
    size_bytes: int | None
    needs: list[str]


# ---- names and requirements ----------------------------------------------------------------------------------------


def normalise(name: str) -> str:
    """Return the name that package indexes compare by.

    Source: PEP 503.

    >>> normalise("Ruamel.YAML_clib")
    'ruamel-yaml-clib'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def letter_of(key: str) -> str:
    """Return the letter page of a normalised name: a to z, or `digits`."""
    return key[0] if key[0].isalpha() else "digits"


def read_need(line: str) -> Need | None:
    """Read one `Requires-Dist` line; None when it is no requirement."""
    found = _REQUIREMENT.fullmatch(line)
    if found is None:
        return None
    name, versions, marker = (found[group] or "" for group in ("name", "versions", "marker"))
    return Need(key=normalise(name), name=name, versions=re.sub(r"\s+", "", versions), marker=marker.strip())


def this_machine() -> dict[str, str]:
    """Return the variables that markers speak of.

    Source: PEP 508, environment markers.
    """
    return {
        "extra": "",
        "implementation_name": sys.implementation.name,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_system": platform.system(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def marker_holds(marker: str, machine: Mapping[str, str]) -> bool:
    """Tell whether a marker holds on a machine; an empty or unreadable one counts as holding.

    Markers are parsed, never evaluated as code.

    >>> marker_holds('python_version < "3.10" or os_name == "nt"', {"python_version": "3.9", "os_name": "posix"})
    True
    """
    try:
        return not marker or _truth(ast.parse(marker, mode="eval").body, machine)
    except (SyntaxError, ValueError, KeyError, RecursionError):
        return True


def _truth(node: ast.expr, machine: Mapping[str, str]) -> bool:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_truth(part, machine) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_truth(part, machine) for part in parts)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            versions = any(isinstance(side, ast.Name) and side.id.startswith("python_") for side in (left, right))
            return _compare(_word(left, machine), operator, _word(right, machine), versions)
    raise ValueError(f"no marker: {ast.dump(node)}")


def _word(node: ast.expr, machine: Mapping[str, str]) -> str:
    match node:
        case ast.Name(id=name):
            return machine[name]
        case ast.Constant(value=str(text)):
            return text
    raise ValueError(f"no word of a marker: {ast.dump(node)}")


def _compare(left: str, operator: ast.cmpop, right: str, versions: bool) -> bool:
    if isinstance(operator, (ast.In, ast.NotIn)):
        return (left in right) is isinstance(operator, ast.In)
    a, b = (_numbers(left), _numbers(right)) if versions else (left, right)
    answers = {ast.Eq: a == b, ast.NotEq: a != b, ast.Lt: a < b, ast.LtE: a <= b, ast.Gt: a > b, ast.GtE: a >= b}  # type: ignore[operator]  # both sides are of one kind
    return answers[type(operator)]


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release numbers without trailing zeros, so that 3 and 3.0 are equal."""
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def sort_needs(lines: Iterable[str], machine: Mapping[str, str]) -> tuple[list[Need], list[Need], dict[str, list[str]]]:
    """Sort requirement lines into needed here, needed elsewhere, and by extra."""
    here: dict[str, Need] = {}
    elsewhere: dict[str, Need] = {}
    extras: defaultdict[str, set[str]] = defaultdict(set)
    for need in filter(None, map(read_need, lines)):
        asked = _EXTRA.findall(need["marker"])
        for extra in asked:
            extras[extra].add(need["name"])
        if not asked:
            (here if marker_holds(need["marker"], machine) else elsewhere).setdefault(need["key"], need)
    only_elsewhere = [elsewhere[key] for key in sorted(elsewhere) if key not in here]
    by_extra = {extra: sorted(extras[extra]) for extra in sorted(extras)}
    return [here[key] for key in sorted(here)], only_elsewhere, by_extra


# ---- the inventory -------------------------------------------------------------------------------------------------


def folders() -> list[str]:
    """Return where distributions may lie: the import path, then the base interpreter's own folders."""
    base = {"base": sys.base_prefix, "platbase": sys.base_prefix}
    own = [sysconfig.get_path(kind, vars=base) for kind in ("purelib", "platlib")]
    found = [*sys.path, *own, *site.getsitepackages([sys.base_prefix])]
    return list(dict.fromkeys(folder for folder in found if folder and Path(folder).is_dir()))


def take_inventory(paths: Sequence[str]) -> Inventory:
    """List the distributions below some folders, and count what lies there but has no usable name.

    A name met twice counts once; the first folder wins, as it does for `import`.
    """
    entries: dict[str, Entry] = {}
    nameless = 0
    for distribution in metadata.distributions(path=list(paths)):
        name = _name(distribution)
        if not _NAME.fullmatch(name) or len(name) > 128:  # such a word must not become a file name
            nameless += 1
        elif (key := normalise(name)) not in entries:
            folder = str(distribution.locate_file(""))
            entries[key] = Entry(key=key, name=name, folder=folder, home=_home_of(folder))
    keys = sorted(entries)
    letters = sorted(set(map(letter_of, keys)))
    return Inventory(entries=[entries[key] for key in keys], letters=letters, nameless=nameless)


def save(page: Path, text: str) -> None:
    """Write a page whole or not at all: a kill in the middle leaves no half page behind."""
    page.parent.mkdir(parents=True, exist_ok=True)
    part = page.with_name(f".{page.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(page)


def _name(distribution: metadata.Distribution) -> str:
    return _reading("name", lambda: str(distribution.metadata["Name"] or ""), []) or ""


def _home_of(folder: str) -> str:
    in_environment = sys.prefix != sys.base_prefix and Path(folder).is_relative_to(sys.prefix)
    return "this environment" if in_environment else "the interpreter"


# ---- research ------------------------------------------------------------------------------------------------------


def research(entry: Entry) -> Facts:
    """Read what the metadata say about one distribution.

    Raises: LookupError when it is no longer installed.
    """
    found = _distribution(entry)
    gaps: list[str] = []
    lines = _reading("requirements", lambda: found.requires, gaps) or []
    needs, elsewhere, extras = sort_needs(lines, this_machine())
    files, size_bytes = _reading("files", lambda: _extent(found), gaps) or (None, None)
    points = _reading("entry points", lambda: _entry_points(found), gaps) or {}
    about = _reading("metadata", lambda: _headers(found), gaps) or {}
    return Facts(
        key=entry["key"],
        name=entry["name"],
        version=_one(about, "Version") or "?",
        summary=_one(about, "Summary"),
        licence=licence_of(about),
        python=_one(about, "Requires-Python") or "any",
        url=url_of(about),
        home=entry["home"],
        files=files,
        size_bytes=size_bytes,
        needs=[need for need in needs if need["key"] != entry["key"]],  # some ask for extras of their own
        elsewhere=elsewhere,
        extras=extras,
        commands=points.pop("console_scripts", []),
        entry_points=points,
        gaps=gaps,
    )


def _distribution(entry: Entry) -> metadata.Distribution:
    """Find it by name in its folder; by looking at all of them when its folder's name does not say its own."""
    for found in metadata.distributions(name=entry["name"], path=[entry["folder"]]):
        return found
    for found in metadata.distributions(path=[entry["folder"]]):
        if normalise(_name(found)) == entry["key"]:
            return found
    raise LookupError(f"{entry['name']} was in the inventory and is no longer installed")


def _reading(what: str, read: Callable[[], T], gaps: list[str]) -> T | None:
    """Read one part of foreign metadata; what cannot be read is None, named in the gaps, and stops nothing."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  foreign files: any parser may fail in any way
        gaps.append(f"{what}: {type(error).__name__}: {error}")
        return None


def _headers(distribution: metadata.Distribution) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    message = distribution.metadata
    for header in ("Version", "Summary", "License-Expression", "License", "Classifier", "Requires-Python", "Home-page"):
        found[header] = [str(value) for value in message.get_all(header) or []]
    found["Project-URL"] = [str(value) for value in message.get_all("Project-URL") or []]
    return dict(found)


def _one(about: Mapping[str, list[str]], header: str) -> str:
    """Return a header's first value on one line, empty where it is missing or only says UNKNOWN."""
    text = " ".join((about.get(header) or [""])[0].split())
    return "" if text == "UNKNOWN" else text


def licence_of(about: Mapping[str, list[str]]) -> str:
    """Return the licence in a few words: the expression, else the classifiers, else a short licence field."""
    named = [line.rpartition(" :: ")[2] for line in about.get("Classifier", []) if line.startswith("License :: ")]
    named = [name for name in named if name != "OSI Approved"]
    text = _one(about, "License")
    return _one(about, "License-Expression") or ", ".join(named) or (text if 0 < len(text) <= 60 else NOT_STATED)


def url_of(about: Mapping[str, list[str]]) -> str:
    """Return the best address of the project: its home page, its source, or the first one given; empty when none."""
    pairs = [line.partition(",")[::2] for line in about.get("Project-URL", [])]
    by_label = {label.strip().lower(): url.strip() for label, url in pairs}
    best = [by_label[label] for label in ("homepage", "home", "source", "repository") if label in by_label]
    url = next(iter([*best, _one(about, "Home-page"), *by_label.values()]), "")
    return url if url.startswith(("https://", "http://")) and not set(url) & set(" <>|") else ""


def _extent(distribution: metadata.Distribution) -> tuple[int | None, int | None]:
    """Return the number of files and their size as recorded at installation; None where nothing is recorded."""
    files = distribution.files
    if files is None:
        return None, None
    sizes = [file.size for file in files if file.size is not None]
    return len(files), sum(sizes) if sizes else None


def _entry_points(distribution: metadata.Distribution) -> dict[str, list[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for point in distribution.entry_points:
        found[point.group].add(point.name)
    return {group: sorted(found[group]) for group in sorted(found)}


def tie(found: Sequence[Facts]) -> list[Profile]:
    """Lay beside each distribution what needs it, and the names of what it needs."""
    names = {facts["key"]: facts["name"] for facts in found}
    dependants: defaultdict[str, list[Dependant]] = defaultdict(list)
    for facts in found:
        for need in facts["needs"]:
            who = Dependant(key=facts["key"], name=facts["name"], version=facts["version"], asks_for=need["versions"])
            dependants[need["key"]].append(who)
    return [Profile(facts=facts, names=_named(facts, names), dependants=dependants[facts["key"]]) for facts in found]


def _named(facts: Facts, names: Mapping[str, str]) -> dict[str, str]:
    return {need["key"]: names[need["key"]] for need in facts["needs"] if need["key"] in names}


# ---- the mirror and the dictionary ---------------------------------------------------------------------------------


def licence_families(attempt: int) -> dict[str, list[str]]:
    """Return which words name which family of licences, from a mirror that answers at the third attempt.

    The mirror is played, so that the demonstration needs no network and fails the same way on every machine.

    Raises: ConnectionError at the first two attempts.
    """
    if attempt < 3:
        raise ConnectionError(f"the mirror did not answer (attempt {attempt}; it is played, and answers at the third)")
    return {  # the first that fits counts: of a choice, the most liberal
        "permissive": [
            "mit",
            "bsd",
            "0bsd",
            "apache",
            "isc",
            "psf",
            "python software",
            "zlib",
            "unlicense",
            "public domain",
        ],
        "weak copyleft": ["lgpl", "gnu lesser", "mpl", "mozilla"],
        "copyleft": ["gpl", "agpl", "gnu general", "gnu affero", "eupl"],
    }


def family_of(licence: str, families: Mapping[str, Sequence[str]]) -> str:
    """Return the first family one of whose words begins a word of the licence; `other` when none does."""
    if licence == NOT_STATED:
        return NOT_STATED
    named = (family for family, words in families.items() if re.search(rf"\b({'|'.join(words)})", licence.lower()))
    return next(named, "other")


def unknown_words(cards: Iterable[Card], dictionary: Path) -> list[str]:
    """Return the words of all summaries that a word list, one word a line, does not know.

    Raises: FileNotFoundError when there is no word list.
    """
    if not dictionary.is_file():
        raise FileNotFoundError(f"no word list {dictionary.name} beside the pages, so the spelling was not checked")
    known = set(dictionary.read_text(encoding="utf-8").lower().split())
    said = {word for card in cards for word in re.findall(r"[a-z]{4,}", card["summary"].lower())}
    return sorted(said - known)
