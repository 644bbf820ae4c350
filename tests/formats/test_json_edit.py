"""Reading JSON strictly, and editing it so that only the characters of what changes are replaced."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.formats import json_edit, json_load
from tasktrail.formats.json_edit import REMOVE, apply, difference, edit, load, places, position, same
from tasktrail.model.errors import BadInput

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
KEYS = st.text(max_size=3) | st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)
STYLES = st.sampled_from(
    [
        {"indent": 2},
        {"indent": 4},
        {"indent": "\t"},
        {"indent": 0},
        {"indent": 2, "separators": (",", " : ")},
        {"indent": None},
        {"indent": None, "separators": (",", ":")},
    ]
)
FRAMES = st.sampled_from(["{}", "{}\n", "\ufeff{}\n", "{}\r\n", "  {}"])
SMALL = '{"a": [1, {"b": "\\u00e4\\n"}, -1.5e3], "c": {"d": true, "e": null}, "f": ""}'


def written(value: object, style: dict[str, Any], frame: str = "{}") -> str:
    text = frame.format(json.dumps(value, ensure_ascii=False, **style))
    return text.replace("\n", "\r\n") if frame.endswith("\r\n") else text


def spans(text: str, at: int = 0, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], tuple[int, int]]:
    """Find every value of a document, by a way of its own: decode it wherever a value may begin."""
    at = re.compile(r"[\s\ufeff]*").match(text, at).end()  # type: ignore[union-attr]
    value, end = json.JSONDecoder().raw_decode(text, at)
    found = {path: (at, end)}
    inside = at + 1
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        if isinstance(value, dict):
            inside = text.index('"', inside)
            inside = text.index(":", json.JSONDecoder().raw_decode(text, inside)[1]) + 1
        inner = spans(text, inside, (*path, key))
        found |= inner
        inside = inner[*path, key][1]
        inside = text.index(",", inside) + 1 if "," in text[inside:end] else inside
    return found


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        load(text, "x.json")
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------------- reading


@given(VALUES, STYLES, FRAMES)
def test_what_was_written_is_read_as_it_was(value: object, style: dict[str, Any], frame: str):
    assert same(load(written(value, style, frame), "x.json"), value)


@given(VALUES)
def test_what_dump_writes_is_read_as_it_was(value: object):
    assert same(load(json_edit.dump(value), "x.json"), value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the text ends too early: expected value"),
        ('{"a": 1,\n "b": }', "2:7: expected value"),
        ('{"a": 1} x', "1:10: extra data"),
        ("{'a': 1}", "1:2: expected property name enclosed in double quotes"),
        ('["\n"]', "1:3: invalid control character"),
        ('{"a": 1,\n "a": 2}', '2:2: expected each key once, got: "a" again'),
        ('{"a": {"x": [], "x": 1}}', '1:17: expected each key once, got: "x" again'),
        ("[1, NaN]", "1:5: expected a number, got: NaN"),
        ("[-Infinity]", "1:2: expected a number, got: -Infinity"),
        ("[1e999]", "1:2: expected a number that fits 64 bits, got: 1e999"),
        (f"[{'9' * 5000}]", "1:2: expected a number of fewer digits, got: 5,000"),
        ('["\\ud800"]', "1:2: expected text, got: half of a surrogate pair"),
        ('["\ud800"]', "1:2: expected text, got: half of a surrogate pair"),
        ("\ufeff[NaN]", "1:2: expected a number, got: NaN"),
        ("[" * 101 + "]" * 101, "1:101: expected at most 100 levels of nesting"),
        ("[" * 100_000, "1:101: expected at most 100 levels of nesting"),
    ],
)
def test_what_is_no_strict_json_is_refused_with_its_line_and_column(text: str, message: str):
    assert refused(text).startswith(f"x.json:{message}")


@pytest.mark.parametrize("text", ['{"a": 1,}', "[1,]"])
def test_a_comma_before_the_end_is_refused(text: str):
    assert re.match(r"x\.json:1:\d: ", refused(text))


@pytest.mark.parametrize("text", ["[" * 100 + "]" * 100, '"\\ud83d\\ude00"', '"\\\\ud800"', f"[{2**70}]", '{"": 1}'])
def test_unusual_json_is_read(text: str):
    assert load(text, "x.json") == json.loads(text)


def test_a_text_full_of_faults_is_not_read_beyond_the_twentieth(monkeypatch: pytest.MonkeyPatch):
    told: list[int] = []

    def told_position(text: str, offset: int) -> str:
        told.append(offset)
        return position(text, offset)

    monkeypatch.setattr(json_load, "position", told_position)

    with pytest.raises(BadInput, match="cannot be read"):
        load("[" + "NaN," * 1000 + "1]", "x.json")

    assert len(told) == 20


def test_all_faults_are_named_at_once():
    message = refused('{"a": NaN,\n "a": 1,\n "b": 1e999}')

    assert message.splitlines() == [
        "x.json cannot be read",
        "  - x.json:1:7: expected a number, got: NaN",
        '  - x.json:2:2: expected each key once, got: "a" again',
        "  - x.json:3:7: expected a number that fits 64 bits, got: 1e999",
    ]


def test_a_text_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasktrail.formats.json_load.MAX_CHARS", 10)

    assert refused("[1, 2, 3, 4]") == "x.json: expected at most 10 characters, got: 12"


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_a_truncated_text_is_refused_with_its_position(length: int):
    assert re.match(r"x\.json:1:\d+: ", refused(SMALL[:length]))


@given(st.integers(0, len(SMALL)), st.text('{}[]",:\\u0eE-.\n \ufeff\ud800xN', max_size=3))
def test_a_spoilt_text_is_read_or_refused_and_nothing_else(at: int, noise: str):
    text = SMALL[:at] + noise + SMALL[at:]
    for work in (lambda: load(text, "x.json"), lambda: edit(text, [(("c", "d"), 1), (("a", 1, "b"), 2)])):
        try:
            work()
        except BadInput:
            continue


def test_positions_count_lines_and_characters_from_one():
    assert [position("ä\r\nb\n", at) for at in (0, 1, 3, 5)] == ["1:1", "1:2", "2:1", "3:1"]


def test_places_name_the_nearest_value_there_is():
    text = '{"a": {"b": [10, 20]}}'

    assert places(text, [(), ("a", "b", 1), ("a", "x", "y"), ("z",)]) == {
        (): 0, ("a", "b", 1): 17, ("a", "x", "y"): 6, ("z",): 0,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- editing


@given(OBJECTS, OBJECTS, STYLES, FRAMES)
def test_the_edited_text_says_what_was_wanted(old: object, new: object, style: dict[str, Any], frame: str):
    changes = difference(old, new)

    text = edit(written(old, style, frame), changes)

    assert same(load(text, "x.json"), new)
    assert json.dumps(apply(deepcopy(old), changes)) == json.dumps(json.loads(text.removeprefix("\ufeff")))


@given(OBJECTS, STYLES, FRAMES)
def test_no_change_changes_no_byte(value: object, style: dict[str, Any], frame: str):
    text = written(value, style, frame)

    assert edit(text, difference(value, load(text, "x.json"))) is text
    assert edit(text, [((key,), inner) for key, inner in json.loads(text.removeprefix("\ufeff")).items()]) is text


@given(OBJECTS, STYLES, FRAMES, st.data())
def test_replacing_a_value_changes_its_characters_alone(
    value: object, style: dict[str, Any], frame: str, data: st.DataObject
):
    text = written(value, style, frame)
    found = spans(text)
    path = data.draw(st.sampled_from(sorted(found, key=repr)))
    new = data.draw(SCALARS)
    start, end = found[path]

    edited = edit(text, [(path, new)])

    assert edited == text if same(json.loads(text[start:end]), new) else edited.startswith(text[:start])
    assert edited.endswith(text[end:])
    assert same(json.loads(edited[start : len(edited) - len(text[end:])]), new)


@given(OBJECTS, OBJECTS, STYLES, FRAMES)
def test_what_is_not_edited_keeps_its_characters(old: object, new: object, style: dict[str, Any], frame: str):
    text = written(old, style, frame)
    changes = difference(old, new)
    changed = [path for path, _ in changes]

    edited = edit(text, changes)

    before, after = spans(text), spans(edited)
    for path, (start, end) in before.items():
        if not any(path[: len(other)] == other or other[: len(path)] == path for other in changed):
            first, last = after[path]
            assert edited[first:last] == text[start:end]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abcä", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from("abcd"), PLAIN, min_size=1, max_size=4),
    st.dictionaries(st.sampled_from("abcd"), PLAIN, max_size=4),
    STYLES,
    FRAMES,
)
def test_an_edit_is_written_in_the_style_of_the_text(old: object, new: object, style: dict[str, Any], frame: str):
    changes = difference(old, new)

    edited = edit(written(old, style, frame), changes)

    if new:
        assert edited == written(apply(deepcopy(old), changes), style, frame)


HAND_MADE = """\
{
  "name":"Jos\\u00e9",
  "ratio" : 1.0,   "count": 1e5,

  "list": [1,2,  3],
  "inner": {"x": 1},
\t"steps": {
      "s1": {
        "status": "pending"
      },
      "empty": {}
  }
}"""


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ([(("steps", "s1", "status"), "running")], '"pending"', '"running"'),
        ([(("ratio",), 1.0), (("count",), 100000.0), (("name",), "José")], "", ""),
        ([(("ratio",), 1)], "1.0", "1"),
        ([(("list", 1), 20)], "1,2,  3", "1,20,  3"),
        ([(("list", 3), 4)], "  3]", "  3,  4]"),
        ([(("list",), [1, {"a": 2}])], "[1,2,  3]", '[1,{"a":2}]'),
        ([(("inner", "y"), "ß")], '{"x": 1}', '{"x": 1,"y": "\\u00df"}'),
        ([(("inner", "x"), REMOVE)], '{"x": 1}', "{}"),
        ([(("inner", "x"), REMOVE), (("inner", "y"), 2)], '{"x": 1}', '{"y": 2}'),
        ([(("ratio",), REMOVE)], '\n  "ratio" : 1.0,   "count"', '   "count"'),
        ([(("name",), REMOVE)], '"name":"Jos\\u00e9",\n  "ratio"', '"ratio"'),
        ([(("steps", "empty"), REMOVE)], ',\n      "empty": {}', ""),
        ([(("nothing",), REMOVE), (("steps", "s2", "status"), REMOVE)], "", ""),
        (
            [(("steps", "s2", "status"), "new"), (("steps", "s2", "n"), 0)],
            '"empty": {}\n',
            '"empty": {},\n      "s2": {\n        "status":"new",\n        "n":0\n      }\n',
        ),
    ],
)
def test_an_edit_of_a_hand_made_text_touches_nothing_else(changes: list[Any], old: str, new: str):
    assert edit(HAND_MADE, changes) == (HAND_MADE.replace(old, new, 1) if old else HAND_MADE)


@pytest.mark.parametrize(
    ("text", "changes", "edited"),
    [
        ("{}", [(("a", "b"), 1)], '{\n  "a": {\n    "b": 1\n  }\n}'),
        ("{}\n", [(("a",), [])], '{\n  "a": []\n}\n'),
        ('{"a": {}}', [(("a", "b"), 1)], '{"a": {"b": 1}}'),
        ('{"a":[]}', [(("a", 0), 1), (("a", 1), 2)], '{"a":[1,2]}'),
        ('{\r\n "a": {}\r\n}\r\n', [(("a", "b"), [1])], '{\r\n "a": {\r\n  "b": [\r\n   1\r\n  ]\r\n }\r\n}\r\n'),
        ("[1]", [((), {"a": 2})], '{"a": 2}'),
        ("[[1], [2], [3]]", [((0,), REMOVE), ((1, 0), 9)], "[[9], [3]]"),
    ],
)
def test_small_edits(text: str, changes: list[Any], edited: str):
    assert edit(text, changes) == edited


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ('{"a": 1}', [(("a", "b"), 1)], "f:1:7: expected an object or a list here"),
        ('{"a": [1]}', [(("a", "b"), 1)], "f:1:7: expected an object here"),
        ('{"a": {}}', [(("a", 0), 1)], "f:1:7: expected a list here"),
        ('{"a": [1]}', [(("a", 5), 1)], "f:1:7: expected a list of more than 1 here"),
        ('{"a": 1}', [(("a",), {1, 2})], "expected a JSON value, got one that is none"),
        ('{"a": 1}', [(("a",), float("nan"))], "expected a JSON value, got one that is none"),
        ('{"a": 1}', [(("a",), "\ud800")], "expected a JSON value, got one that is none"),
        ('{"a": 1', [(("a",), 2)], "f:1:8: the text ends too early: expected ',' delimiter"),
        ('{"a" 1}', [(("a",), 2)], "f:1:6: expected ':' delimiter"),
    ],
)
def test_an_impossible_edit_is_refused(text: str, changes: list[Any], message: str):
    with pytest.raises(BadInput) as caught:
        edit(text, changes, "f")

    assert caught.value.message.startswith(message)


def test_many_paths_are_found_in_one_walk(monkeypatch: pytest.MonkeyPatch):
    steps = {f"s{n}": {"status": "pending", "n": n} for n in range(300)}
    text = json.dumps({"id": 1, "steps": steps}, indent=2)
    keys_read = 0

    original = json_edit._key

    def counted(text: str, start: int) -> tuple[str, int, int]:
        nonlocal keys_read
        keys_read += 1
        return original(text, start)

    monkeypatch.setattr(json_edit, "_key", counted)
    edited = edit(text, [(("steps", key, "status"), "running") for key in steps])

    assert edited == text.replace("pending", "running")
    assert keys_read == 2 + 300 + 300 * 2


def test_equal_values_of_different_kinds_are_not_the_same():
    pairs: list[tuple[object, object]] = [(1, True), (1, 1.0), (0.0, -0.0), ([1], [True]), ({"a": 0}, {"a": False})]

    assert not any(same(*pair) for pair in pairs)
    assert same({"a": 1, "b": [2]}, {"b": [2], "a": 1})
