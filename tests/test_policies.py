"""The rules that conftest.py lays on every test: skips are errors, marks are seen, the environment is clean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty project with our conftest.py and our settings of pytest."""
    shutil.copy(ROOT / "conftest.py", pytester.path)
    shutil.copy(ROOT / "pyproject.toml", pytester.path)
    return pytester


def test_a_skip_is_an_error(project: pytest.Pytester):
    project.makepyfile("import pytest\ndef test_x():\n    pytest.skip('no network')\n")

    result = project.runpytest_subprocess("test_a_skip_is_an_error.py")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_x skips itself; only a test marked platform_only may (Skipped: no network)*"])


def test_a_skip_marker_is_an_error(project: pytest.Pytester):
    project.makepyfile("import pytest\n@pytest.mark.skip\ndef test_x(): ...\n")

    project.runpytest_subprocess("test_a_skip_marker_is_an_error.py").assert_outcomes(errors=1)


def test_the_skip_of_a_whole_file_is_an_error(project: pytest.Pytester):
    project.makepyfile("import pytest\npytest.importorskip('no_such_module')\n")

    project.runpytest_subprocess("test_the_skip_of_a_whole_file_is_an_error.py").assert_outcomes(errors=1)


def test_a_test_marked_platform_only_may_skip_and_an_expected_failure_is_no_skip(project: pytest.Pytester):
    project.makepyfile(
        test_it="import pytest\n"
        "@pytest.mark.platform_only('locks of Linux')\ndef test_x():\n    pytest.skip('not here')\n"
        "@pytest.mark.xfail\ndef test_y():\n    assert False\n"
    )

    project.runpytest_subprocess("test_it.py").assert_outcomes(skipped=1, xfailed=1)


def test_requirement_ids_are_written_for_every_test_even_those_left_out(project: pytest.Pytester):
    project.makepyfile(
        test_it="import pytest\n"
        "pytestmark = pytest.mark.requirement('BL-031')\n"
        "@pytest.mark.crash\n@pytest.mark.requirement('BL-032', 'BL-033')\ndef test_x(): ...\n"
        "@pytest.mark.xfail\ndef test_y(): ...\n"
    )

    project.runpytest_subprocess("test_it.py", "--collect-only", "-m", "not crash", "--requirement-marks=marks.json")

    marks = json.loads((project.path / "marks.json").read_text())
    assert marks == {"test_it.py::test_x": ["BL-032", "BL-033", "BL-031"]}


def test_settings_of_the_person_who_runs_the_tests_are_not_seen(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TASKTRAIL_STORE", "a-real-store.db")
    monkeypatch.setenv("FORCE_COLOR", "1")
    project.makepyfile(
        test_it="import os\nfrom pathlib import Path\n"
        "def test_x(tmp_path):\n"
        "    assert 'TASKTRAIL_STORE' not in os.environ and 'FORCE_COLOR' not in os.environ\n"
        "    assert Path.cwd() == tmp_path and not list(tmp_path.iterdir())\n"
    )

    project.runpytest_subprocess("test_it.py").assert_outcomes(passed=1)
