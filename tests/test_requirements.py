"""The manifest of requirements, its report, and the marks that tie tests to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import requirement_report
from tests.requirement_report import Requirement

THREE = {
    "JB-001": Requirement("JB-001", "000", ("stated",), "A file."),
    "BL-031": Requirement("BL-031", "003", ("stated",), "A table."),
    "BL-032": Requirement("BL-032", "003", ("trap",), "No leak.", "impossible", "needs a second machine"),
    "BL-033": Requirement("BL-033", "003", ("trap",), "No loss."),
}


def test_the_manifest_loads_and_every_seed_document_is_in_it():
    requirements = requirement_report.load()

    assert {requirement.seed for requirement in requirements.values()} == {"000", "001", "002", "003", "004"}
    assert len(requirements) == 472


def test_no_test_names_an_unknown_requirement(requirement_marks: dict[str, list[str]]):
    assert requirement_report.unknown_ids(requirement_marks, requirement_report.load()) == []


def test_every_malformed_entry_is_named_at_once(tmp_path: Path):
    path = tmp_path / "requirements.toml"
    path.write_text(
        '[A-1]\nseed = "000"\nkind = ["stated"]\n'
        '[A-2]\nseed = "000"\nkind = ["odd"]\ntext = "x"\nstate = "late"\nreason = "y"\n'
        '[A-3]\nseed = "000"\nkind = ["trap"]\ntext = "x"\nstate = "wrong"\n'
    )

    with pytest.raises(ValueError, match="A-1: lacks text") as error:
        requirement_report.load(path)

    assert str(error.value).splitlines() == [
        "A-1: lacks text",
        "A-2: unknown kind odd",
        "A-2: unknown state late",
        "A-3: a state needs a reason",
    ]


def test_the_report_counts_tests_and_lists_what_is_open():
    marks = {"test_a": ["BL-031"], "test_b": ["BL-031", "BL-031"]}

    assert requirement_report.report(THREE, marks).splitlines() == [
        "seed 000: 0 of 1 shown, 1 open",
        "  open        JB-001",
        "",
        "seed 003: 1 of 3 shown, 1 open, 1 not possible",
        "  shown       BL-031 (2)",
        "  open        BL-033",
        "  impossible  BL-032: needs a second machine",
        "",
        "all seeds: 1 of 4 shown, 2 open, 1 not possible",
    ]


def test_the_brief_report_has_one_line_per_seed():
    assert requirement_report.report(THREE, {}, brief=True).splitlines() == [
        "seed 000: 0 of 1 shown, 1 open",
        "seed 003: 0 of 3 shown, 2 open, 1 not possible",
        "all seeds: 0 of 4 shown, 3 open, 1 not possible",
    ]


def test_a_count_stays_with_its_id_where_lines_are_filled():
    lines = requirement_report.wrapped("shown", [f"BL-{number:03} (1)" for number in range(40)])

    assert all(line.endswith("(1)") and len(line) <= 120 for line in lines)


def test_an_unknown_id_ends_the_report_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(requirement_report, "collect_marks", lambda: {"tests/test_x.py::test_y": ["BL-999"]})

    assert requirement_report.main([]) == 1
    assert capsys.readouterr().err == "tests/test_x.py::test_y names an unknown requirement: BL-999\n"


def test_known_ids_end_the_report_with_exit_code_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(requirement_report, "collect_marks", lambda: {"tests/test_x.py::test_y": ["BL-031"]})

    assert requirement_report.main(["--brief"]) == 0
    assert "seed 003: 1 of 128 shown" in capsys.readouterr().out
