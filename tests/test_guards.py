"""What must hold for the whole project and no single test would see: sizes, locks, licences, the environment."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
# They build the package and are no part of it, so NOTICE does not name them.
BUILD_ONLY = {"hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that are neither empty nor only a comment."""
    numbered = enumerate(source.splitlines(), 1)
    return {number for number, line in numbered if line.strip() and not line.strip().startswith("#")}


def docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    """Return the numbers of the lines of a function's docstring."""
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return set()
    return set(range(first.lineno, (first.end_lineno or first.lineno) + 1))


def function_sizes(source: str) -> Iterator[tuple[int, str]]:
    """Yield how many lines of code each function has, and its name."""
    lines = code_lines(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            span = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            yield len(span & lines - docstring_lines(node)), node.name


def pins(lock: str) -> dict[str, str]:
    """Return the versions of a lock file by package."""
    text = (ROOT / "requirements" / lock).read_text()
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_size_of_a_function_leaves_docstring_and_comments_out():
    source = 'def f():\n    """Say.\n\n    More.\n    """\n    # why\n    a = 1\n\n    return a\n'

    assert list(function_sizes(source)) == [(3, "f")]


def test_no_source_file_is_longer_than_500_lines():
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, ROOT / "dev.py"]}

    assert {name: size for name, size in sizes.items() if size > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_60_lines_of_code():
    found = [
        f"{name_of(path)}: {name} has {size}"
        for path in [*SOURCES, ROOT / "dev.py"]
        for size, name in function_sizes(path.read_text(encoding="utf-8"))
        if size > MAX_FUNCTION_LINES
    ]

    assert found == []


def test_only_config_reads_the_environment():
    reads = re.compile(r"\bos\.(environ|getenv|environb)\b|from os import .*\b(environ|getenv)\b")
    readers = [name_of(path) for path in SOURCES if reads.search(path.read_text(encoding="utf-8"))]

    assert [name for name in readers if not name.startswith("src/tasktrail/config")] == []


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_a_lock_file_has_hashes_and_no_address(lock: Path):
    text = lock.read_text()

    assert "://" not in text
    assert "--index-url" not in text
    # Every entry is continued by at least one hash.
    assert [line for line in text.splitlines() if "==" in line and not line.endswith("\\")] == []


def test_the_lock_file_of_npm_has_hashes_and_no_address():
    text = (ROOT / "tests" / "node" / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    named = {name: package for name, package in packages.items() if name}

    assert len(named) > 100
    assert [name for name, package in named.items() if "integrity" not in package] == []
    assert "://" not in text, "npm writes whom to fund, too: take `funding` out"


def test_the_lock_files_are_those_that_dev_py_writes():
    assert [lock.name for lock in LOCKS] == ["bench.txt", "dev.txt", "mcp.txt", "postgres.txt", "run.txt"]
    assert not (ROOT / "uv.lock").exists(), "it is full of addresses; requirements/*.txt are the locks"


def test_the_environment_of_tests_has_the_versions_that_users_get():
    assert pins("run.txt").items() <= pins("dev.txt").items()


def test_every_dependency_is_in_the_lock_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", dependency)[0].lower() for dependency in project["dependencies"]}

    assert names <= pins("run.txt").keys()


def test_notice_names_every_package_that_comes_along():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8").lower()

    assert [
        name for name in pins("run.txt").keys() - BUILD_ONLY if not re.search(rf"^{name}\b", notice, re.MULTILINE)
    ] == []


def test_the_package_says_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert metadata.version("tasktrail") == project["version"]
