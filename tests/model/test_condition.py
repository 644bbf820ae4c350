"""Conditions: what holds, what has no meaning, where a text that is none goes wrong, and that nothing is executed."""

from __future__ import annotations

import ast
import doctest
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import condition
from tasktrail.model.condition import MAX_CHARS, MAX_DEPTH, Condition
from tasktrail.model.errors import BadInput
from tasktrail.model.path import BadExpression

VALUES = {
    "fetch": {
        "count": 3,
        "items": ["a", "b"],
        "title": "Ada's",
        "none": None,
        "empty": [],
        "in": 1,
        "rows": [[1], [2]],
    },
    "params": {"dry": False, "day": "2026-01-01", "f": 1.5},
    "fetch-all": {"ok-x": True},
    "x-1": 5,
    "item": 2,
    "maybe": None,
    "one": {"a": 1},
    "same": {"a": 1.0},
    "more": {"a": 1, "b": 2},
}


def test_docstring_examples_hold() -> None:
    assert doctest.testmod(condition).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        "fetch.count > 0 and not params.dry",
        "fetch.count == 3",
        "fetch.count == 3.0",
        "fetch.count != 4",
        "fetch.count >= 3 and fetch.count <= 3",
        "fetch.count<4 and(fetch.count>2)",
        "params.f < 1.6 and params.f > -2 and params.f == 15e-1",
        "params.day < '2026-01-02'",
        'params.day == "2026-01-01"',
        r"fetch.title == 'Ada\'s'",
        'fetch.title == "Ada\'s"',
        r"'a\nb' != 'a\\nb'",
        "'Ada' in fetch.title",
        "'a' in fetch.items",
        "'c' not in fetch.items",
        "'count' in fetch",
        "item in [1, 2, 3,]",
        "fetch == fetch and fetch != params and fetch.rows.0 == [1]",
        "one != more and more != one and one == same",
        "item in [fetch.count, item]",
        "[1] in fetch.rows",
        "fetch.rows == [[1], [2]]",
        "fetch.rows != [[1]]",
        "[] == fetch.empty and not fetch.empty",
        "fetch.none == null and not fetch.none",
        "fetch-all.ok-x",  # no arithmetic: the minus belongs to the name
        "x-1 == 5",
        "fetch.in == 1",  # after a dot, and and in are names like others
        "fetch.rows.0.0 == 1",
        "not not fetch.count",
        "not 1 == 2",
        "not (false or null) and (true)",
        "true or false and false",  # and binds stronger than or
        "false and false or true",
        "maybe == null or maybe.count > 0",  # what stands behind is not asked
        "not (maybe != null and maybe.count > 0)",
        "(1 == 1) == true",
        "\n fetch.count\n > 0 \t",
    ],
)
def test_a_condition_holds(text: str) -> None:
    assert Condition.parse(text).holds(VALUES) is True
    assert Condition.parse(f"not ({text})").holds(VALUES) is False


@pytest.mark.parametrize(
    "text",
    ["1 == '1'", "1 == true", "0 == false", "null == false", "null == 0", "'' == null", "[] == ''", "[true] == [1]",
     "fetch == fetch.items", "1 in [true]", "fetch.rows == [[1], [true]]", "[1] == [1, 2]"],
)  # fmt: skip  # a table of words
def test_unlike_values_are_never_equal(text: str) -> None:
    assert not Condition.parse(text).holds(VALUES)


@pytest.mark.parametrize("text", ["null", "false", "0", "0.0", "''", "[]", "fetch.empty", "maybe"])
def test_a_value_alone_holds_unless_it_is_nothing(text: str) -> None:
    assert not Condition.parse(text).holds(VALUES)
    assert Condition.parse("'x'").holds(VALUES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("'a' < 1", "expected two numbers or two texts around <, got: a text and a number"),
        ("maybe > 0", "expected two numbers or two texts around >, got: null and a number"),
        ("true >= false", "expected two numbers or two texts around >=, got: a boolean and a boolean"),
        ("[1] <= [2]", "expected two numbers or two texts around <=, got: a list and a list"),
        ("1 in 'abc'", "expected a text before in, since a text follows, got: a number"),
        ("1 in fetch", "expected a text before in, since an object follows, got: a number"),
        ("1 in 5", "expected a list, a text or an object after in, got: a number"),
        ("'a' not in null", "expected a list, a text or an object after in, got: null"),
        ("fetch.cuont > 0", "there is no fetch.cuont: fetch has count, items, title, none, empty, in, rows; "
                            "did you mean count?"),
        ("maybe.count > 0", "there is no maybe.count: maybe is null, which has no parts"),
    ],
)  # fmt: skip  # a table
def test_what_cannot_be_compared_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadInput) as error:
        Condition.parse(text).holds(VALUES)

    assert error.value.message.endswith(f": {says}")
    assert error.value.message.startswith("condition ")


@pytest.mark.parametrize(
    ("text", "character", "what"),
    [
        ("", 1, "expected a value, got: the end"),
        ("a >", 4, "expected a value, got: the end"),
        ("a > > 1", 5, "expected a value, got: >"),
        ("a b", 3, "expected and, or, a comparison, or the end, got: b"),
        ("a and", 6, "expected a value, got: the end"),
        ("(a", 3, "expected ), got: the end"),
        ("a)", 2, "expected and, or, a comparison, or the end, got: )"),
        ("[1 2]", 4, "expected ], got: 2"),
        ("[1, a == 2]", 7, "expected ], got: =="),
        ("1 < a < 3", 7, "expected one comparison at a time, joined by and, got: <"),
        ("a not b", 3, "expected and, or, a comparison, or the end, got: not"),
        ("a && b", 3, "expected and, got: &&"),
        ("a || b", 3, "expected or, got: ||"),
        ("!a", 1, "expected not, got: !"),
        ("a = 1", 3, "expected ==, got: ="),
        ("a is null", 3, "expected and, or, a comparison, or the end, got: is; write =="),
        ("a AND b", 3, "expected and, or, a comparison, or the end, got: AND; write and"),
        ("a == None", 6, "expected a value, got: None; write null"),
        ("a == 'b", 6, "expected a text to end with '"),
        (r"a == '\d'", 7, r"expected \\, \', \", \n or \t, got: \d"),
        ("a == 012", 6, "expected a number, got: 012"),
        ("a == 3d", 6, "expected a number, got: 3d"),
        ("a == 1e999", 6, "expected a number that fits 64 bits, got: 1e999"),
        ("a + 1 > 2", 3, "expected a value or a comparison, got: +; there is no arithmetic"),
        ("a - 1 > 2", 3, "expected a value or a comparison, got: -; there is no arithmetic"),
        ("{a.b} > 1", 1, "expected a path without braces in a condition"),
        ("a..b", 2, "expected a value or a comparison, got: ."),
        ("f(x)", 2, "expected and, or, a comparison, or the end, got: ("),
        ("a[0]", 2, "expected and, or, a comparison, or the end, got: ["),
        ("a; b", 2, "expected a value or a comparison, got: ;"),
        ("é == 1", 1, "expected a value or a comparison, got: é"),
    ],
)
def test_a_text_that_is_no_condition_says_where(text: str, character: int, what: str) -> None:
    with pytest.raises(BadExpression) as error:
        Condition.parse(text)

    assert (error.value.what, error.value.offset + 1) == (what, character)


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "fetch.__class__()", "(lambda: 1)()", "[x for x in y]", "open('/etc/passwd')"],
)
def test_code_is_no_condition(text: str) -> None:
    with pytest.raises(BadExpression):
        Condition.parse(text)


def test_a_name_of_python_is_only_a_key() -> None:
    with pytest.raises(BadInput, match=r"there is no fetch\.__class__"):
        Condition.parse("fetch.__class__").holds(VALUES)


def test_nothing_in_the_module_can_execute_a_text() -> None:
    names = {
        node.id for node in ast.walk(ast.parse(Path(condition.__file__).read_text())) if isinstance(node, ast.Name)
    }

    assert names & {"eval", "exec", "compile", "getattr", "__import__"} == set()


def test_a_condition_knows_its_paths_and_where_they_begin() -> None:
    read = Condition.parse("a.b > 0 and (c in [d.0, 'e.f'] or a.b)")

    assert [(str(path), offset) for path, offset in read.mentions] == [("a.b", 0), ("c", 13), ("d.0", 19), ("a.b", 34)]
    assert [str(path) for path in read.paths] == ["a.b", "c", "d.0"]


def test_conditions_are_equal_when_their_texts_are() -> None:
    assert Condition.parse("a > 1") == Condition.parse("a > 1") != Condition.parse("a > 2")


# -------------------------------------------------------------------------------------------------------------- limits


def test_depth_has_a_limit_and_what_is_no_deeper_has_none() -> None:
    assert Condition.parse("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH).holds({})
    assert Condition.parse("not " * 990 + "1").holds({})
    assert Condition.parse(" and ".join(["1"] * 600)).holds({})
    assert Condition.parse(" or ".join(["(0)"] * 500)).holds({}) is False
    for opening in "([":
        with pytest.raises(BadExpression, match=f"at most {MAX_DEPTH} levels"):
            Condition.parse(opening * (MAX_DEPTH + 1))


def test_length_has_a_limit() -> None:
    assert Condition.parse("1" + " " * (MAX_CHARS - 1)).holds({})
    with pytest.raises(BadExpression, match="at most 4,000 characters, got: 4,001"):
        Condition.parse("1" * (MAX_CHARS + 1))


def test_values_may_be_nested_more_deeply_than_python_calls() -> None:
    deep: object = 1
    for _ in range(5_000):
        deep = [deep]

    assert Condition.parse("a == b").holds({"a": deep, "b": deep})


# ---------------------------------------------------------------------------------------------------------- properties

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)


def trees(inner: st.SearchStrategy[tuple[str, bool]]) -> st.SearchStrategy[tuple[str, bool]]:
    """Return conditions made of others, with what they are in Python."""
    pairs = st.tuples(inner, inner)
    return st.one_of(
        inner.map(lambda one: (f"not ({one[0]})", not one[1])),
        pairs.map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", two[0][1] and two[1][1])),
        pairs.map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", two[0][1] or two[1][1])),
    )


COMPARISONS: st.SearchStrategy[tuple[Any, Any]] = st.tuples(NUMBERS, NUMBERS) | st.tuples(TEXTS, TEXTS)
LEAVES = st.one_of(
    COMPARISONS.map(lambda two: (f"{written(two[0])} < {written(two[1])}", bool(two[0] < two[1]))),
    COMPARISONS.map(lambda two: (f"{written(two[0])}>={written(two[1])}", bool(two[0] >= two[1]))),
    COMPARISONS.map(lambda two: (f"{written(two[0])} == {written(two[1])}", two[0] == two[1])),
    st.tuples(TEXTS, st.lists(TEXTS, max_size=3)).map(
        lambda two: (f"{written(two[0])} in [{', '.join(map(written, two[1]))}]", two[0] in two[1])
    ),
)


def written(value: object) -> str:
    """Return a number or a text as a condition has it."""
    if not isinstance(value, str):
        return json.dumps(value)
    for plain, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\t", "\\t")):
        value = value.replace(plain, escaped)
    return f"'{value}'"


@given(st.recursive(LEAVES, trees, max_leaves=8))
def test_a_condition_is_what_python_would_say(case: tuple[str, bool]) -> None:
    text, expected = case

    assert Condition.parse(text).holds({}) is expected


@given(st.text(alphabet="ab.0-'\"\\()[],<>=! andortni{}+") | st.text(max_size=20))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    assert 0 <= place_of_fault(text) <= len(text)


def place_of_fault(text: str) -> int:
    """Return where a condition cannot be read; 0 when it can."""
    try:
        Condition.parse(text)
    except BadExpression as error:
        return error.offset
    return 0
