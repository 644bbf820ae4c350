"""Every page of the documentation: its blocks run, its links lead somewhere, its generated parts are current."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from markdown_it import MarkdownIt

from docs import generate
from tests.docs.blocks import blocks_of, run_page
from tests.postgres import Server

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if path.exists()]
LINKED = [*RUN, *(path for path in sorted(ROOT.glob("*.md")) if path not in RUN)]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def service(server: Server, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on which the SQL of the page about PostgreSQL was typed, known to libpq as the page says."""
    (typed,) = [block.text for block in blocks_of(ROOT / "docs/howto/postgresql.md") if block.language == "sql"]
    first, _, second = typed.partition("\\connect work\n")
    for database, text in (("postgres", first), ("work", second)):
        with psycopg.connect(server.url(database), autocommit=True) as connection:
            for statement in filter(str.strip, text.split(";")):
                connection.execute(statement.encode())
    file = tmp_path_factory.mktemp("home") / "pg_service.conf"
    file.write_text(f"[work]\nhost={server.folder}\nuser=tasktrail\ndbname=work\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_blocks_of_a_page_run(page: Path, request: pytest.FixtureRequest):
    if page.name == "postgresql.md":
        request.getfixturevalue("service")
    run_page(page)


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_the_links_of_a_page_lead_to_files_of_the_project(page: Path):
    missing = [link for link in links_of(page) if not (page.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_generated_parts_of_a_page_are_current(page: Path):
    text = page.read_text(encoding="utf-8")

    assert generate.renewed(text) == text, "to fix: python3 dev.py docs"


def links_of(page: Path) -> list[str]:
    """Return the targets of links and pictures that name a file, without the heading they point to."""
    inline = [token for token in MarkdownIt().parse(page.read_text(encoding="utf-8")) if token.type == "inline"]
    targets = [
        str(child.attrs.get("href") or child.attrs.get("src"))
        for token in inline
        for child in token.children or ()
        if child.type in ("link_open", "image")
    ]
    parts = [urlsplit(target) for target in targets]
    return [unquote(part.path) for part in parts if not part.scheme and not part.netloc and part.path]
