"""Paths and templates: what they find, what they put in, and what they say when there is nothing."""

from __future__ import annotations

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import path
from tasktrail.model.errors import BadInput
from tasktrail.model.path import PATH, BadExpression, Template, ValuePath, kind_of

VALUES = {
    "fetch": {"items": ["a", "b"], "rows": [{"name": "Ada", "n": 1}], "0": "zero", "none": None},
    "params": {"day": "2026-01-01", "dry": False, "n": 3},
    "fetch-all": {"ok": True},
    "item": {"id": 7},
    "index": 0,
    "run": {"id": "r1"},
}
PATHS = st.from_regex(PATH, fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_docstring_examples_hold() -> None:
    assert doctest.testmod(path).failed == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("fetch.items", ["a", "b"]),
        ("params.day", "2026-01-01"),
        ("fetch.rows.0.name", "Ada"),
        ("fetch.0", "zero"),  # an object may have a key of digits
        ("fetch.none", None),
        ("fetch-all.ok", True),
        ("item.id", 7),
        ("index", 0),
        ("run.id", "r1"),
    ],
)
def test_a_path_leads_to_its_value(text: str, value: object) -> None:
    assert ValuePath.parse(text).value_in(VALUES) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fech.items", "there is no fech.items: what is there has fetch, params, fetch-all, item, index, run; "
                       "did you mean fetch?"),
        ("fetch.itms", "there is no fetch.itms: fetch has items, rows, 0, none; did you mean items?"),
        ("fetch.rows.1", "there is no fetch.rows.1: fetch.rows has 1 value, numbered from 0"),
        ("fetch.items.99999999999", "there is no fetch.items.99999999999: fetch.items has 2 values, numbered from 0"),
        ("fetch.rows.name", "there is no fetch.rows.name: fetch.rows is a list, whose values have numbers: "
                            "fetch.rows.0"),
        ("params.day.year", "there is no params.day.year: params.day is a text, which has no parts"),
        ("fetch.none.x", "there is no fetch.none.x: fetch.none is null, which has no parts"),
        ("index.0", "there is no index.0: index is a number, which has no parts"),
    ],
)  # fmt: skip  # one case after another
def test_a_path_that_leads_to_nothing_says_what_is_there(text: str, says: str) -> None:
    with pytest.raises(BadInput) as error:
        ValuePath.parse(text).value_in(VALUES)

    assert error.value.message == says


def test_an_index_of_more_digits_than_python_reads_leads_to_nothing() -> None:
    with pytest.raises(BadInput, match="has 2 values, numbered from 0"):
        ValuePath.parse(f"fetch.items.{'9' * 5_000}").value_in(VALUES)


def test_a_path_into_a_large_object_names_only_some_of_its_keys() -> None:
    values = {"big": {f"key{n}": n for n in range(5_000)}}

    with pytest.raises(BadInput, match=r"big has key0, key1, .*key7 and 4992 more; did you mean key9\?$"):
        ValuePath.parse("big.keyy").value_in(values)


@pytest.mark.parametrize(
    ("text", "character"),
    [("", 1), ("0", 1), ("0.a", 1), ("a..b", 3), ("a.", 2), (".a", 1), ("a b", 1), ("a.-b", 3), ("é", 1), ("a.1x", 3)],
)
def test_what_is_no_path_is_refused_with_its_place(text: str, character: int) -> None:
    with pytest.raises(BadExpression, match=rf"at character {character} of ") as error:
        ValuePath.parse(text)

    assert error.value.offset == character - 1


@given(PATHS)
def test_a_path_is_written_as_it_was_read(text: str) -> None:
    assert str(ValuePath.parse(text)) == text


@given(PATHS, JSON)
def test_a_path_finds_what_was_put_there(text: str, value: object) -> None:
    values = value
    for part in reversed(text.split(".")):
        values = {part: values}

    assert isinstance(values, dict)
    assert ValuePath.parse(text).value_in(values) == value


# ----------------------------------------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{params.day}", "2026-01-01"),
        ("{fetch.items}", ["a", "b"]),  # the value itself
        ("{params.n}", 3),
        ("{fetch.none}", None),
        ("{params.day}.csv", "2026-01-01.csv"),
        ("n={params.n} dry={params.dry} none={fetch.none}", "n=3 dry=false none=null"),
        ("got {fetch.rows}", 'got [{"name":"Ada","n":1}]'),
        ("{index}{index}", "00"),
        ("{{}}", "{}"),
        ("{{params.day}}", "{params.day}"),
        ("{{{params.day}}}", "{2026-01-01}"),
        ("}}{{", "}{"),
    ],
)
def test_a_template_is_filled(text: str, value: object) -> None:
    filled = Template.parse(text).fill(VALUES)

    assert filled == value
    assert kind_of(filled) == kind_of(value)


@pytest.mark.parametrize(
    ("text", "character", "what"),
    [
        ("{", 1, "expected { to belong to a {path}, or to be doubled"),
        ("a}", 2, "expected } to belong to a {path}, or to be doubled"),
        ("{a", 1, "expected { to belong to a {path}, or to be doubled"),
        ("{a{b}}", 1, "expected { to belong to a {path}, or to be doubled"),
        ("x{}", 3, "expected a path like fetch.items, got: ''; braces that are meant are doubled: {{ }}"),
        ('{"a": 1}', 2, "expected a path like fetch.items, got: '\"a\": 1'; braces that are meant are doubled: {{ }}"),
        ("{ a }", 2, "expected {a} without blanks inside"),
        ("{{{a}", 3, None),
        ("{a..b}", 4, "expected a path like fetch.items, got: a..b; braces that are meant are doubled: {{ }}"),
    ],
)
def test_a_template_that_cannot_be_read_says_where(text: str, character: int, what: str | None) -> None:
    if what is None:  # doubled, then a path
        assert Template.parse(text).paths == (ValuePath(("a",)),)
        return
    with pytest.raises(BadExpression) as error:
        Template.parse(text)

    assert (error.value.what, error.value.offset + 1) == (what, character)


def test_a_template_knows_its_paths_and_where_they_begin() -> None:
    template = Template.parse("{a.b} {{c}} {d} {a.b} {a}")

    assert [(str(path), offset) for path, offset in template.mentions] == [
        ("a.b", 1),
        ("d", 13),
        ("a.b", 17),
        ("a", 23),
    ]
    assert [str(path) for path in template.paths] == ["a.b", "d", "a"]
    assert template.roots == ("a", "d")


def test_a_template_says_which_path_leads_to_nothing() -> None:
    with pytest.raises(BadInput, match=r"there is no params\.dai: params has day, dry, n; did you mean day\?"):
        Template.parse("--day={params.dai}").fill(VALUES)


@given(st.text())
def test_a_text_whose_braces_are_doubled_is_filled_with_itself(text: str) -> None:
    assert Template.parse(text.replace("{", "{{").replace("}", "}}")).fill({}) == text


@given(st.lists(st.tuples(st.text(alphabet="ab{}. "), JSON), min_size=1))
def test_a_filled_template_is_its_texts_and_values_in_order(parts: list[tuple[str, object]]) -> None:
    text = "".join(f"{plain.replace('{', '{{').replace('}', '}}')}{{v{n}}}" for n, (plain, _) in enumerate(parts))
    values = {f"v{n}": value for n, (_, value) in enumerate(parts)}

    filled = Template.parse(f"{text}!").fill(values)

    inserted = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                for value in values.values())  # fmt: skip
    assert filled == "".join(f"{plain}{value}" for (plain, _), value in zip(parts, inserted, strict=True)) + "!"


@given(st.text(alphabet="{}a.-0 \n"))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    assert 0 <= place_of_fault(text) < max(len(text), 1)


def place_of_fault(text: str) -> int:
    """Return where a template cannot be read; 0 when it can."""
    try:
        Template.parse(text)
    except BadExpression as error:
        return error.offset
    return 0
