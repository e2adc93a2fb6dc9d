"""The framing of the guest agent: golden frames, any cut, hostile bytes, and no memory for what a peer only claims."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import frame_types as t
from protocol.frame_types import Close, Data, Frame, Resize, Signal, Spawn, SpawnUser, Terminal
from protocol.frames import FrameDecoder, FrameError, Sender, data_header, encode
from tests.agent.golden import golden, text_of

HELLO: dict[Sender, bytes] = {
    "host": encode(t.HostHello(window=1)),
    "agent": encode(t.AgentHello(window=1, channels_max=1)),
}


def decode(sender: Sender, *chunks: bytes) -> list[Frame]:
    """All frames behind a HELLO, pieces of one DATA joined."""
    decoder, joined = FrameDecoder(sender), list[Frame]()
    assert len(list(decoder.feed(HELLO[sender]))) == 1
    for chunk in chunks:
        for frame in decoder.feed(chunk):
            last = joined[-1] if joined else None
            if isinstance(frame, Data):
                assert frame.piece
                frame = Data(channel=frame.channel, stream=frame.stream, piece=bytes(frame.piece))
                if isinstance(last, Data) and (last.channel, last.stream) == (frame.channel, frame.stream):
                    joined[-1] = Data(channel=last.channel, stream=last.stream, piece=last.piece + frame.piece)
                    continue
            joined.append(frame)
    decoder.finish()
    return joined


@pytest.mark.parametrize("sender", ["host", "agent"])
def test_golden_frames(sender: Sender) -> None:
    for text, data in golden(sender):
        first = data if text.startswith("HELLO") else HELLO[sender] + data
        *_, frame = FrameDecoder(sender).feed(first)
        assert text_of(frame) == text
        assert encode(frame) == data


@pytest.mark.parametrize(("why", "data"), golden("host_bad"), ids=[why for why, _ in golden("host_bad")])
def test_what_no_host_may_send(why: str, data: bytes) -> None:
    decoder = FrameDecoder("host")
    if "HELLO" not in why:
        list(decoder.feed(HELLO["host"]))
    with pytest.raises(FrameError):
        list(decoder.feed(data))


channels = st.integers(1, 2**32 - 1)
u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
texts = st.binary(max_size=12).map(lambda text: text.replace(b"\0", b"0"))
lists = st.lists(texts, max_size=4).map(tuple)
terminals = st.builds(
    Terminal,
    rows=u16,
    columns=u16,
    x_pixels=u16,
    y_pixels=u16,
    modes=st.lists(st.tuples(st.integers(0, 255), u32), max_size=3).map(tuple),
)
users = st.builds(SpawnUser, uid=u32, gid=u32, groups=st.lists(u32, max_size=3).map(tuple))
spawns = st.builds(
    Spawn,
    channel=channels,
    argv=st.lists(texts, min_size=1, max_size=4).map(tuple),
    env=lists,
    program=texts,
    directory=texts,
    inherit_env=st.booleans(),
    terminal=st.none() | terminals,
    user=st.none() | users,
)
payloads = st.binary(min_size=1, max_size=40)
credits = st.integers(1, t.WINDOW_BYTES_MAX)
closes = st.builds(Close, channel=channels)
HOST = st.one_of(
    st.builds(t.Ping, mark=st.binary(min_size=8, max_size=8)),
    spawns,
    st.builds(Data, channel=channels, stream=st.just(0), piece=payloads),
    st.builds(t.EndOfFile, channel=channels, stream=st.just(0)),
    st.builds(t.Credit, channel=channels, stream=st.integers(1, 2), bytes=credits),
    st.builds(Resize, channel=channels, rows=u16, columns=u16, x_pixels=u16, y_pixels=u16),
    st.builds(Signal, channel=channels, number=st.integers(1, 64)),
    closes,
)
AGENT = st.one_of(
    st.builds(t.Pong, mark=st.binary(min_size=8, max_size=8)),
    st.builds(t.Spawned, channel=channels, pid=u32),
    st.builds(t.Err, channel=channels, stage=st.sampled_from(t.STAGES), errno=u32),
    st.builds(Data, channel=channels, stream=st.integers(1, 2), piece=payloads),
    st.builds(t.EndOfFile, channel=channels, stream=st.integers(0, 2)),
    st.builds(t.Credit, channel=channels, stream=st.just(0), bytes=credits),
    st.builds(t.Exit, channel=channels, how=st.just("status"), number=st.integers(0, 255)),
    st.builds(t.Exit, channel=channels, how=st.sampled_from(t.ENDINGS[1:]), number=st.integers(0, 64)),
    closes,
)


@given(st.data(), st.sampled_from(("host", "agent")), st.lists(st.integers(0, 40)))
def test_any_cut_gives_what_was_sent(data: st.DataObject, sender: Sender, cuts: list[int]) -> None:
    frames = data.draw(st.lists(HOST if sender == "host" else AGENT, max_size=8))
    sent = b"".join(map(encode, frames))
    chunks, at = [], 0
    for cut in cuts:
        chunks.append(sent[at : at + cut])
        at += cut
    got = decode(sender, *chunks, sent[at:])
    assert got == decode(sender, sent)
    assert b"".join(map(encode, got)) == b"".join(map(encode, decode(sender, sent)))
    if not any(isinstance(frame, Data) for frame in frames):
        assert got == frames


@given(st.sampled_from(("host", "agent")), st.binary(max_size=200))
def test_hostile_bytes_are_frames_or_an_error(sender: Sender, data: bytes) -> None:
    decoder = FrameDecoder(sender)
    list(decoder.feed(HELLO[sender]))
    try:
        for frame in decoder.feed(data):
            assert isinstance(frame, Frame)
    except FrameError as error:
        assert str(error)


@given(st.sampled_from(("host", "agent")), st.data())
def test_one_damaged_byte_is_a_frame_or_an_error(sender: Sender, data: st.DataObject) -> None:
    sent = bytearray(encode(data.draw(HOST if sender == "host" else AGENT)))
    sent[data.draw(st.integers(0, len(sent) - 1))] ^= data.draw(st.integers(1, 255))
    decoder = FrameDecoder(sender)
    list(decoder.feed(HELLO[sender]))
    try:
        list(decoder.feed(bytes(sent)))
        decoder.finish()
    except FrameError as error:
        assert str(error)


def test_pieces_are_views_and_come_at_once() -> None:
    decoder = FrameDecoder("agent")
    data = HELLO["agent"] + data_header(7, t.STDOUT, 3) + b"a"
    *_, first = decoder.feed(data)
    assert isinstance(first, Data) and isinstance(first.piece, memoryview)
    assert (first.channel, first.stream, bytes(first.piece), first.piece.obj is data) == (7, 1, b"a", True)
    assert [bytes(frame.piece) for frame in decoder.feed(b"bc") if isinstance(frame, Data)] == [b"bc"]


def test_much_data_takes_no_memory() -> None:
    decoder, block = FrameDecoder("agent"), data_header(1, t.STDOUT, 65536) + bytes(65536)
    list(decoder.feed(HELLO["agent"]))
    tracemalloc.start()
    try:
        for _ in range(100):
            for _frame in decoder.feed(block):
                pass
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kept", range(1, 14))
def test_end_inside_a_frame(kept: int) -> None:
    decoder = FrameDecoder("agent")
    list(decoder.feed(HELLO["agent"] + (data_header(1, t.STDOUT, 9) + b"x")[:kept]))
    with pytest.raises(FrameError, match="inside a frame"):
        decoder.finish()


def test_hello_is_first_and_once() -> None:
    with pytest.raises(FrameError, match="HELLO"):
        list(FrameDecoder("agent").feed(encode(Close(channel=1))))
    with pytest.raises(FrameError, match="HELLO"):
        list(FrameDecoder("agent").feed(HELLO["agent"] * 2))


@pytest.mark.parametrize("how, number", [(0, 256), (1, 65)])
def test_an_exit_that_cannot_be(how: int, number: int) -> None:
    data = bytes([4, 0, 0, 0, 12, how, 0, 0, 1, 0, 0, 0]) + number.to_bytes(4, "little")
    with pytest.raises(FrameError, match="EXIT"):
        list(FrameDecoder("agent").feed(HELLO["agent"] + data))


@pytest.mark.parametrize("frame", [
    Spawn(channel=1, argv=()),
    Spawn(channel=1, argv=(b"a\0b",)),
    Spawn(channel=1, argv=(b"a",), env=(b"X=\0",)),
    Spawn(channel=0, argv=(b"a",)),
    Spawn(channel=1, argv=(bytes(1 << 20).replace(b"\0", b"x"),)),
    Spawn(channel=1, argv=(b"a",), user=SpawnUser(uid=0, gid=0, groups=range(65))),
    Spawn(channel=1, argv=(b"a",), user=SpawnUser(uid=-1, gid=0)),
    Spawn(channel=1, argv=(b"a",), terminal=Terminal(rows=1, columns=1, modes=[(1, 1)] * 257)),
    Spawn(channel=1, argv=(b"a",), terminal=Terminal(rows=70000, columns=1)),
    Spawn(channel=1, argv=(b"a",), slave_given=True),
    Signal(channel=1, number=65),
    Signal(channel=1, number=300),
    Close(channel=2**32),
    Close(channel=0),
    Data(channel=1, stream=0, piece=b""),
    Data(channel=1, stream=0, piece=bytes(65537)),
    t.Ping(mark=b"short"),
    t.Err(channel=1, stage="nowhere", errno=1),
])  # fmt: skip
def test_what_cannot_be_sent(frame: Any) -> None:
    with pytest.raises(FrameError):
        encode(frame)


@pytest.mark.parametrize("length", [0, 65537])
def test_a_payload_that_cannot_be_sent(length: int) -> None:
    with pytest.raises(FrameError):
        data_header(1, t.STDIN, length)


def test_the_golden_files_hold_each_type() -> None:
    seen = {text.split()[0] for name in ("host", "agent") for text, _ in golden(name)}
    assert len(seen) == 13
