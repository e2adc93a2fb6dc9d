"""The parser of the engine's multiplexed stream: whatever the cuts, the same bytes; whatever the lengths, no memory."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.stdcopy import STDERR, STDIN, STDOUT, SYSTEM, StdcopyError, StdcopyParser


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def gather(chunks: list[bytes]) -> list[tuple[int, bytes]]:
    """Everything the parser gives, neighbours of one stream joined; and the end is in order."""
    parser = StdcopyParser()
    joined: list[tuple[int, bytes]] = []
    for chunk in chunks:
        for stream, piece in parser.feed(chunk):
            assert piece
            if joined and joined[-1][0] == stream:
                joined[-1] = (stream, joined[-1][1] + piece)
            else:
                joined.append((stream, piece))
    parser.finish()
    return joined


FRAMES = st.lists(st.tuples(st.sampled_from((STDIN, STDOUT, STDERR, SYSTEM)), st.binary(max_size=40)), max_size=12)


@given(FRAMES, st.lists(st.integers(0, 60)))
def test_any_cut_gives_the_same(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(stream, payload) for stream, payload in frames)
    chunks, at = [], 0
    for cut in cuts:
        chunks.append(data[at : at + cut])
        at += cut
    chunks.append(data[at:])
    assert gather(chunks) == gather([data])
    for stream in (STDIN, STDOUT, STDERR, SYSTEM):
        sent = b"".join(payload for to, payload in frames if to == stream)
        assert b"".join(piece for to, piece in gather(chunks) if to == stream) == sent


def test_one_frame_in_one_read() -> None:
    assert list(StdcopyParser().feed(frame(STDERR, b"oops"))) == [(STDERR, b"oops")]


def test_pieces_come_at_once() -> None:
    """The payload of a frame is not waited for."""
    parser = StdcopyParser()
    assert list(parser.feed(bytes([STDOUT, 0, 0, 0, 0, 0, 1, 0]) + b"a")) == [(STDOUT, b"a")]
    assert list(parser.feed(b"b")) == [(STDOUT, b"b")]


def test_hostile_length_takes_no_memory() -> None:
    parser = StdcopyParser()
    piece = bytes(64 * 1024)
    tracemalloc.start()
    try:
        assert list(parser.feed(bytes([STDOUT, 0, 0, 0]) + b"\xff\xff\xff\xff")) == []
        for _ in range(200):
            for _piece in parser.feed(piece):
                pass
        assert tracemalloc.get_traced_memory()[1] < 4 * len(piece)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("header", [b"\x04\0\0\0\0\0\0\1", b"\x01\0\1\0\0\0\0\1", b"HTTP/1.1", b"\xff" * 8])
def test_what_is_no_header_is_an_error(header: bytes) -> None:
    parser = StdcopyParser()
    given = parser.feed(frame(STDOUT, b"fine") + header)
    assert next(given) == (STDOUT, b"fine")
    with pytest.raises(StdcopyError, match=header.hex()):
        next(given)


@pytest.mark.parametrize("kept", range(1, 12))
def test_end_inside_a_frame(kept: int) -> None:
    parser = StdcopyParser()
    list(parser.feed(frame(STDOUT, b"full") + frame(STDOUT, b"word")[:kept]))
    with pytest.raises(StdcopyError):
        parser.finish()


def test_end_between_frames() -> None:
    parser = StdcopyParser()
    list(parser.feed(frame(STDOUT, b"") + frame(STDOUT, b"x")))
    parser.finish()
