"""Strict YAML: which values texts have, what is refused and where, and that size and depth are bounded."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasktrail.formats import yaml_load
from tasktrail.formats.yaml_load import MAX_CHARS, MAX_DEPTH, Fault, Source, load, load_node
from tasktrail.model.errors import BadInput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)
PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Cs", "Co"], exclude_characters="\ufeff")


def read(text: str) -> tuple[object, list[Fault]]:
    """Return a text's value, None when there is none, and what is wrong with it."""
    faults: list[Fault] = []
    node = load_node(Source(text, "a.yaml"), faults)
    return None if node is None else node.to_json(), faults


def places(text: str) -> list[str]:
    """Return what is wrong with a text, as `line:column: what`."""
    return [f"{line + 1}:{column + 1}: {what}" for line, column, what in read(text)[1]]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("NO", "NO"),
        ("012", "012"), ("0x1F", "0x1F"), ("0o17", "0o17"), ("1_000", "1_000"), ("1:30", "1:30"),
        ("12:30:45", "12:30:45"), ("2026-01-01", "2026-01-01"), ("+1", "+1"), (".5", ".5"), ("1.", "1."),
        (".inf", ".inf"), (".nan", ".nan"), ("1.10.1", "1.10.1"), ("-a", "-a"), ("=", "="),
        ("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-7", -7), ("12", 12), ("1.5", 1.5), ("-0.5", -0.5), ("1e3", 1000.0), ("1E-2", 0.01),
        ("'no'", "no"), ('"12"', "12"), ("'null'", "null"), ('""', ""), ("two words", "two words"),
    ],
)  # fmt: skip  # a table of words
def test_only_what_json_has_is_more_than_text(scalar: str, value: object) -> None:
    assert read(f"a: {scalar}") == ({"a": value}, [])


@pytest.mark.parametrize("key", ["on", "no", "true", "null", "12", "1:30", "2026-01-01"])
def test_a_key_is_always_a_text(key: str) -> None:
    assert read(f"{key}: 1") == ({key: 1}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", ["3:1: expected each key once, got: a again, after line 1"]),
        ("x: {k: 1, k: 1}", ["1:11: expected each key once, got: k again, after line 1"]),
        ("a: &x 1\nb: *x", ["1:4: expected no anchor, got: &x; write the value itself",
                            "2:4: expected no alias, got: *x; write the value itself"]),
        ("a: &x [1]", ["1:4: expected no anchor, got: &x; write the value itself"]),
        ("<<: {a: 1}", ["1:1: expected no merge key, got: <<; write the keys themselves"]),
        ("a: !!str 1\nb: !x [1]\nc: ! y",
         [f"{n}:4: expected no tag (a word after !); for a text put quotes around it" for n in (1, 2, 3)]),
        ("a: !!python/object/apply:os.system [x]",
         ["1:4: expected no tag (a word after !); for a text put quotes around it"]),
        ("? [a]\n: 1", ["1:3: expected a key to be a text; put quotes around braces and brackets that belong to one"]),
        ("a: {{ b }}", ["1:5: expected a key to be a text; put quotes around braces and brackets that belong to one"]),
        ('"": 1', ["1:1: expected a key, got: nothing"]),
        ("a: 1\n---\nb: 1", ["2:1: expected one document, got: a second one"]),
        ("", ["1:1: expected a mapping, got: nothing"]),
        ("# only words\n", ["1:1: expected a mapping, got: nothing"]),
        ("a: b: c", ["1:5: this is no YAML: mapping values are not allowed in this context"]),
        ("a:\n\t- b", ["2:1: this is no YAML: found character that cannot start any token"
                       "; indent with spaces, not with tabs"]),
        ("a: @b", ["1:4: this is no YAML: found character that cannot start any token"]),
        ("a: [1,\nb", ["3:1: this is no YAML: did not find expected ',' or ']' while parsing a flow sequence "
                       "that begins in line 1"]),
        ("a: 1e999", ["1:4: expected a number that fits 64 bits, got: 1e999"]),
        ("a: " + "9" * 5_000, ["1:4: expected a number of fewer digits, got: 5,000"]),
        ("a: 'x\0'", ["1:6: expected printable characters, got: U+0000"]),
        ("a: 1\nb: \ud800", ["2:4: expected printable characters, got: U+D800"]),
    ],
)  # fmt: skip  # a text and what is wrong with it
def test_what_is_refused_has_a_place(text: str, expected: list[str]) -> None:
    assert places(text) == expected


def test_a_byte_order_mark_is_skipped_and_moves_no_column() -> None:
    assert read("\ufeffa: 1") == ({"a": 1}, [])
    assert places("\ufeffa: @") == ["1:4: this is no YAML: found character that cannot start any token"]


def test_a_byte_order_mark_is_not_shown() -> None:
    error = Source("\ufeffa: @", "w.yaml").refusal([Fault(0, 3, "here")], "is wrong")

    assert error.details[0].splitlines()[1:] == ["1 | a: @", "  |    ^"]


def test_a_column_counts_characters_not_bytes() -> None:
    assert places('"日本": &x 1') == ["1:7: expected no anchor, got: &x; write the value itself"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "{", "? "])
def test_depth_is_bounded_before_it_costs_time(opening: str) -> None:
    text = opening * (MAX_CHARS // len(opening))
    begin = time.perf_counter()

    assert places(text)[-1].endswith((f"expected at most {MAX_DEPTH} levels of nesting", "belong to one"))
    assert time.perf_counter() - begin < 2


def test_values_at_the_greatest_depth_are_read() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH)[1] == []
    assert places("[" * (MAX_DEPTH + 1)) == [f"1:{MAX_DEPTH + 1}: expected at most {MAX_DEPTH} levels of nesting"]


def test_length_is_bounded() -> None:
    assert places("a" * (MAX_CHARS + 1)) == ["1:1: expected at most 4,194,304 characters, got: 4,194,305"]


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasktrail.formats import yaml_events

    monkeypatch.setattr(yaml_events, "MAX_NODES", 5)

    assert read("[1, 2, 3, 4]")[1] == []
    assert places("[1, 2, 3, 4, 5]") == ["1:14: expected at most 5 values"]


def test_an_alias_bomb_stays_small() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    value, faults = read("\n".join(lines))

    assert len(json.dumps(value)) < 10_000
    assert len(faults) == 12 + 11 * 10


# -------------------------------------------------------------------------------------------------------- the error


def test_the_error_shows_each_place_in_order_with_a_caret() -> None:
    source = Source("a: 1\nb:  no\n", "w.yaml")

    error = source.refusal([Fault(1, 4, "second"), Fault(0, 0, "first"), Fault(1, 4, "second")], "is wrong", "a hint")

    assert str(error) == (
        "w.yaml is wrong: 2 faults\n"
        "  - w.yaml:1:1: first\n    1 | a: 1\n      | ^\n"
        "  - w.yaml:2:5: second\n    2 | b:  no\n      |     ^"
    )
    assert error.hint == "a hint"


def test_a_long_line_is_shown_around_the_place() -> None:
    error = Source("x" * 5_000 + "!" + "y" * 5_000, "w.json").refusal([Fault(0, 5_000, "here")], "is wrong")

    _, line, caret = error.details[0].splitlines()
    assert len(line) < 120
    assert line[caret.index("^")] == "!"


def test_a_tab_in_a_line_moves_no_caret() -> None:
    error = Source("a:\t\x1b[31mx", "w.yaml").refusal([Fault(0, 3, "here")], "is wrong")

    _, line, caret = error.details[0].splitlines()
    assert line == "1 | a:  [31mx"
    assert caret == "  |    ^"


def test_many_faults_are_counted_not_shown() -> None:
    error = Source("a\n" * 100, "w.yaml").refusal([Fault(n, 0, "here") for n in range(100)], "is wrong")

    assert error.message == "w.yaml is wrong: 100 faults"
    assert len(error.details) == 51
    assert error.details[-1] == "and 50 more"


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("a: hello", 2, (0, 5)),
        ("a: 'hello'", 2, (0, 6)),
        ('a: "hello"', 2, (0, 6)),
        ("a: 'it''s'", 4, (0, 3)),  # escaped: the characters are no longer where they are written
        ("a: hel\n  lo", 5, (0, 3)),
        ("a: |\n  hello", 2, (0, 3)),
    ],
)
def test_a_place_inside_a_scalar_is_exact_where_it_can_be(text: str, offset: int, place: tuple[int, int]) -> None:
    source = Source(text, "w.yaml")
    node = load_node(source, [])

    assert node is not None
    assert node.members is not None
    assert source.place_of(node.members["a"], offset) == place


# ------------------------------------------------------------------------------------------------------- properties


@given(JSON)
def test_json_is_read_as_json(value: object) -> None:
    text = json.dumps({"value": value}, ensure_ascii=True)
    assert read(text) == ({"value": value}, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\ud83d\ude00\uD83D\uDE00"}', "😀😀"),
        (r'{"a": "\\ud83d\\ude00"}', r"\ud83d\ude00"),  # a backslash itself
        (r'{"a": "\\\ud83d\ude00"}', "\\😀"),
        (r"a: '\ud83d\ude00'", r"\ud83d\ude00"),  # no JSON, and no escapes in such quotes
    ],
)
def test_characters_that_json_escapes_as_two_are_one(text: str, value: str) -> None:
    assert read(text) == ({"a": value}, [])


@pytest.mark.parametrize("text", [r'{"a": "\ud83d"}', r'{"a": "\\ud83d\ude00"}'])
def test_half_of_such_a_character_is_refused(text: str) -> None:
    assert places(text)[0].endswith("while parsing a quoted scalar that begins in line 1")


@given(st.text(PRINTABLE))
def test_any_text_is_read_or_refused(text: str) -> None:
    value, faults = read(text)

    assert faults or value is not None or text.strip()
    lines = len(yaml_load.Source(text, "x").lines)
    assert all(0 <= fault.line <= lines and fault.column >= 0 for fault in faults)
    assert Source(text, "x").refusal(faults, "is wrong").details or not faults


# -------------------------------------------------------------------------------------------------------- plain values


@given(st.text(PRINTABLE) | st.text("ab:-?#[]{},|>+'\"&*!<~1 \t\n\r\x85\ufeff\x07", max_size=24))
@example("a: &x 1")
@example("a: !x")
@example("a: *x")
@example("<<: 1")
@example("'<<': 1")
@example("? [a]")
@example("'': 1")
@example("a\n--- b")
@example("a: 1\na: 2")
@example("9" * 4001)
@example("-1e999")
@example("\ud800")
def test_a_value_is_that_of_the_nodes_and_refused_where_they_are(text: str) -> None:
    value, faults = read(text)
    is_empty = faults == [Fault(0, 0, "expected a mapping, got: nothing")]
    if faults and not is_empty:
        with pytest.raises(BadInput) as caught:
            load(text, "a.yaml")
        assert caught.value.details == Source(text, "a.yaml").refusal(faults, "cannot be read").details
        return

    assert json.dumps(load(text, "a.yaml")) == json.dumps(value)


@pytest.mark.parametrize("text", ["", "\ufeff", "# mine\n", "---\n", "~"])
def test_a_text_with_nothing_in_it_is_null(text: str) -> None:
    assert load(text, "a.yaml") is None


def test_all_faults_of_a_value_are_named_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        load("a: &x 1\nb: *x\n", "a.yaml")

    assert caught.value.message == "a.yaml cannot be read: 2 faults"
    assert (
        caught.value.details[1] == "a.yaml:2:4: expected no alias, got: *x; write the value itself\n2 | b: *x\n  |    ^"
    )


def test_a_caller_may_permit_a_longer_text() -> None:
    text = "a: 1 #".ljust(MAX_CHARS + 1, "x")

    assert load(text, "a.yaml", len(text)) == {"a": 1}
    with pytest.raises(BadInput) as caught:
        load(text, "a.yaml")
    assert caught.value.details[0].startswith("a.yaml:1:1: expected at most 4,194,304 characters, got: 4,194,305")


@pytest.mark.parametrize(
    "text",
    [
        "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "a: [1, 2]",
        "a: [1, 2, 3]",
    ],
)
def test_depth_and_number_of_values_are_bounded_as_those_of_nodes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasktrail.formats import yaml_events, yaml_values

    for module in (yaml_events, yaml_values):
        monkeypatch.setattr(module, "MAX_NODES", 5 if text[0] == "a" else 1000)
    value, faults = read(text)

    if not faults:
        assert load(text, "a.yaml") == value
        return
    with pytest.raises(BadInput, match="cannot be read: 1 fault"):
        load(text, "a.yaml")
