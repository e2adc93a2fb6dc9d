"""What every engine promises about execs and their streams, held by the fake and the real one alike."""

import hashlib
import os

import pytest
import trio
import trio.testing

from actors.ports import EngineFault, ExecOrder
from protocol.base import Size
from tests.actors.engine.conftest import Bench
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio


async def test_output_and_status(bench: Bench) -> None:
    container = await bench.idle()
    sink, end = await bench.exec(container, "/bin/sh", "-c", "echo out; echo err >&2; exit 3")
    assert (sink.out, sink.err, sink.error) == (b"out\n", b"err\n", "")
    assert (end.status, end.oom) == (3, False)


async def test_environment_over_the_images(bench: Bench) -> None:
    container = await bench.idle()
    script = "echo $FROM_IMAGE $NAME"
    sink, _ = await bench.exec(container, "/bin/sh", "-c", script, env={"NAME": "a=b $c 'd' ü"})
    assert sink.out == "yes a=b $c 'd' ü\n".encode()
    sink, _ = await bench.exec(container, "/bin/sh", "-c", script, env={"FROM_IMAGE": "no"})
    assert sink.out.split() == [b"no"]


async def test_half_close_gives_all(bench: Bench) -> None:
    container = await bench.idle()
    data = bytes(range(256)) * 4000
    sink, end = await bench.exec(container, "/bin/cat", stdin=data)
    assert sink.out == data and end.status == 0


async def test_program_outlives_its_stdin(bench: Bench) -> None:
    container = await bench.idle()
    sink, end = await bench.exec(container, "/bin/sh", "-c", "cat; sleep 0.3; echo late; exit 9", stdin=b"early ")
    assert (sink.out, end.status) == (b"early late\n", 9)


async def test_input_is_paused_and_resumed(bench: Bench) -> None:
    """More input than anybody keeps: the sink is told, once, and told again when there is room."""
    container = await bench.idle()
    sink = RecordingSink(keep=False)
    exec_id = await bench.engine.create_exec(ExecOrder(container=container, command=["/bin/cat"]))
    stream = await bench.engine.start_exec(exec_id, False, None, sink)
    piece, total = bytes(64 * 1024), 0
    for _ in range(400):
        stream.write(piece)
        total += len(piece)
        await sink.until_input_flows()
    stream.write_eof()
    await sink.ended.wait()
    assert sink.size == total and sink.pauses > 0


async def test_big_output_is_whole(bench: Bench) -> None:
    last = 100_000 if bench.is_fake else 7_000_000  # 55 MB
    container = await bench.idle()
    sink = RecordingSink(keep=False)
    exec_id = await bench.engine.create_exec(ExecOrder(container=container, command=["/bin/seq", "1", str(last)]))
    await bench.engine.start_exec(exec_id, False, None, sink)
    await sink.ended.wait()
    expected = hashlib.sha256()
    for start in range(1, last + 1, 100_000):
        expected.update("".join(f"{n}\n" for n in range(start, min(start + 100_000, last + 1))).encode())
    assert sink.hash.digest() == expected.digest()


async def test_paused_output_waits(bench: Bench) -> None:
    """While the output is paused nothing comes, and the program cannot end; then all of it comes."""
    container = await bench.idle()
    sink = RecordingSink(keep=False)
    total = 8_000_000
    command = ["/bin/head", "-c", str(total), "/dev/zero"]
    exec_id = await bench.engine.create_exec(ExecOrder(container=container, command=command))
    stream = await bench.engine.start_exec(exec_id, False, None, sink)
    stream.pause_output()
    paused_at = sink.size
    await trio.sleep(0.3)
    assert sink.size == paused_at < total
    assert await bench.engine.inspect_exec(exec_id) is None
    stream.resume_output()
    await sink.ended.wait()
    assert sink.size == total


async def test_closed_stream_is_silent(bench: Bench) -> None:
    container = await bench.idle()
    sink = RecordingSink()
    exec_id = await bench.engine.create_exec(ExecOrder(container=container, command=["/bin/cat"]))
    stream = await bench.engine.start_exec(exec_id, False, None, sink)
    stream.write(b"x")
    await sink.until(b"x")
    stream.close()
    stream.write(b"y")
    stream.write_eof()
    stream.pause_output()
    stream.resume_output()
    stream.close()
    await trio.sleep(0.1)
    assert (sink.out, sink.error) == (b"x", None)


async def test_terminal(bench: Bench) -> None:
    container = await bench.idle()
    sink = RecordingSink()
    order = ExecOrder(container=container, command=["/bin/sh"], tty=True, size=Size(columns=80, rows=24))
    exec_id = await bench.engine.create_exec(order)
    stream = await bench.engine.start_exec(exec_id, True, order.size, sink)
    await sink.until(b"# ")
    await bench.engine.resize_exec(exec_id, Size(columns=101, rows=37))
    stream.write(b"stty size\r")
    await sink.until(b"37 101\r\n")
    stream.write(b"exit 4\r")
    await sink.ended.wait()
    end = await bench.engine.inspect_exec(exec_id)
    assert end is not None and end.status == 4 and sink.err == b""


async def test_no_key_detaches(bench: Bench) -> None:
    """Ctrl-P arrives at once and Ctrl-P Ctrl-Q is input like any other, for execs and for containers."""
    container = await bench.engine.create_container(bench.order("/bin/sh", tty=True, stdin=True))
    outer = RecordingSink()
    attached = await bench.engine.attach_container(container, True, outer)
    await bench.engine.start_container(container)
    inner = RecordingSink()
    exec_id = await bench.engine.create_exec(ExecOrder(container=container, command=["/bin/sh"], tty=True))
    started = await bench.engine.start_exec(exec_id, True, None, inner)
    for sink, stream in ((outer, attached), (inner, started)):
        await sink.until(b"# ")
        stream.write(b"stty raw -echo; echo rea''dy; cat\r")
        await sink.until(b"ready")
        for keys in (b"\x10", b"\x10\x11", b"\x00", b"\x10\x11x"):
            seen = len(sink.out)
            # A NUL alone is held back until the next key; everything else is not.
            stream.write(keys if keys != b"\x00" else b"\x00-")
            await sink.until(keys)
            assert len(sink.out) >= seen and sink.error is None


async def test_two_streams_do_not_mix(bench: Bench) -> None:
    container = await bench.idle()
    said: dict[str, bytes] = {}

    async def talk(word: str) -> None:
        sink, _ = await bench.exec(container, "/bin/cat", stdin=word.encode() * 20_000)
        said[word] = sink.out

    async with trio.open_nursery() as nursery:
        for word in ("a", "bb", "ccc"):
            nursery.start_soon(talk, word)
    assert said == {word: word.encode() * 20_000 for word in ("a", "bb", "ccc")}


async def test_missing_program_has_a_status(bench: Bench) -> None:
    container = await bench.idle()
    sink, end = await bench.exec(container, "/bin/no-such-program")
    assert end.status in (126, 127)
    assert b"no-such-program" in sink.out + sink.err


async def test_exec_needs_a_running_container(bench: Bench) -> None:
    container = await bench.engine.create_container(bench.order("/bin/true"))
    with pytest.raises(EngineFault) as caught:
        await bench.engine.create_exec(ExecOrder(container=container, command=["/bin/true"]))
    assert caught.value.fault == "conflict"


async def test_empty_command_is_invalid(bench: Bench) -> None:
    container = await bench.idle()
    with pytest.raises(EngineFault) as caught:
        await bench.engine.create_exec(ExecOrder(container=container, command=[]))
    assert caught.value.fault == ("internal" if bench.podman else "invalid")


async def test_exec_ends_with_its_container(bench: Bench) -> None:
    order = bench.order("/bin/sleep", "infinity")
    container = await bench.engine.create_container(order)
    await bench.engine.start_container(container)
    sink = RecordingSink()
    exec_id = await bench.engine.create_exec(ExecOrder(container=container, command=["/bin/sleep", "infinity"]))
    await bench.engine.start_exec(exec_id, False, None, sink)
    assert await bench.engine.inspect_exec(exec_id) is None
    await bench.engine.remove_container(order.name, order.token)
    await sink.ended.wait()
    assert sink.error == ""


async def test_many_calls_and_streams_leave_no_descriptor(bench: Bench) -> None:
    container = await bench.idle()
    await bench.exec(container, "/bin/true")
    await trio.testing.wait_all_tasks_blocked(0.05)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await bench.exec(container, "/bin/true")
    for _ in range(1000):
        await bench.engine.inspect_image(bench.image)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
