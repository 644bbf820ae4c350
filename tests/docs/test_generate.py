"""The generator of documentation parts: what it replaces and what it leaves alone."""

from __future__ import annotations

import pytest

from docs import generate

STALE = "# Page\n\n<!-- generated: math:floor_of_nothing -->\nold\n<!-- end generated -->\n\ntail\n"


def test_only_what_stands_between_the_comments_is_replaced(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generate, "body", lambda module, function: f"\n{module} {function}\n\n")

    assert generate.renewed(STALE) == STALE.replace("old\n", "\nmath floor_of_nothing\n\n")


def test_renewing_twice_changes_nothing_more():
    once = generate.renewed("<!-- generated: os:getcwd -->\n<!-- end generated -->\n")

    assert generate.renewed(once) == once


def test_a_part_without_an_end_is_refused():
    with pytest.raises(ValueError, match="has no end"):
        generate.renewed("<!-- generated: os:getcwd -->\nold\n")


def test_a_function_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match="floor_of_nothing"):
        generate.renewed(STALE)
