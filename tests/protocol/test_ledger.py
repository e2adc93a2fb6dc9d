"""The scenario file: round trip, golden bytes, and every kind of damage."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec.structs import replace

from protocol.ledger import End, Header, Line, Unreadable, encode, read, write

HEADER = Header(moorage="1", fingerprint={"door": "ab"}, settings={"ssh": {}}, started="now", connection="c")
LINES = tuple(
    Line(seq=seq, clock=seq / 8, actor="a", machine="door", event={"event": "x"}, answer={"type": "stale"})
    for seq in (1, 2, 3)
)
GOLDEN = (
    b'{"line":"header","format":1,"moorage":"1","fingerprint":{"door":"ab"},"settings":{"ssh":{}},"started":"now",'
    b'"connection":"c"}\n'
    b'{"line":"step","seq":1,"clock":0.125,"actor":"a","machine":"door",'
    b'"event":{"event":"x"},"answer":{"type":"stale"}}\n'
    b'{"line":"end","count":1,"why":"done",'
    b'"sha256":"fa51081b297874203573a340b2ecdbb9d200435de410607d7a8de5e50839a8f0"}\n'
)


def nested(depth: int) -> object:
    """Objects in objects, `depth` of them around a number."""
    return 7 if depth == 0 else {"a": nested(depth - 1)}


def whole() -> bytes:
    return write(HEADER, LINES, "done")


def test_what_is_written_is_read() -> None:
    scenario = read(whole())
    assert (scenario.header, scenario.lines, scenario.damage) == (HEADER, LINES, ())
    assert scenario.end is not None and (scenario.end.count, scenario.end.why) == (3, "done")


def test_golden_bytes() -> None:
    assert write(HEADER, LINES[:1], "done") == GOLDEN


def test_what_is_nested_less_deep_is_read() -> None:
    deep = replace(LINES[0], event=nested(20), answer=[nested(19)])
    assert read(write(HEADER, (deep,), "done")).lines == (deep,)


def test_a_file_without_steps_is_whole() -> None:
    assert read(write(HEADER, (), "done")).damage == ()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_deleted_step_is_noticed(number: int) -> None:
    lines = whole().splitlines(keepends=True)
    del lines[number]
    (damage, *_) = read(b"".join(lines)).damage
    assert ("gap" in damage) if number < 3 else ("counts 3" in damage)


def test_swapped_steps_are_noticed() -> None:
    lines = whole().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    assert "gap" in read(b"".join(lines)).damage[0]


def test_a_missing_end_is_noticed() -> None:
    scenario = read(b"".join(whole().splitlines(keepends=True)[:-1]))
    assert scenario.end is None and "end line is missing" in scenario.damage[0]


def test_a_line_cut_off_by_a_crash_is_noticed() -> None:
    scenario = read(whole()[:-20])
    assert len(scenario.lines) == 3 and scenario.damage[0] == "line 5 is cut off"


def test_lines_after_the_end_are_noticed() -> None:
    late = encode(LINES[0])
    assert any("after the end" in text for text in read(whole() + late).damage)
    assert any("after the end" in text for text in read(whole() + encode(End(count=3, why="done"))).damage)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no header"),
        (b"\n", "no header"),
        (b"hello\n", "no header"),
        (b"\xff\xfe\n", "no header"),
        (b"[" * 100_000, "no header"),
        (encode(LINES[0]), "no header"),
        (
            b'{"line":"header","format":2,"new":{}}\n',
            "format 2 is unknown here; this version of Moorage reads format 1",
        ),
        (b'{"line":"header","format":1,"moorage":7}\n', "header is damaged"),
        (encode(HEADER) + encode(replace(LINES[0], event=nested(21))), "line 2 is nested more than 20 deep"),
        (encode(HEADER) + encode(replace(LINES[0], answer=[nested(20)])), "line 2 is nested more than 20 deep"),
        (encode(replace(HEADER, settings={"a": nested(20)})), "header is damaged"),
        (whole() + b"{}\n", "line 6 cannot be read"),
        (whole() + b'"' + b"\xff" + b'"\n', "line 6 cannot be read"),
        (whole() + encode(HEADER), "second header"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        read(data)


@given(place=st.integers(0, len(whole()) - 1), flip=st.integers(1, 255))
def test_any_flipped_byte_is_noticed(place: int, flip: int) -> None:
    data = bytearray(whole())
    data[place] ^= flip
    try:
        assert read(bytes(data)).damage
    except Unreadable as error:
        assert str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for before in (b"", encode(HEADER)):
        try:
            assert read(before + data).damage
        except Unreadable as error:
            assert str(error)
