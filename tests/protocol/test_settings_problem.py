"""Sentences, and the meaning of unquoted text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.settings_problem import (
    DURATION_MAX_NS,
    Plain,
    Problem,
    SettingsError,
    above,
    bytes_meant,
    is_within,
    kind_of,
    nanoseconds,
    nearest,
    resolved,
    shown,
)


def test_a_problem_is_one_line() -> None:
    assert str(Problem("a.b", "found")) == "a.b: found"
    assert str(Problem("a.b", "found", "this", "do that", 7)) == "a.b: found; allowed: this; do that (line 7)"
    assert str(Problem("", "found")) == "the configuration: found"


def test_a_key_cannot_forge_a_line() -> None:
    assert str(Problem("a\nb", "x\x1b[2J\ud800")) == "a\\nb: x\\x1b[2J\\ud800"


def test_the_error_lists_its_problems() -> None:
    error = SettingsError([Problem("a", "x"), Problem("b", "y")], [Problem("c", "z")])
    assert str(error) == "a: x\nb: y"
    assert (len(error.problems), len(error.warnings), error.settings) == (2, 1, None)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("no", "no"),
        ("yes", "yes"),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("0o17", 15),
        ("017", 15),
        ("-017", -15),
        ("08", 8.0),
        ("0x_", "0x_"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("22:22", "22:22"),
        ("2001-01-01", "2001-01-01"),
        ("9" * 5000, "9" * 5000),
        ("-", "-"),
        ("1.2.3", "1.2.3"),
        (".", "."),
        ("\u0663", "\u0663"),
    ],
)
def test_plain_text_is_resolved_as_yaml_1_2_does(text: str, meaning: object) -> None:
    value = resolved(Plain(text))
    assert (value, type(value)) == (meaning, type(meaning))
    assert resolved(text) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (Plain("false"), "false"),
        (Plain("12"), "the number 12"),
        (10**400, "a number that is too large"),
        ("it's", 'the text "it\'s"'),
        ("x" * 61, f"the text '{'x' * 60}'..."),
        ("x" * 60, f"the text '{'x' * 60}'"),
        ({}, "a mapping"),
        ((), "a list"),
        (b"", "something else"),
    ],
)
def test_what_is_shown_of_a_value(raw: object, text: str) -> None:
    assert shown(raw) == text


@pytest.mark.parametrize(
    ("raw", "text"), [("secret", "text"), (None, "nothing"), (5, "a number"), ([], "a list"), ({}, "a mapping")]
)
def test_the_kind_of_a_value_keeps_the_value_to_itself(raw: object, text: str) -> None:
    assert kind_of(raw) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60s", 60 * 10**9),
        ("1m30s", 90 * 10**9),
        ("100ms", 10**8),
        ("1.5h", 5400 * 10**9),
        ("0", 0),
        ("0s", 0),
        (".5s", 5 * 10**8),
        ("1.s", 10**9),
        ("3us", 3000),
        ("3µs", 3000),
        ("3μs", 3000),
        ("7ns", 7),
        ("1h1m1s1ms", 3661001 * 10**6),
        ("", None),
        ("60", None),
        ("-5s", None),
        ("+5s", None),
        ("5 s", None),
        ("s", None),
        ("5x", None),
        ("5S", None),
        (".s", None),
        ("9" * 59 + "s", None),
        ("1" * 61 + "s", None),
        ("\u0663s", None),
    ],
)
def test_durations_are_gos(text: str, expected: int | None) -> None:
    assert nanoseconds(text) == expected


@given(st.text(alphabet="0123456789.hmsuµn-+ ", max_size=70))
def test_any_text_is_a_duration_in_range_or_none(text: str) -> None:
    length = nanoseconds(text)
    assert length is None or 0 <= length <= DURATION_MAX_NS


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512m", 2**29), ("1.5g", 3 * 2**29), ("64 KiB", 2**16), ("2TB", 2**41), ("512", None), ("m", None), ("1x", None)],
)
def test_how_many_bytes_somebody_meant(text: str, expected: int | None) -> None:
    assert bytes_meant(text) == expected


def test_the_nearest_name() -> None:
    assert nearest("imagepulpolicy", ["imagePullPolicy", "mode"]) == "imagePullPolicy"
    assert nearest("zzz", ["mode"]) == ""


def test_paths() -> None:
    assert is_within("a.B[1]", "a.b")
    assert is_within("a", "a")
    assert not is_within("a.bc", "a.b")
    assert above("a.b[1]") == "a.b"
    assert above("a.b") == "a"
    assert above("a") == ""
