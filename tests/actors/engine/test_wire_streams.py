"""What the wire can do to a stream: all of it at once, crooked frames, no switch, an end in one direction."""

import time

import pytest
import trio

from actors.engine.docker import DockerEngine
from actors.ports import EngineFault
from tests.actors.engine.crooked import SWITCHED, Asked, CrookedEngine, connect, http
from tests.protocol.test_stdcopy import frame
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio


async def streamed(engine: DockerEngine, crooked: CrookedEngine, data: bytes, tty: bool = False) -> RecordingSink:
    """What a sink hears of an exec whose connection carries `data` and then ends."""
    crooked.answers["POST /exec/e/start"] = data
    sink = RecordingSink()
    await engine.start_exec("e", tty, None, sink)
    assert sink.size == 0 and sink.error is None, "the sink was called before the stream was there"
    with trio.fail_after(5):
        await sink.ended.wait()
    return sink


async def test_what_comes_with_the_101_is_not_lost(crooked: CrookedEngine) -> None:
    async with connect(crooked) as engine:
        for _ in range(30):
            sink = await streamed(engine, crooked, SWITCHED + frame(1, b"out") + frame(2, b"err"))
            assert (sink.out, sink.err, sink.error) == (b"out", b"err", "")
        sink = await streamed(engine, crooked, SWITCHED + b"raw\x01" * 100_000, tty=True)
        assert sink.out == b"raw\x01" * 100_000 and sink.error == ""


async def test_all_was_over_before_we_looked(crooked: CrookedEngine) -> None:
    """The loop is held up while the engine switches, sends and closes: still nothing is lost."""

    async def fast(asked: Asked, stream: trio.SocketStream) -> None:
        await stream.send_all(SWITCHED + frame(1, b"out"))
        stream.socket.close()
        time.sleep(0.05)  # noqa: ASYNC251 (holding everything up is the point)

    crooked.answers["POST /exec/e/start"] = fast
    async with connect(crooked) as engine:
        for _ in range(10):
            sink = RecordingSink()
            stream = await engine.start_exec("e", False, None, sink)
            stream.write(b"to nobody")
            stream.write_eof()
            await sink.ended.wait()
            assert sink.out == b"out"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x07garbage!", "not a frame header: 0767617262616765"),
        (frame(1, b"whole")[:-2], "the stream ended inside a frame"),
        (frame(1, b"x")[:5], "the stream ended inside a frame"),
        (frame(3, b"the engine's own trouble\n") + frame(3, b"x" * 3000), "the engine's own trouble xxx"),
    ],
)
async def test_crooked_frames_are_told(crooked: CrookedEngine, data: bytes, error: str) -> None:
    async with connect(crooked) as engine:
        sink = await streamed(engine, crooked, SWITCHED + frame(1, b"fine ") + data)
        assert sink.out.startswith(b"fine ") and (sink.error or "").startswith(error)
        assert len(sink.error or "") <= 600


async def test_an_engine_that_does_not_switch(crooked: CrookedEngine) -> None:
    crooked.answers["POST /exec/e/start"] = http(200, b"hello", kind="text/plain")
    async with connect(crooked) as engine:
        with pytest.raises(EngineFault) as caught:
            await engine.start_exec("e", False, None, RecordingSink())
        assert caught.value.fault == "internal"


async def test_half_close_is_seen_by_the_engine(crooked: CrookedEngine) -> None:
    got = b""

    async def read_all(asked: Asked, stream: trio.SocketStream) -> bytes:
        nonlocal got
        await stream.send_all(SWITCHED)
        while piece := await stream.receive_some():
            got += piece
        return frame(1, b"after your end")

    crooked.answers["POST /exec/e/start"] = read_all
    async with connect(crooked) as engine:
        sink = RecordingSink()
        stream = await engine.start_exec("e", False, None, sink)
        stream.write(b"x" * 2_000_000)
        stream.write_eof()
        await sink.ended.wait()
    assert len(got) == 2_000_000 and sink.out == b"after your end"
