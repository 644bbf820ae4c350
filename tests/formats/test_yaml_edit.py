"""YAML texts edited in place: they say what was wanted, and every line that no change touches is as it was."""

from __future__ import annotations

import json
import random
import re
from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tasktrail.formats import json_edit, yaml_edit
from tasktrail.formats.changes import Change, Path, same
from tasktrail.formats.yaml_edit import REMOVE, apply, difference, dump, edit
from tasktrail.formats.yaml_load import Node, Source, load, load_node
from tasktrail.formats.yaml_scalars import written, written_key
from tasktrail.model.errors import BadInput
from tests.formats.yaml_texts import DOCUMENTS, KEYS, SCALARS, TEXTS, VALUES, printed

SEEDS = st.integers(0, 2**32)


def paths_of(value: object, path: Path = ()) -> list[Path]:
    """Return the paths of all values that stand in another one."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in [(*path, key), *paths_of(item, (*path, key))]]


def at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def documents_with_changes(draw: st.DrawFn) -> tuple[str, list[Change]]:
    """A text and changes of all kinds, none of which continues another one."""
    document = draw(DOCUMENTS)
    text = printed(document, random.Random(draw(SEEDS)))
    every = [(), *paths_of(document)]
    changes: list[Change] = []
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(every))
        value = at(document, path)
        kind = draw(st.sampled_from(["replace", "remove", "add", "add", "add deep"]))
        if kind.startswith("add") and (isinstance(value, dict | list) or value is None):
            path = (*path, len(value) if isinstance(value, list) else draw(KEYS))
            path = (*path, draw(KEYS)) if kind == "add deep" and path not in every else path
        if kind == "remove" and not path:
            continue
        if not any(path[: len(other)] == other[: len(path)] for other, _ in changes):
            changes.append((path, REMOVE if kind == "remove" else draw(VALUES)))
    return text, changes


@given(documents_with_changes())
def test_the_edited_text_says_what_was_wanted(case: tuple[str, list[Change]]):
    text, changes = case
    document = load(text, "x")
    expected = apply(deepcopy(document), changes)

    try:
        edited = edit(text, changes)
    except BadInput as refused:
        assert "question mark" in str(refused.details)  # noqa: PT017 - any other refusal is a failure
        return

    assert same(load(edited, "x"), expected), edited
    assert edited is not text or same(document, expected)


@given(DOCUMENTS, SEEDS)
def test_no_change_changes_no_byte(document: Any, seed: int):
    text = printed(document, random.Random(seed))

    assert edit(text, difference(document, load(text, "x"))) is text
    assert edit(text, [(path[:1], at(document, path[:1])) for path in paths_of(document)]) is text


@given(documents_with_changes())
def test_the_lines_of_what_is_not_changed_stay_as_they_were_and_in_order(case: tuple[str, list[Change]]):
    text, changes = case
    try:
        edited = Source(edit(text, changes), "x").lines
    except BadInput:
        return

    after = iter(edited)
    for line in untouched_lines(text, changes):
        assert line in after, edited


def untouched_lines(text: str, changes: list[Change]) -> list[str]:
    """Return the lines in which something begins, but nothing that is changed, or in that, or around it."""
    source = Source(text, "x")
    root = load_node(source, [])
    assert root is not None
    touched: set[int] = {root.line}
    free: set[int] = set()
    nodes: list[tuple[Node, Node, Path, bool]] = [(root, root, (), False)]
    while nodes:
        key, node, path, hit = nodes.pop()
        hit = hit or any(path[: len(other)] == other[: len(path)] for other, _ in changes)
        (touched if hit else free).update({key.line, node.line} if node.is_scalar else {key.line})
        inner: Any = node.members or dict(enumerate(node.items or []))
        # Commas come and go, and the dash of a list takes the second member where the first one goes.
        shared = hit and (node.style == "flow" or ((*path, next(iter(inner), "")), REMOVE) in changes)
        nodes += [(node.keys.get(name, item), item, (*path, name), shared) for name, item in inner.items()]
    return [source.lines[line] for line in sorted(free - touched)]


@given(st.dictionaries(KEYS, SCALARS, min_size=1, max_size=6), SEEDS, st.data())
def test_replacing_a_value_changes_its_characters_alone(document: dict[str, object], seed: int, data: st.DataObject):
    pieces = []
    comments = random.Random(seed)
    for key, value in document.items():
        tail = comments.choice(["", "  # a comment", " "])
        pieces.append((f"{written_key(key)}: ", written(value), f"{tail}\n"))
    place = data.draw(st.integers(0, len(pieces) - 1))
    new = data.draw(SCALARS)

    edited = edit("".join(map("".join, pieces)), [(([*document][place],), new)])

    before = "".join(map("".join, pieces[:place])) + pieces[place][0]
    after = pieces[place][2] + "".join(map("".join, pieces[place + 1 :]))
    assert edited.startswith(before)
    assert edited.endswith(after)
    assert same(load("a: " + edited[len(before) : len(edited) - len(after)], "x"), {"a": new})


TRACKER = """\
# data/weeks/00-A/tracker.yaml
items:
  ProjectA:
    tasks:
      research:  # done by hand
        status: completed
        started_at: "2026-02-01T10:00:00"
        completed_at: "2026-02-01T10:05:00"
        output_file: research/projecta.yaml
        agent: researcher
      content:
        status: pending
        agent: writer
    removed: false
  # waits for the licence
  ProjectB:
    tasks:
      research:
        status: in_progress   # since Sunday
        started_at: "2026-02-01T10:10:00"
        agent: researcher
    removed: false
    notes: {owner: 'no', due: 1:30}  # ours

week_tasks:
  tasks:
    blog_post:
      status: pending
      agent: writer

metadata:
  created_at: "2026-02-01T09:00:00"
  week_letter: A
  etl_item_count: 2
"""

CONTENT = """\
      content:
        status: pending
        agent: writer
"""


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ([(("items", "ProjectB", "tasks", "research", "status"), "completed")], "in_progress ", "completed "),
        (
            [(("items", "ProjectB", "tasks", "research", "completed_at"), "2026-02-01T10:20:00")],
            "agent: researcher\n    removed: false\n    notes",
            'agent: researcher\n        completed_at: "2026-02-01T10:20:00"\n    removed: false\n    notes',
        ),
        (
            [(("items", "ProjectC"), {"tasks": {"research": {"status": "pending"}}, "removed": False})],
            "# ours\n",
            "# ours\n  ProjectC:\n    tasks:\n      research:\n        status: pending\n    removed: false\n",
        ),
        ([(("items", "ProjectA", "tasks", "content"), REMOVE)], CONTENT, ""),
        ([(("items", "ProjectB", "notes", "owner"), "off")], "'no'", "'off'"),
        ([(("items", "ProjectB", "notes", "due"), 90)], "1:30", "90"),
        ([(("items", "ProjectB", "notes", "due"), "2:00")], "1:30", '"2:00"'),
        ([(("items", "ProjectB", "notes"), REMOVE)], "    notes: {owner: 'no', due: 1:30}  # ours\n", ""),
        ([(("metadata", "etl_item_count"), 3), (("metadata", "last"), None)], "count: 2\n", "count: 3\n  last: null\n"),
        (
            [(("week_tasks", "tasks", "blog_post", "error_message"), "line 1\nline 2")],
            "agent: writer\n\nmetadata",
            'agent: writer\n      error_message: "line 1\\nline 2"\n\nmetadata',
        ),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_edit_of_a_tracker_touches_nothing_else(newline: str, changes: list[Change], old: str, new: str):
    assert TRACKER.count(old) == 1
    expected = TRACKER.replace(old, new).replace("\n", newline)

    assert edit(TRACKER.replace("\n", newline), changes) == expected


@pytest.mark.parametrize(
    ("text", "changes", "edited"),
    [
        # where there was nothing
        ("", [(("items", "A", "x"), 1)], "items:\n  A:\n    x: 1\n"),
        ("# mine", [(("a",), 1)], "# mine\na: 1"),
        ("---\n# mine\n...\n", [(("a",), 1)], "---\n# mine\na: 1\n...\n"),
        ("{}\n", [(("items", "A", "x"), 1)], "items:\n  A:\n    x: 1\n"),
        ("--- {} # none\n", [(("a",), [1])], "--- # none\na:\n  - 1\n".replace("--- #", "---  #")),
        ("items:\nb: 1\n", [(("items", "A"), 1)], "items:\n  A: 1\nb: 1\n"),
        ("items: null # none\nb: 1\n", [(("items", "A"), 1)], "items: # none\n  A: 1\nb: 1\n"),
        ("items: {} # none\nb: 1", [(("items", "A"), 1), (("c",), 2)], "items: # none\n  A: 1\nb: 1\nc: 2"),
        ("a: []\n", [(("a", 0), {"x": 1, "z": [2, []]})], "a:\n  - x: 1\n    z:\n      - 2\n      - []\n"),
        ("items:\n", [(("items", "A"), REMOVE)], "items:\n"),
        # what is left without members
        ("a:\n  b: 1 # one\nc: 2\n", [(("a", "b"), REMOVE)], "a: {}\nc: 2\n"),
        ("a: 1 # one\n", [(("a",), REMOVE)], "{}\n"),
        ("- a: 1\n- 2\n", [((0, "a"), REMOVE), ((1,), [])], "- {}\n- []\n"),
        ("a: {b: 1}\n", [(("a", "b"), REMOVE)], "a: {}\n"),
        # lists
        ("a:\n- x\n- z\nb: 1\n", [(("a", 2), "w"), (("c",), ["q"])], "a:\n- x\n- z\n- w\nb: 1\nc:\n- q\n"),
        ("- a: 1 # one\n  b: 2\n", [((0, "a"), REMOVE), ((1,), [1, [2]])], "- b: 2\n- - 1\n  - - 2\n"),
        ("- a: 1\n  # two\n  b: 2\n", [((0, "a"), REMOVE)], "- \n  # two\n  b: 2\n"),
        ("- x # one\n-\n", [((0,), {"a": 1, "b": 2}), ((1,), [3])], "- a: 1 # one\n  b: 2\n- - 3\n"),
        # comments and blank lines
        ("a:\n b: 1\n  # deep\n # of a\n\n# of c\nc: 2\n", [(("a", "b"), REMOVE)], "a: {}\n # of a\n\n# of c\nc: 2\n"),
        ("a:\n  b: 1\n  # of a\n\nc: 2\n", [(("a",), REMOVE), (("d",), 1)], "\nc: 2\nd: 1\n"),
        ("a:\n b: 1\n # of a\n# of c\nc: 2\n", [(("a", "x"), 1)], "a:\n b: 1\n x: 1\n # of a\n# of c\nc: 2\n"),
        ('a: "x"#c\n', [(("a",), 1)], "a: 1 #c\n"),
        # flow style
        ("a: {b: 1, c: [x]} # d\n", [(("a", "c", 1), "x, z"), (("a", "b"), REMOVE)], 'a: {c: [x, "x, z"]} # d\n'),
        ("a: [\n  1, # one\n  2 # two\n]\n", [(("a", 2), 3)], "a: [\n  1, # one\n  2, # two\n  3\n]\n"),
        ("a: [\n  1, # one\n  2 # two\n]\n", [(("a", 1), REMOVE)], "a: [\n  1 # one\n]\n"),
        ("a: [\n  1,\n  2,\n]\n", [(("a", 0), REMOVE), (("a", 2), 3)], "a: [\n  2,\n  3,\n]\n"),
        ("a: {b, c: , d: }", [(("a", "b"), 1), (("a", "c"), 2), (("a", "e"), 3)], "a: {b: 1, c: 2 , d: , e: 3 }"),
        ("a: [b: 1, x]", [(("a", 0, "c"), 2)], "a: [{b: 1, c: 2 }, x]"),
        # keys with a question mark
        ("? a\n: b: 1\n  c: 2\n", [(("a", "b"), REMOVE), (("a", "c"), 3)], "? a\n: c: 3\n"),
        ("b: 1\n? a # c\n: 1\nc: 2\n", [(("a",), REMOVE)], "b: 1\nc: 2\n"),
        ("{? a : {b: 1}}", [(("a", "b"), 2), (("c",), 3)], "{? a : {b: 2}, c: 3}"),
        # JSON stays JSON
        ('{"a":1,"b":["x"]}', [(("b", 1), {"c": "no"}), (("d",), "e")], '{"a":1,"b":["x",{"c":"no"}],"d":"e"}'),
        ('{\n "a": [],\n "b": 1\n}', [(("a", 0), {"x": 1})], '{\n "a": [\n  {\n   "x": 1\n  }\n ],\n "b": 1\n}'),
        (
            '{"a": "\\ud83d\\ude00\\ud83d\\ude00", "b": 1, "c": "\\ud83d\\ude00"}',
            [(("b",), 2), (("d",), "\U0001f600")],
            '{"a": "\\ud83d\\ude00\\ud83d\\ude00", "b": 2, "c": "\\ud83d\\ude00", "d": "\U0001f600"}',
        ),
        # texts in lines of their own
        ("a: | # c\n  x\n\n  z\n\nb: 1\n", [(("a",), "w")], "a: w # c\n\nb: 1\n"),
        ("a: >-\n  x\nb: 1\n", [(("a",), {"c": "w"})], "a:\n  c: w\nb: 1\n"),
        ("a: |\n  x", [(("b",), 1)], "a: |-\n  x\nb: 1\n"),
        ("a: |+\n  x\n\n", [(("b",), 1)], "a: |+\n  x\n\nb: 1\n"),
        ("a: |+\n  x\nb: 1\n\nc: 2\n\nd: 3\n", [(("b",), REMOVE), (("c",), REMOVE)], "a: |+\n  x\nd: 3\n"),
        ("a: |\n  x\nb: 1\n    \nc: 2\n", [(("b",), REMOVE)], "a: |\n  x\nc: 2\n"),
        # ends and beginnings of texts and lines
        ("\ufeffa: 1", [(("b",), 2)], "\ufeffa: 1\nb: 2"),
        ("a: 1\rb: 2\r", [(("a",), REMOVE), (("c",), 3)], "b: 2\rc: 3\r"),
        ("a:\t1\t # c\n", [(("a",), "no")], 'a:\t"no"\t # c\n'),
        ("a: 1\n \t\n \t# c\nb: 2\n", [(("a",), "no")], 'a: "no"\n \n # c\nb: 2\n'),
        ("a: 'x\n  z' # c\n", [(("a",), {"k": 1})], "a: # c\n  k: 1\n"),
        ("a:\n  old # c\n", [(("a",), {"k": 1})], "a:\n   # c\n  k: 1\n"),
        # indentation
        ("a:\n    b:\n        c: 1\n", [(("a", "d", "e"), 1)], "a:\n    b:\n        c: 1\n    d:\n        e: 1\n"),
        ("  a: 1\n", [(("b",), [1])], "  a: 1\n  b:\n    - 1\n"),
        # quotes
        ("a: 'x'\nb: \"x\"\n", [(("a",), "it's"), (("b",), "z")], "a: 'it''s'\nb: \"z\"\n"),
        ("a: 'x'\nc: x\n", [(("a",), "x\nz"), (("c",), "x: z")], 'a: "x\\nz"\nc: "x: z"\n'),
        ("a: 'x'\n", [(("a",), 1)], "a: 1\n"),
    ],
)  # fmt: skip
def test_small_edits(text: str, changes: list[Change], edited: str):
    assert edit(text, changes) == edited
    assert same(load(edited, "x"), apply(load(text, "x"), changes))


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("a: 1\n", [(("a", "b"), 1)], "f:1:4: expected a mapping or a list here\n1 | a: 1\n  |    ^"),
        ("a: [1]\n", [(("a", "b"), 1)], "f:1:4: expected a mapping here"),
        ("a: {}\n", [(("a", 0), 1)], "f:1:4: expected a list here"),
        ("a: [1]\n", [(("a", 5), 1)], "f:1:4: expected a list of more than 1 here"),
        ("? a\n: 1\n", [(("a",), 2)], "f:1:3: expected a key without a question mark"),
        ("{? a}", [(("a",), 2)], "f:1:5: expected a key without a question mark"),
        ("a: [\n", [(("a",), 2)], "f:2:1: this is no YAML"),
        ("a: &x 1\n", [(("b",), 2)], "f:1:4: expected no anchor, got: &x"),
        ("a: {b: *x}\n", [(("c",), 2)], "f:1:8: expected no alias, got: *x"),
        ("a: !x 1\n", [(("b",), 2)], "f:1:4: expected no tag"),
        ("a:\n  <<: 1\n", [(("b",), 2)], "f:2:3: expected no merge key"),
        ("a:\n  b: 1\n  b: 2\n", [(("c",), 2)], "f:3:3: expected each key once, got: b again"),
        ("a: 1\n---\nb: 1\n", [(("c",), 2)], "f:2:1: expected one document"),
        ("a: \x07\n", [(("c",), 2)], "f:1:4: expected printable characters, got: U+0007"),
        ("a: \ud800\n", [(("c",), 2)], "f:1:4: expected printable characters, got: U+D800"),
    ],
)
def test_an_edit_that_the_text_does_not_permit_is_refused_with_its_place(text: str, changes: Any, message: str):
    with pytest.raises(BadInput) as caught:
        edit(text, changes, "f")

    assert caught.value.details[0].startswith(message)


DEEP: list[object] = [json.loads("[" * levels + "]" * levels) for levels in (63, 64)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((("b",), {1, 2}), "expected a JSON value, got one that is none: set"),
        ((("b",), float("nan")), "expected a JSON value, got one that is none"),
        ((("b",), "\ud800"), "expected a JSON value, got one that is none: half of a surrogate pair"),
        ((("b",), 10**5000), "expected a JSON value, got one that is none"),
        ((("b",), 10**4100), "expected a number of fewer digits, got: 4,101"),
        ((("b",), {1: 2}), "expected a key to be a text, got: 1"),
        ((("b",), [{"": 2}]), "expected a key to be a text, got: nothing"),
        ((("k" * 1001,), 1), "expected a key of at most 1,000 characters, got: kkk"),
        ((("b",), DEEP[1]), "expected at most 64 levels of nesting"),
        ((("f", 0), DEEP[0]), "expected at most 64 levels of nesting"),
        (((), REMOVE), "expected a JSON value, got one that is none"),
    ],
)
def test_what_no_reader_would_read_is_not_written(change: Change, message: str):
    with pytest.raises(BadInput) as caught:
        edit("a: 1\nf: [2]\n", [change])

    assert caught.value.message.startswith(message)


def test_what_is_at_the_limit_is_written():
    value = {"k" * 1000: 1, "b": DEEP[0], "n": 10**3999}

    assert same(load(edit("a: 1\n", [*difference({"a": 1}, {"a": 1, **value})]), "x"), {"a": 1, **value})


def test_a_document_of_the_deepest_nesting_is_edited():
    text = "{a: " * 63 + "[1]" + "}" * 63

    assert edit(text, [((*["a"] * 63, 1), 2)]) == text.replace("[1]", "[1, 2]")
    with pytest.raises(BadInput, match="cannot be read"):
        edit(f"[{text}]", [((0,), 2)])


# ----------------------------------------------------------------------------------------------- quotes, and new texts


@given(VALUES)
def test_what_dump_writes_is_read_as_it_was(value: object):
    assert same(load(dump(value), "x"), value)


@given(TEXTS)
@example("1:30")
@example("2026-02-01")
def test_texts_and_keys_are_texts_for_readers_of_yaml_1_1(text: str):
    written_text = dump({"value": text, "list": [text], **({text: 1} if text else {})})

    read = yaml.load(written_text, yaml.CSafeLoader)

    assert (read["value"], read["list"]) == (text, [text])
    assert all(isinstance(key, str) for key in read)


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_numbers_for_readers_of_yaml_1_1_and_of_json(value: object):
    text = dump(value)

    assert same(yaml.load(text, yaml.CSafeLoader), value)
    assert same(json.loads(text), value)


CORE_SCHEMA = re.compile(
    r"null|Null|NULL|~||true|True|TRUE|false|False|FALSE|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)


@given(TEXTS | st.from_regex(CORE_SCHEMA, fullmatch=True))
def test_what_a_reader_of_yaml_1_2_takes_for_another_kind_has_quotes(text: str):
    assert not CORE_SCHEMA.fullmatch(written(text))
    assert not CORE_SCHEMA.fullmatch(written(text, in_flow=True))


@pytest.mark.parametrize(
    "text",
    ["no", "y", "Off", "012", "1:30", "0x1F", "1_000", "2026-02-01", "null", "~", ".inf", "+.5", "1e5", "=", "<<", "",
     " a", "a ", "-a", "*a", "&a", "!a", "%a", "@a", "`a", "#a", "[a", "{a", "?a", ":a", "|a", ">a", "a: b", "a:",
     "a #b", "'a", '"a', "a\tb", "a\nb", "...", "a\x85b", "a\u2028", "\ufeffa", "a\x07"],
)  # fmt: skip
def test_texts_that_are_not_safe_without_quotes_have_them(text: str):
    assert written(text)[0] == '"'
    assert load(written(text), "x") == text


@pytest.mark.parametrize("text", ["to do", "a, b", "research/a.yaml", "it's", "a#b", "a:b", "ä 😀", ".github", "3 x"])
def test_texts_that_are_safe_have_no_quotes(text: str):
    assert written(text) == text


def test_changes_are_those_of_json():
    for name in ("REMOVE", "Change", "Path", "apply", "difference", "same"):
        assert getattr(yaml_edit, name) is getattr(json_edit, name)
