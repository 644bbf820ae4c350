"""What holds for every test, wherever it lies: a folder and an environment of its own, no silent skip, known marks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.objects import ObjectServer
    from tests.postgres import Server

MarksByTest = dict[str, list[str]]
MARKS = pytest.StashKey[MarksByTest]()
HAS_RAY = find_spec("ray") is not None
HAS_PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None
collect_ignore = [
    *([] if HAS_RAY else ["tests/ray"]),  # it is too large to be installed for everybody who runs the tests
    *([] if HAS_PGBOUNCER else ["tests/pgbouncer"]),  # a program of the system, which needs the superuser to install
]

# The same examples each time, so that a red run can be repeated; `--hypothesis-profile=default` looks further.
settings.register_profile("tasktrail", deadline=None, derandomize=True, database=None)
settings.load_profile("tasktrail")


# --------------------------------------------------------------------------------------------------- a clean place each


def pytest_configure() -> None:
    """Forget what the person who runs the tests has set: settings, colours, the width of a terminal."""
    for name in list(os.environ):
        if name == "TASKTRAIL_TEST_DSN":  # it says which server the tests use, and is no setting
            continue
        if name.startswith("TASKTRAIL_") or name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS"):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run each test in its own empty folder, away from the user's settings: a forgotten path finds no real store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for name in ("CONFIG", "DATA", "STATE", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(tmp_path_factory.getbasetemp() / "home"))
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server for all tests of this process."""
    from tests.postgres import a_server

    with a_server() as server:
        yield server


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """An object store for all tests of this process."""
    from tests.objects import an_object_server

    with an_object_server() as server:
        yield server


@pytest.fixture
def bucket(object_server: ObjectServer) -> Iterator[str]:
    """The URL of a bucket of one's own; this process and those it starts find it."""
    from tests.objects import a_bucket

    with a_bucket(object_server) as url:
        yield url


# ------------------------------------------------------------------------------------------------------- no silent skip


def pytest_report_header() -> list[str]:
    """Say whether the tests with what not everybody has are there."""
    return [
        f"tests/ray: {'collected' if HAS_RAY else 'not collected, since Ray is not installed'}",
        f"tests/pgbouncer: {'collected' if HAS_PGBOUNCER else 'not collected, since PgBouncer is not installed'}",
    ]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into an error unless the test is marked platform_only; an expected failure is no skip."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("platform_only") is None:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skips itself; only a test marked platform_only may ({why(report)})"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole file (importorskip, skip at module level) into an error."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} skips itself as a whole ({why(report)})"
    return report


def why(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason that a skip gave."""
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)


# ------------------------------------------------------------------------------------------------ marks of requirements


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which the requirement report learns which test shows what."""
    group = parser.getgroup("tasktrail")
    group.addoption("--requirement-marks", metavar="FILE", help="write the requirement ids of every test as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note the requirement ids of all tests, before `-m` and `-k` leave some out."""
    config.stash[MARKS] = {item.nodeid: ids for item in items if (ids := requirement_ids(item))}
    target = config.getoption("--requirement-marks")
    if target:
        Path(target).write_text(json.dumps(config.stash[MARKS]), encoding="utf-8")


def requirement_ids(item: pytest.Item) -> list[str]:
    """Return the requirement ids a test shows; a test that is expected to fail shows none."""
    if item.get_closest_marker("xfail") is not None:
        return []
    return [name for mark in item.iter_markers("requirement") for name in mark.args]


@pytest.fixture
def requirement_marks(request: pytest.FixtureRequest) -> MarksByTest:
    """The requirement ids of every collected test, by the test's name."""
    return request.config.stash[MARKS]
