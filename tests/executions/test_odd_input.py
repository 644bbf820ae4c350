"""What cannot be told is named, what is too much is cut; nothing of it is an error, and nothing is half stored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.executions import Content, Experience, ExperienceType, RawStore, record
from tasktrail.model.errors import BadInput
from tasktrail.model.plain import DEEPEST, MOST, plain
from tests.executions.told import START, raised, told


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawStore]:
    with RawStore(tmp_path_factory.mktemp("odd") / "raw.db") as store:
        yield store


class Unreadable:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def nested(levels: int) -> Any:
    value: Any = "core"
    for _ in range(levels):
        value = {"in": value}
    return value


def cycle() -> list[object]:
    value: list[object] = [1]
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"\x00\xff", "[2 bytes]"),
        (float("nan"), "[nan]"),
        (-math.inf, "[-inf]"),
        (2**63 - 1, 2**63 - 1),
        (2**63, "[integer of 64 bits]"),
        (10**5000, "[integer of 16610 bits]"),
        ("a\ud800b\0c", "a\\ud800b\\0c"),
        ({1}, [1]),
        (date(2025, 11, 5), "2025-11-05"),
        (Path("a/b"), "a/b"),
        (object(), "[object]"),
        (Unreadable(), "[Unreadable]"),
        (cycle(), [1, "[contains itself]"]),
        ({None: 1, 2: 3, True: 4}, {"null": 1, "2": 3, "true": 4}),
        ([1] * (MOST + 5), [1] * (MOST - 1) + ["… more left out"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_what_json_can_hold_of_it(value: object, kept: object) -> None:
    assert plain(value) == kept


def test_a_structure_that_is_too_deep_is_cut_where_it_is() -> None:
    text = json.dumps(plain(nested(100_000)))

    assert text.count('{"in"') == DEEPEST
    assert "[dict nested too deep]" in text
    assert plain(nested(DEEPEST)) == nested(DEEPEST)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
        max_leaves=20,
    )
)
def test_whatever_it_is_json_can_hold_it_and_reading_it_again_changes_nothing(value: object) -> None:
    kept = plain(value)

    text = json.dumps(kept, allow_nan=False)
    assert json.loads(text) == kept
    assert plain(kept) == kept
    text.encode()


@pytest.mark.parametrize(
    "odd",
    [
        "x" * 5_000_000, "\0" * 100, "\ud800", "", b"bytes", float("nan"), 2**70, nested(1000), cycle(),
        Unreadable(), {"a": {1, 2}}, [b"x"], object(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize(
    "where",
    ["response_text", "task_name", "task_slug", "task_id", "retrieval_metadata", "files_written", "tool_calls",
     "task_config", "error", "more"],
)  # fmt: skip
def test_nothing_that_is_told_breaks_the_record(store: RawStore, where: str, odd: Any) -> None:
    if where == "error":
        odd = {"type": odd, "message": odd, "stack_trace": odd}
    elif where in ("retrieval_metadata", "task_config", "more") and not isinstance(odd, dict):
        odd = {"value": odd}
    elif where in ("files_written", "tool_calls"):
        odd = [odd]
    experience = told(**{where: odd, "status": "failed", "trace_id": None})

    kept = store.append_experience(experience)

    assert store.get_experience(kept) == experience
    assert len(json.dumps(experience.content.structured)) < 500_000


@pytest.mark.parametrize("actor", ["bogus", "", None, 7, ["user"], {}])
def test_an_actor_that_nobody_knows_stays_where_it_was_told(store: RawStore, actor: object) -> None:
    kept = store.append_observation("x", structured={"provenance_actor": actor, "mood": 3})

    found = store.get_experience(kept)
    assert found is not None
    assert found.content.structured == {"provenance_actor": actor, "mood": 3}
    assert found in store.list_recent(experience_type="observation")


@pytest.mark.parametrize("kind", list(ExperienceType))
def test_ids_and_texts_that_no_database_takes_are_stored_as_they_can_be(store: RawStore, kind: ExperienceType) -> None:
    odd = f"{kind.value}\ud800\0"
    told = {"status": "failed", "trace_id": odd, "span_id": odd, "error": {"type": odd, "message": odd}}
    experience = Experience(
        id=odd, type=kind, created_at=START, content=Content(odd, told), parents=[odd], session_id=odd
    )

    kept = store.append_experience_idempotent(experience, odd)

    can_be = f"{kind.value}\\ud800\\0"
    found = store.get_experience(odd)
    assert found is not None
    assert [kept, found.id, found.content.text, found.session_id, found.parents] == [*[can_be] * 4, [can_be]]
    assert store.append_experience_idempotent(replace(experience, id="another"), odd) == kept
    if kind is ExperienceType.TASK_EXECUTION:
        assert store.get_by_trace_id(odd) == store.list_by_session(odd) == [found]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"content_text": 7}, "expected content_text to be a text, got: int"),
        ({"content_text": None}, "expected content_text to be a text, got: NoneType"),
        ({"parent_ids": "obs-1"}, "expected parents to be a list of ids, got: str"),
        ({"parent_ids": 7}, "expected parents to be a list of ids, got: int"),
        ({"experience_id": 7}, "expected id to be a text, got: int"),
    ],
)
def test_what_is_no_text_and_no_list_is_refused_by_name(store: RawStore, given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        store.append_observation(**{"content_text": "x", **given})


def test_an_exception_that_fights_back_is_recorded(store: RawStore) -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    with pytest.raises(Hostile), record("hostile", store=store) as attempt:
        raise Hostile

    found = store.get_experience(str(attempt.id))
    assert found is not None
    assert found.content.structured["error"]["type"] == "Hostile"


def test_a_log_line_without_end_is_cut_before_it_is_scrubbed(store: RawStore) -> None:
    line = "ann@example.org " + "a" * 50_000_000 + " ben@example.org"
    experience = told(response_text=line, status="failed", error=raised(ValueError(line)))

    assert len(experience.content.text) < 110_000
    assert experience.content.text.startswith("[email:1] aaa")
    assert experience.content.text.endswith("aaa [email:2]")
    assert "characters left out" in experience.content.text
