"""The tables of the store as their SQL describes them: what each column means, and how its text is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasktrail.store.queries import SQL_FOLDER

_TABLE = re.compile(r"(?P<comment>(?:^-- .*\n)*)^CREATE TABLE (?P<name>\w+) \(\n(?P<body>(?:^ .*\n)*)^\)", re.MULTILINE)
_COLUMN = re.compile(r"(?P<name>[a-z]\w*)\s+(?P<type>INTEGER|TEXT|REAL|BLOB)\b(?P<rest>.*)", re.DOTALL)
_REFERENCE = re.compile(r"REFERENCES (\w+) \((\w+)\)")

_ADDED = re.compile(
    r"(?P<comment>(?:-- [^\n]*\n)+)ALTER TABLE (?P<table>\w+) ADD COLUMN (?P<name>\w+) (?P<type>\w+)(?P<rest>[^;]*);"
)
_LOOSENED = re.compile(r"ALTER TABLE (?P<table>\w+) ALTER COLUMN (?P<name>\w+) DROP NOT NULL;")


@dataclass(slots=True)
class Column:
    """One column. `rest` is what stands behind its type; `comment` what the SQL says of it."""

    name: str
    type: str
    rest: str
    comment: str

    @property
    def kept(self) -> str:
        """How text is kept: `text` scrubbed, `data` exactly; `exact` are ids, names, hashes and words of our own."""
        marked = re.match(r"(text|data):", self.comment)
        return marked[1] if marked else "exact" if self.type == "TEXT" else ""

    @property
    def target(self) -> str | None:
        """The table it refers to by a FOREIGN KEY."""
        found = _REFERENCE.search(self.rest)
        return found[1] if found else None


@dataclass(slots=True)
class Table:
    """One table of the schema."""

    name: str
    comment: str
    columns: list[Column] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)


def schema() -> list[Table]:
    """Return all tables, in the order of the SQL."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((SQL_FOLDER / "sqlite").glob("*.sql"))]
    made = [_table(found) for text in texts for found in _TABLE.finditer(text)]
    by_name = {one.name: one for one in made}
    for found in (found for text in texts for found in _ADDED.finditer(text)):
        by_name[found["table"]].columns.append(_column(found))
    for found in (found for text in texts for found in _LOOSENED.finditer(text)):
        for column in by_name[found["table"]].columns:
            if column.name == found["name"]:
                column.rest = column.rest.replace("NOT NULL", "").strip()
    return made


def _column(found: re.Match[str]) -> Column:
    """A column that came later; what it means stands above it."""
    comment = " ".join(line.removeprefix("-- ") for line in found["comment"].splitlines()).removesuffix(".")
    return Column(found["name"], found["type"], found["rest"].strip(), comment[:1].lower() + comment[1:])


def _table(found: re.Match[str]) -> Table:
    comment = " ".join(line.removeprefix("-- ") for line in found["comment"].splitlines())
    made = Table(found["name"], comment)
    for text, comment in _statements(found["body"]):
        column = _COLUMN.fullmatch(text)
        if column:
            made.columns.append(Column(column["name"], column["type"], column["rest"].strip(), comment))
        else:
            made.rules.append(text)
    return made


def _statements(body: str) -> Iterator[tuple[str, str]]:
    """Columns and rules, each in one line, with its comment; one ends at the comma that no parenthesis holds."""
    text, comments = "", []
    for line in body.splitlines():
        words, _, comment = line.partition("--")
        text = f"{text} {words.strip()}".strip()
        comments.append(comment.strip())
        if text.endswith(",") and text.count("(") == text.count(")"):
            yield text.removesuffix(","), " ".join(filter(None, comments))
            text, comments = "", []
    yield text, " ".join(filter(None, comments))


def text_columns() -> Mapping[str, tuple[str, ...]]:
    """Return by table the columns whose words are scrubbed before they are stored."""
    kept = {one.name: tuple(column.name for column in one.columns if column.kept == "text") for one in schema()}
    return {name: columns for name, columns in kept.items() if columns}
