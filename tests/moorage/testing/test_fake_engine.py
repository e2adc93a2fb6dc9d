"""What only the fake engine has: failpoints, crashes, its clock and its checks. The contract suite holds the rest."""

from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
import pytest_trio
import trio
from trio.testing import MockClock

from actors.ports import ContainerOrder, EngineFault, ExecOrder
from moorage.testing import Failpoints, FakeEngine, FakeImage
from moorage.testing.fake_container import FakeRun
from protocol.base import Size
from protocol.settings import GUEST_IMAGE, IDLE_COMMAND, SHELL_COMMAND
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio


def order(name: str = "n", *command: str, **fields: object) -> ContainerOrder:
    return ContainerOrder(
        **{"name": name, "token": "t", "image": GUEST_IMAGE, "command": command or IDLE_COMMAND, **fields}
    )


async def fault_of(call: Awaitable[object]) -> str:
    with pytest.raises(EngineFault) as caught:
        await call
    return caught.value.fault


@pytest_trio.trio_fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine.open() as made:
        yield made


async def running(engine: FakeEngine, name: str = "n") -> str:
    container = await engine.create_container(order(name))
    await engine.start_container(container)
    return container


async def test_failpoints_in_order(engine: FakeEngine, autojump_clock: MockClock) -> None:
    engine.failpoints.set("create_container: 1*off -> 2*fail(unavailable) -> 1*lose(internal) -> off")
    await engine.create_container(order("a"))
    assert await fault_of(engine.create_container(order("b"))) == "unavailable"
    assert await fault_of(engine.create_container(order("b"))) == "unavailable"
    assert engine.alive == {"a"}
    assert await fault_of(engine.create_container(order("b"))) == "internal"
    assert engine.alive == {"a", "b"}
    await engine.create_container(order("c"))
    assert engine.calls["create_container"] == 5


async def test_times_of_failpoints(engine: FakeEngine, autojump_clock: MockClock) -> None:
    start = trio.current_time()
    engine.failpoints.set("create_container: 1*delay(0.2) -> 1*delay(99) -> 1*hang -> 1*late(3)")
    await engine.create_container(order("a"))
    assert trio.current_time() - start == pytest.approx(0.2)
    for name in ("b", "c", "d"):
        before = trio.current_time()
        assert await fault_of(engine.create_container(order(name))) == "timeout"
        assert trio.current_time() - before == pytest.approx(15)
        assert name not in engine.alive
    await trio.sleep(3.1)
    assert engine.alive == {"a", "d"}


@pytest.mark.parametrize(
    "line", ["create", "create: fail", "create: fail(oops)", "create: 2*", "x: explode", "x: off -> ", ": off"]
)
async def test_bad_failpoints(line: str) -> None:
    with pytest.raises(ValueError):
        Failpoints([line], Random(0))


async def test_share_of_calls_is_the_seeds() -> None:
    def draw(seed: int) -> list[str]:
        points = Failpoints(["x: 30%fail(internal)"], Random(seed))
        return [points.next("x").kind for _ in range(1000)]

    assert draw(1) == draw(1) != draw(2)
    assert 250 < draw(1).count("fail") < 350


async def test_cancelled_call_settles(engine: FakeEngine, autojump_clock: MockClock) -> None:
    engine.failpoints.set("create_container: delay(1)")
    with trio.move_on_after(0.5) as scope:
        await engine.create_container(order("a"))
    assert engine.alive == {"a"} and trio.current_time() >= 1
    assert not scope.cancelled_caught  # the answer came; the cancellation would come at the next checkpoint


async def test_crash_and_restart(engine: FakeEngine, autojump_clock: MockClock) -> None:
    container = await running(engine)
    sink = RecordingSink()
    exec_id = await engine.create_exec(ExecOrder(container=container, command=["cat"]))
    await engine.start_exec(exec_id, False, None, sink)
    engine.registry["r/slow:1"] = FakeImage(pull_seconds=100)
    broken: list[str] = []

    async def hears(call: Callable[[], Awaitable[object]]) -> None:
        broken.append(await fault_of(call()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hears, lambda: engine.wait_container(container))
        nursery.start_soon(hears, lambda: engine.pull_image("r/slow:1", {}, {}, lambda line: None))
        engine.failpoints.set("create_container: delay(1)")
        nursery.start_soon(hears, lambda: engine.create_container(order("other")))
        await trio.sleep(0.5)
        engine.crash()
    assert broken == ["unavailable"] * 3 and sink.ended.is_set()
    assert await fault_of(engine.list_containers({})) == "unavailable"
    assert engine.alive == {"n"}
    engine.restart()
    assert (await engine.wait_container(container)).status == 137
    await engine.remove_container("n", "t")
    assert engine.alive == set()
    assert {name: n for name, n in engine.statistics().items() if n} == {"calls": engine.calls.total()}


async def test_restart_that_keeps_containers(engine: FakeEngine, autojump_clock: MockClock) -> None:
    container = await running(engine)
    engine.crash()
    engine.restart(containers_die=False)
    assert engine.statistics()["running"] == 1
    await engine.kill_container(container, "KILL")


async def test_pull_takes_its_time_and_tells(engine: FakeEngine, autojump_clock: MockClock) -> None:
    engine.registry["r/a:1"] = FakeImage(pull_seconds=8, size_bytes=30_100_000, layers=3)
    lines: list[str] = []
    await engine.pull_image("r/a:1", {}, {}, lines.append)
    assert trio.current_time() == pytest.approx(8)
    assert lines[1] == "r/a:1: downloading 3 layers, 7.5 of 30.1 MB" and lines[-1] == "r/a:1: pulled 3 layers, 30.1 MB"


async def test_out_of_memory(engine: FakeEngine, autojump_clock: MockClock) -> None:
    container = await running(engine)
    exec_id = await engine.create_exec(ExecOrder(container=container, command=["cat"]))
    sink = RecordingSink()
    await engine.start_exec(exec_id, False, None, sink)
    engine.out_of_memory("n")
    await sink.ended.wait()
    assert (await engine.wait_container(container)).oom
    end = await engine.inspect_exec(exec_id)
    assert end is not None and end.oom and end.status == 137


async def test_idle_and_shell_commands_of_the_defaults(engine: FakeEngine, autojump_clock: MockClock) -> None:
    container = await running(engine)
    sink = RecordingSink()
    exec_id = await engine.create_exec(ExecOrder(container=container, command=SHELL_COMMAND))
    stream = await engine.start_exec(exec_id, False, None, sink)
    stream.write(b"echo hello\nfalse || echo two && echo three; nonsense\nexit 6\n")
    await sink.ended.wait()
    assert sink.out == b"hello\ntwo\nthree\n" and b"nonsense: not found" in sink.err
    end = await engine.inspect_exec(exec_id)
    assert end is not None and end.status == 6
    await engine.kill_container(container, "HUP")  # not trapped: PID 1 does not even notice
    await trio.sleep(1)
    assert engine.statistics()["running"] == 1
    await engine.kill_container(container, "TERM")
    assert (await engine.wait_container(container)).status == 143


@pytest.mark.parametrize(("api", "said"), [((1, 41), b"0 0"), ((1, 42), b"43 132")])
async def test_first_size(autojump_clock: MockClock, api: tuple[int, int], said: bytes) -> None:
    async with FakeEngine.open(api=api) as engine:
        container = await running(engine)
        sink = RecordingSink()
        exec_id = await engine.create_exec(ExecOrder(container=container, command=["stty", "size"], tty=True))
        await engine.start_exec(exec_id, True, Size(columns=132, rows=43), sink)
        await sink.ended.wait()
        assert sink.out == said + b"\r\n"


async def test_same_seed_same_ids(autojump_clock: MockClock) -> None:
    ids = []
    for seed in (1, 1, 2):
        async with FakeEngine.open(seed=seed, jitter_s=0.1) as engine:
            ids.append((await engine.create_container(order()), trio.current_time() * 0))
    assert ids[0] == ids[1] != ids[2]


async def test_a_stream_that_breaks_before_its_answer_is_there_ends_right_behind_it() -> None:
    run, sink = FakeRun(["/bin/true"], {}, False, False, False), RecordingSink()
    stream = run.attach(sink)
    run.cut("gone")
    assert sink.error is None
    stream.begin()
    assert sink.error == "gone"
