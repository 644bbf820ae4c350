"""The retry policy: a table of its arithmetic, its JSON, and what is made of Retry-After."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import retry
from tasktrail.model.errors import BadInput
from tasktrail.model.retry import (
    LONGEST_DELAY_S,
    LONGEST_RETRY_AFTER_S,
    Backoff,
    RetryPolicy,
    error_names_of,
    parse_retry_after,
    retry_after_of,
)

NOW = datetime(1994, 11, 6, 8, 49, 0, tzinfo=UTC)


def delays_s(policy: RetryPolicy, *, tries: int, random: float = 0.0) -> list[float | None]:
    """Return the delays after the first `tries` errors, rounded to a microsecond."""
    found = (policy.next_delay_s(n, random=random) for n in range(1, tries + 1))
    return [None if delay_s is None else round(delay_s, 6) for delay_s in found]


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(retry).failed == 0


# ----------------------------------------------------------------------------------------------------------- arithmetic


@pytest.mark.requirement("BL-089")
def test_the_first_delay_is_one_second_by_default() -> None:
    assert RetryPolicy().delay_s == 1.0
    assert RetryPolicy().next_delay_s(1, random=0.0) == 1.0


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        pytest.param("exponential", [0.1, 0.2, 0.4, 0.8], marks=pytest.mark.requirement("BL-090")),  # delay·2^(n-1)
        pytest.param("linear", [0.1, 0.2, 0.3, 0.4], marks=pytest.mark.requirement("BL-091")),  # delay·n
        pytest.param("constant", [0.1, 0.1, 0.1, 0.1], marks=pytest.mark.requirement("BL-092")),  # delay
    ],
)
def test_the_delay_grows_with_the_tries_as_the_backoff_says(backoff: Backoff, expected: list[float]) -> None:
    assert delays_s(RetryPolicy(max_retries=4, delay_s=0.1, backoff=backoff), tries=4) == expected


@pytest.mark.requirement("BL-090")
def test_backoff_is_exponential_by_default() -> None:
    assert delays_s(RetryPolicy(), tries=3) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("max_retries", "expected"),
    [
        (0, [None, None, None]),
        (1, [1.0, None, None]),
        (2, [1.0, 1.0, None]),
        (3, [1.0, 1.0, 1.0]),
    ],
)
def test_there_is_no_delay_once_the_retries_are_used_up(max_retries: int, expected: list[float | None]) -> None:
    assert delays_s(RetryPolicy(max_retries=max_retries, backoff="constant"), tries=3) == expected


@pytest.mark.parametrize(
    ("backoff", "cap_s", "expected"),
    [
        ("exponential", 5.0, [1.0, 2.0, 4.0, 5.0, 5.0]),
        ("linear", 2.5, [1.0, 2.0, 2.5, 2.5, 2.5]),
        ("constant", 0.5, [0.5, 0.5, 0.5, 0.5, 0.5]),
        ("constant", 0.0, [0.0, 0.0, 0.0, 0.0, 0.0]),
        ("linear", None, [1.0, 2.0, 3.0, 4.0, 5.0]),
    ],
)
def test_no_delay_is_longer_than_the_cap(backoff: Backoff, cap_s: float | None, expected: list[float]) -> None:
    assert delays_s(RetryPolicy(max_retries=5, backoff=backoff, max_delay_s=cap_s), tries=5) == expected


@pytest.mark.parametrize(
    ("jitter", "random", "expected"),
    [
        (0.0, 0.0, 10.0),  # nothing is random
        (0.0, 0.9, 10.0),
        (0.1, 0.0, 9.0),  # a tenth is: 9 … 10
        (0.1, 0.5, 9.5),
        (0.5, 0.0, 5.0),  # equal jitter: 5 … 10
        (0.5, 0.5, 7.5),
        (1.0, 0.0, 0.0),  # full jitter: 0 … 10
        (1.0, 0.25, 2.5),
    ],
)
def test_jitter_is_the_share_of_the_delay_that_is_random(jitter: float, random: float, expected: float) -> None:
    assert delays_s(RetryPolicy(delay_s=10.0, jitter=jitter), tries=1, random=random) == [expected]


@pytest.mark.parametrize(
    ("retry_after_s", "expected"),
    [
        (None, 2.0),
        (0.0, 2.0),  # sooner than our own delay: ours holds
        (1.5, 2.0),
        (30.0, 30.0),  # later: the server's, although the cap is 4
        (1e12, 86_400.0),  # believed up to a day
        (float("inf"), 86_400.0),
        (float("nan"), 2.0),
        (-5.0, 2.0),
    ],
)
def test_the_wait_is_at_least_what_the_server_asked_for(retry_after_s: float | None, expected: float) -> None:
    policy = RetryPolicy(delay_s=1.0, max_delay_s=4.0)
    assert policy.next_delay_s(2, random=0.0, retry_after_s=retry_after_s) == expected


def test_retry_after_gives_no_further_try() -> None:
    assert RetryPolicy(max_retries=1).next_delay_s(2, random=0.0, retry_after_s=5.0) is None


@pytest.mark.parametrize("backoff", ["exponential", "linear"])
def test_ten_thousand_tries_end_at_the_ceiling(backoff: Backoff) -> None:
    policy = RetryPolicy(max_retries=20_000, delay_s=1e6, backoff=backoff)
    assert policy.next_delay_s(10_000, random=0.0) == LONGEST_DELAY_S == 31_536_000.0


@given(
    max_retries=st.integers(0, 2**31 - 1),
    delay_s=st.floats(0, allow_nan=False, allow_infinity=False),
    backoff=st.sampled_from(["exponential", "linear", "constant"]),
    max_delay_s=st.none() | st.floats(0, allow_nan=False, allow_infinity=False),
    jitter=st.floats(0, 1),
    tries=st.integers(1, 2**40),
    random=st.floats(0, 1, exclude_max=True),
)
def test_every_delay_is_a_date_from_now(
    max_retries: int,
    delay_s: float,
    backoff: Backoff,
    max_delay_s: float | None,
    jitter: float,
    tries: int,
    random: float,
) -> None:
    policy = RetryPolicy(max_retries, delay_s, backoff, max_delay_s, jitter)
    wait_s = policy.next_delay_s(tries, random=random)
    assert (wait_s is None) == (tries > max_retries)
    if wait_s is not None:
        assert 0 <= wait_s <= min(LONGEST_DELAY_S, LONGEST_DELAY_S if max_delay_s is None else max_delay_s)
        assert NOW + timedelta(seconds=wait_s) >= NOW


def test_tries_count_from_one() -> None:
    with pytest.raises(BadInput, match="expected tries to be at least 1, got: 0"):
        RetryPolicy().next_delay_s(0, random=0.0)


# --------------------------------------------------------------------------------------------------------- which errors


class Flaky(ConnectionError):
    pass


@pytest.mark.parametrize(
    ("on", "error_names", "expected"),
    [
        ((), ("ValueError",), True),  # empty: every error
        ((), (), True),
        (("ConnectionError",), ("ConnectionError", "OSError"), True),
        (("OSError",), ("ConnectionError", "OSError"), True),  # a base class
        (("ConnectionError",), ("requests.exceptions.ConnectionError", "OSError"), True),  # bare: any module
        (("requests.exceptions.ConnectionError",), ("requests.exceptions.ConnectionError",), True),
        (("requests.exceptions.ConnectionError",), ("ConnectionError", "OSError"), False),  # dotted: that one alone
        (("requests.exceptions.ConnectionError",), ("urllib3.exceptions.ConnectionError",), False),
        (("ConnectionError", "75"), ("75",), True),  # an exit code
        (("75",), ("7",), False),
        (("-9",), ("-9",), True),  # ended by a signal
        (("ValueError",), ("KeyError", "LookupError", "Exception"), False),
        (("ValueError",), (), False),
    ],
)
def test_only_named_errors_are_tried_again(on: tuple[str, ...], error_names: tuple[str, ...], expected: bool) -> None:
    assert RetryPolicy(on=on).retries_on(error_names) is expected


def test_the_names_of_an_error_are_those_of_its_class_and_bases() -> None:
    names = error_names_of(Flaky())
    assert names == (f"{__name__}.Flaky", "ConnectionError", "OSError", "Exception", "BaseException")
    assert RetryPolicy(on=("Flaky",)).retries_on(names)
    assert RetryPolicy(on=("OSError",)).retries_on(names)


def test_a_class_made_inside_a_function_is_known_by_its_bare_name() -> None:
    class Local(Exception):
        pass

    assert RetryPolicy(on=("Local",)).retries_on(error_names_of(Local()))


# ----------------------------------------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (RetryPolicy(), None),
        (RetryPolicy(delay_s=0.1), '{"delay":0.1}'),
        (RetryPolicy(max_retries=0), '{"max":0}'),
        (
            RetryPolicy(5, 2.0, "linear", 60.0, 0.1, ("ConnectionError", "75")),
            '{"max":5,"delay":2.0,"backoff":"linear","max_delay":60.0,"jitter":0.1,"on":["ConnectionError","75"]}',
        ),
    ],
)
def test_json_holds_what_differs_from_the_defaults(policy: RetryPolicy, text: str | None) -> None:
    assert policy.to_json() == text
    assert RetryPolicy.from_json(text) == policy


@pytest.mark.parametrize(
    ("data", "policy"),
    [
        (None, RetryPolicy()),
        ({}, RetryPolicy()),
        ({"max_delay": None}, RetryPolicy()),
        ({"max": 3, "delay": 1}, RetryPolicy()),
        ({"delay": 2}, RetryPolicy(delay_s=2.0)),
        ({"on": ["ConnectionError", 75]}, RetryPolicy(on=("ConnectionError", "75"))),
    ],
)
def test_a_mapping_is_read_as_a_workflow_file_spells_it(data: object, policy: RetryPolicy) -> None:
    assert RetryPolicy.from_dict(data) == policy


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"delay": "x"}, "expected retry.delay to be a number >= 0, got: 'x'"),
        ({"delay": None}, "expected retry.delay to be a number >= 0, got: None"),
        ({"delay": -1}, "expected retry.delay to be a number >= 0, got: -1"),
        ({"delay": True}, "expected retry.delay to be a number >= 0, got: True"),
        ({"delay": float("nan")}, "expected retry.delay to be a number >= 0, got: nan"),
        ({"delay": float("inf")}, "expected retry.delay to be a number >= 0, got: inf"),
        ({"delay": 10**5000}, "expected retry.delay to be a number >= 0, got: int too long to show"),
        ({"max": 1.5}, "expected retry.max to be a whole number from 0 to 2147483647, got: 1.5"),
        ({"max": -1}, "expected retry.max to be a whole number from 0 to 2147483647, got: -1"),
        ({"max": True}, "expected retry.max to be a whole number from 0 to 2147483647, got: True"),
        ({"max": 2**31}, "expected retry.max to be a whole number from 0 to 2147483647, got: 2147483648"),
        ({"backoff": "cubic"}, "expected retry.backoff to be one of exponential, linear, constant, got: 'cubic'"),
        ({"backoff": []}, "expected retry.backoff to be one of exponential, linear, constant, got: []"),
        ({"max_delay": "1m"}, "expected retry.max_delay to be a number >= 0 or null, got: '1m'"),
        ({"jitter": 1.01}, "expected retry.jitter to be a number from 0 to 1, got: 1.01"),
        ({"jitter": False}, "expected retry.jitter to be a number from 0 to 1, got: False"),
        ({"on": "OSError"}, "expected retry.on to be a list of error names and exit codes, got: 'OSError'"),
        ({"on": ["no name"]}, "expected retry.on to be a list of error names and exit codes, got: ('no name',)"),
        ({"on": ["075"]}, "expected retry.on to be a list of error names and exit codes, got: ('075',)"),
        ({"on": [True]}, "expected retry.on to be a list of error names and exit codes, got: (True,)"),
        ({"on": [""]}, "expected retry.on to be a list of error names and exit codes, got: ('',)"),
        ({"dealy": 1}, "expected retry to have only the keys max, delay, backoff, max_delay, jitter, on, got: 'dealy'"),
        ({True: ["E"]}, "expected retry to have only the keys max, delay, backoff, max_delay, jitter, on, got: True"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(data: Mapping[object, object], fault: str) -> None:
    with pytest.raises(BadInput) as caught:
        RetryPolicy.from_dict(data)
    assert caught.value.details == (fault,)


def test_all_faults_are_reported_at_once_under_the_given_name() -> None:
    with pytest.raises(BadInput) as caught:
        RetryPolicy.from_dict({"delay": "x", "max": -1, "tries": 2}, where="a.retries")
    assert str(caught.value) == "\n".join(
        [
            "a.retries cannot be used",
            "  - expected a.retries to have only the keys max, delay, backoff, max_delay, jitter, on, got: 'tries'",
            "  - expected a.retries.max to be a whole number from 0 to 2147483647, got: -1",
            "  - expected a.retries.delay to be a number >= 0, got: 'x'",
        ]
    )


def test_a_policy_made_in_python_is_checked_too() -> None:
    with pytest.raises(BadInput) as caught:
        RetryPolicy(delay_s=-1, backoff="cubic", on=["OSError"])  # type: ignore[arg-type]  # what a caller may do
    assert caught.value.details == (
        "expected delay_s to be a number >= 0, got: -1",
        "expected backoff to be one of exponential, linear, constant, got: 'cubic'",
        "expected on to be a list of error names and exit codes, got: ['OSError']",
    )


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "3", "[]", '"x"', '{"delay":NaN}'])
def test_text_that_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        RetryPolicy.from_json(text)


def test_reading_leaves_the_mapping_as_it_was() -> None:
    data = {"on": ["OSError", 75]}
    RetryPolicy.from_dict(data)
    assert data == {"on": ["OSError", 75]}


@given(
    st.builds(
        RetryPolicy,
        max_retries=st.integers(0, 2**31 - 1),
        delay_s=st.floats(0, allow_nan=False, allow_infinity=False),
        backoff=st.sampled_from(["exponential", "linear", "constant"]),
        max_delay_s=st.none() | st.floats(0, allow_nan=False, allow_infinity=False),
        jitter=st.floats(0, 1),
        on=st.lists(st.sampled_from(["OSError", "a.b.Boom", "75", "-9", "0"])).map(tuple),
    )
)
def test_json_brings_back_the_same_policy(policy: RetryPolicy) -> None:
    assert RetryPolicy.from_json(policy.to_json()) == policy


@given(st.dictionaries(st.sampled_from(["max", "delay", "backoff", "max_delay", "jitter", "on"]), st.from_type(object)))
def test_anything_else_is_bad_input_and_nothing_worse(data: dict[str, object]) -> None:
    try:
        policy = RetryPolicy.from_dict(data)
    except BadInput as error:
        assert error.details  # noqa: PT017  both ways are right; which one depends on the data
    else:
        assert RetryPolicy.from_dict(policy.to_dict()) == policy


# ---------------------------------------------------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),  # the three forms of RFC 9110 §5.6.7
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37.0),
        ("Sun Nov  6 08:49:37 1994", 37.0),
        ("Sun, 06 Nov 1994 08:48:00 GMT", 0.0),  # past: at once
        ("Mon, 06 Nov 2034 08:49:37 GMT", LONGEST_RETRY_AFTER_S),
        ("9" * 5000, LONGEST_RETRY_AFTER_S),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("٣", None),  # a digit, but none of ASCII's
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    assert parse_retry_after(value, NOW) == expected


def test_now_may_be_in_any_time_zone() -> None:
    now = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now) == 37.0


@given(st.text())
def test_no_header_is_too_odd_to_parse(value: str) -> None:
    wait_s = parse_retry_after(value, NOW)
    assert wait_s is None or 0 <= wait_s <= LONGEST_RETRY_AFTER_S


def error_with(**attributes: Any) -> Exception:
    """Return an error that carries these attributes, as those of client libraries do."""
    error = Exception("429")
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Exception("429"), None),
        (error_with(retry_after=3), 3.0),
        (error_with(retry_after=2.5), 2.5),
        (error_with(retry_after="4"), 4.0),
        (error_with(retry_after="Sun, 06 Nov 1994 08:49:37 GMT"), 37.0),
        (error_with(retry_after=-3), 0.0),
        (error_with(retry_after=10**400), LONGEST_RETRY_AFTER_S),
        (error_with(retry_after=True), None),
        (error_with(retry_after=float("nan")), None),
        (error_with(retry_after=object()), None),
        (error_with(response=None), None),
        (error_with(response=SimpleNamespace(headers=None)), None),
        (error_with(response=SimpleNamespace(headers=[("Retry-After", "5")])), None),
        (error_with(response=SimpleNamespace(headers={"Retry-After": "5"})), 5.0),
        (error_with(response=SimpleNamespace(headers={"retry-after": "5"})), 5.0),
        (error_with(headers={"Retry-After": "6"}), 6.0),  # urllib.error.HTTPError
        (error_with(retry_after="soon", response=SimpleNamespace(headers={"Retry-After": "5"})), 5.0),
    ],
)
def test_retry_after_is_found_on_the_error_without_knowing_its_library(error: Exception, expected: float) -> None:
    assert retry_after_of(error, NOW) == expected


class Hostile(Exception):
    """Every attribute raises, but for the response."""

    @property
    def retry_after(self) -> float:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> object:
        if name == "response":
            return SimpleNamespace(headers={"Retry-After": "9"})
        raise OSError(name)


def test_attributes_that_raise_hide_no_other_and_reach_nobody() -> None:
    assert retry_after_of(Hostile(), NOW) == 9.0
    assert retry_after_of(error_with(response=Hostile()), NOW) is None
