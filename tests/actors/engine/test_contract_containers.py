"""What every engine promises about containers, held by the fake and the real one alike."""

import pytest
import trio
import trio.testing

from actors.ports import EngineFault
from protocol.base import Size
from tests.actors.engine.conftest import Bench
from tests.fixtures_engine import RUN, TEST_LABEL
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio


async def test_create_with_missing_image_is_not_found(bench: Bench) -> None:
    with pytest.raises(EngineFault) as caught:
        await bench.engine.create_container(bench.order("/bin/true", image="moorage-test/absent:1"))
    assert caught.value.fault == "not_found"
    assert "\n" not in caught.value.why and "absent" in caught.value.why


async def test_name_conflict_with_another_token(bench: Bench) -> None:
    order = bench.order("/bin/true")
    await bench.engine.create_container(order)
    with pytest.raises(EngineFault) as caught:
        await bench.engine.create_container(bench.order("/bin/true", name=order.name))
    assert caught.value.fault == "conflict"


async def test_same_token_twice_is_the_same_container(bench: Bench) -> None:
    order = bench.order("/bin/true")
    assert await bench.engine.create_container(order) == await bench.engine.create_container(order)


@pytest.mark.parametrize("name", ["", "a/../b", "übel", "a b", "?x=1", ".."])
async def test_bad_names_are_invalid(bench: Bench, name: str) -> None:
    with pytest.raises(EngineFault) as caught:
        await bench.engine.create_container(bench.order("/bin/true", name=name))
    assert caught.value.fault == "invalid"
    bench.made.clear()


async def test_start_of_missing_command_is_invalid(bench: Bench) -> None:
    container = await bench.engine.create_container(bench.order("/bin/no-such-program"))
    with pytest.raises(EngineFault) as caught:
        await bench.engine.start_container(container)
    assert caught.value.fault == ("internal" if bench.podman else "invalid")


async def test_start_twice_is_done(bench: Bench) -> None:
    container = await bench.idle()
    await bench.engine.start_container(container)


async def test_whether_it_has_been_started(bench: Bench) -> None:
    """Before, while and after its program runs, and where it could not be run."""
    engine = bench.engine
    container = await engine.create_container(bench.order("/bin/true"))
    assert not await engine.has_been_started(container)
    await engine.start_container(container)
    assert await engine.has_been_started(container)
    await engine.wait_container(container)
    assert await engine.has_been_started(container)
    missing = await engine.create_container(bench.order("/bin/no-such-program"))
    with pytest.raises(EngineFault):
        await engine.start_container(missing)
    assert not await engine.has_been_started(missing)


async def test_nothing_there_is_not_found(bench: Bench) -> None:
    engine, sink, size = bench.engine, RecordingSink(), Size(columns=80, rows=24)
    for call in (
        lambda: engine.start_container("moorage-test-nobody"),
        lambda: engine.has_been_started("moorage-test-nobody"),
        lambda: engine.attach_container("moorage-test-nobody", False, sink),
        lambda: engine.wait_container("moorage-test-nobody"),
        lambda: engine.kill_container("moorage-test-nobody", "TERM"),
        lambda: engine.resize_container("moorage-test-nobody", size),
        lambda: engine.start_exec("0" * 64, False, None, sink),
        lambda: engine.inspect_exec("0" * 64),
        lambda: engine.resize_exec("0" * 64, size),
        lambda: engine.inspect_image("moorage-test/absent:1"),
    ):
        with pytest.raises(EngineFault) as caught:
            await call()
        assert caught.value.fault == "not_found", caught.value
    assert sink.error is None


@pytest.mark.parametrize("round_", range(20))
async def test_attach_before_start_loses_nothing(bench: Bench, round_: int) -> None:
    sink = RecordingSink()
    container = await bench.engine.create_container(bench.order("/bin/sh", "-c", "echo one; echo two >&2; exit 7"))
    await bench.engine.attach_container(container, False, sink)
    await bench.engine.start_container(container)
    end = await bench.engine.wait_container(container)
    await sink.ended.wait()
    assert (sink.out, sink.err, sink.error) == (b"one\n", b"two\n", "")
    assert (end.status, end.oom) == (7, False)


async def test_attached_stdin_and_half_close(bench: Bench) -> None:
    sink = RecordingSink()
    container = await bench.engine.create_container(bench.order("/bin/cat", stdin=True))
    stream = await bench.engine.attach_container(container, False, sink)
    stream.write(b"before ")
    await bench.engine.start_container(container)
    stream.write(b"after")
    await sink.until(b"before after")
    assert sink.error is None
    stream.write_eof()
    await sink.ended.wait()
    assert (await bench.engine.wait_container(container)).status == 0
    assert sink.out == b"before after"


async def test_half_close_without_stdin_loses_nothing(bench: Bench) -> None:
    """`ssh -n`: the end of the input comes first, and nobody reads it."""
    sink = RecordingSink()
    container = await bench.engine.create_container(bench.order("/bin/sh", "-c", "sleep 0.2; echo late; exit 4"))
    stream = await bench.engine.attach_container(container, False, sink)
    stream.write_eof()
    await bench.engine.start_container(container)
    await sink.ended.wait()
    assert sink.out == b"late\n"
    assert (await bench.engine.wait_container(container)).status == 4


async def test_end_of_input_on_a_terminal_is_nothing(bench: Bench) -> None:
    sink = RecordingSink()
    container = await bench.engine.create_container(bench.order("/bin/sh", tty=True, stdin=True))
    stream = await bench.engine.attach_container(container, True, sink)
    await bench.engine.start_container(container)
    await sink.until(b"# ")
    stream.write_eof()
    stream.write(b"echo wo''rks; exit\r")
    await sink.until(b"works")
    await sink.ended.wait()


async def test_terminal_of_a_container(bench: Bench) -> None:
    sink = RecordingSink()
    container = await bench.engine.create_container(bench.order("/bin/sh", tty=True, stdin=True))
    stream = await bench.engine.attach_container(container, True, sink)
    await bench.engine.start_container(container)
    await sink.until(b"# ")
    await bench.engine.resize_container(container, Size(columns=132, rows=43))
    stream.write(b"stty size\r")
    await sink.until(b"43 132\r\n")
    stream.write(b"echo oops >&2; exit 5\r")
    await sink.ended.wait()
    assert b"oops\r\n" in sink.out and sink.err == b""
    assert (await bench.engine.wait_container(container)).status == 5


async def test_kill_and_wait(bench: Bench) -> None:
    container = await bench.idle()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            end = await bench.engine.wait_container(container)
            assert (end.status, end.oom) == (137, False)

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await bench.engine.kill_container(container, "KILL")


async def test_trapped_signal(bench: Bench) -> None:
    sink = RecordingSink()
    script = "trap 'exit 143' TERM; echo ready; sleep infinity & wait"
    container = await bench.engine.create_container(bench.order("/bin/sh", "-c", script))
    await bench.engine.attach_container(container, False, sink)
    await bench.engine.start_container(container)
    await sink.until(b"ready")
    await bench.engine.kill_container(container, "TERM")
    assert (await bench.engine.wait_container(container)).status == 143


async def test_kill_what_does_not_run_is_a_conflict(bench: Bench) -> None:
    container = await bench.engine.create_container(bench.order("/bin/true"))
    with pytest.raises(EngineFault) as caught:
        await bench.engine.kill_container(container, "TERM")
    assert caught.value.fault == "conflict"


async def test_cancelled_wait_stops(bench: Bench) -> None:
    container = await bench.idle()
    with trio.move_on_after(0.05) as scope:
        await bench.engine.wait_container(container)
    assert scope.cancelled_caught


async def test_cancelled_create_settles(bench: Bench) -> None:
    """A caller that is cancelled in the middle can remove by name right after, and nothing comes later."""
    order = bench.order("/bin/true")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.engine.create_container, order)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    await bench.engine.remove_container(order.name, order.token)
    assert await bench.engine.list_containers({"moorage.token": order.token}) == []


async def test_remove_running_and_remove_again(bench: Bench) -> None:
    order, sink = bench.order("/bin/cat", stdin=True), RecordingSink()
    container = await bench.engine.create_container(order)
    await bench.engine.attach_container(container, False, sink)
    await bench.engine.start_container(container)
    await bench.engine.remove_container(order.name, order.token)
    await sink.ended.wait()
    await bench.engine.remove_container(order.name, order.token)
    with pytest.raises(EngineFault) as caught:
        await bench.engine.start_container(container)
    assert caught.value.fault == "not_found"


async def test_remove_with_a_foreign_token_leaves_it_alone(bench: Bench) -> None:
    order = bench.order("/bin/sleep", "infinity")
    container = await bench.engine.create_container(order)
    await bench.engine.remove_container(order.name, "somebody-else")
    await bench.engine.start_container(container)


async def test_list_by_labels(bench: Bench) -> None:
    mine = bench.order("/bin/true", labels={"moorage.instance": RUN, "kind": "a"})
    other = bench.order("/bin/true", labels={"moorage.instance": RUN, "kind": "b"})
    ids = [await bench.engine.create_container(order) for order in (mine, other)]
    both = await bench.engine.list_containers({"moorage.instance": RUN})
    assert {one.id for one in both} == set(ids)
    (only,) = await bench.engine.list_containers({"moorage.instance": RUN, "kind": "a"})
    assert (only.id, only.name) == (ids[0], mine.name)
    assert only.labels["moorage.token"] == mine.token and only.labels[TEST_LABEL] == RUN
    assert await bench.engine.list_containers({"moorage.instance": "nobody"}) == []


async def test_the_images_own_command_and_environment(bench: Bench) -> None:
    sink = RecordingSink()
    container = await bench.engine.create_container(bench.order(stdin=True, env={"FROM_ORDER": "a b"}))
    stream = await bench.engine.attach_container(container, False, sink)
    await bench.engine.start_container(container)
    stream.write(b"echo $FROM_IMAGE $FROM_ORDER\nexit 3\n")
    await sink.ended.wait()
    assert sink.out == b"yes a b\n"
    assert (await bench.engine.wait_container(container)).status == 3


async def test_image_id(bench: Bench) -> None:
    assert (await bench.engine.inspect_image(bench.image)).startswith("sha256:")
    for odd in ("../containers/json", "a?b", "", "ä"):
        with pytest.raises(EngineFault) as caught:
            await bench.engine.inspect_image(odd)
        assert caught.value.fault in ("invalid", "not_found")
