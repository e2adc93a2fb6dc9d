"""The fake engine's agent through the real link, on a clock that jumps."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_trio
import trio
from trio.testing import MockClock

from actors.agent.bring import BroughtAgents
from actors.agent.link import Link
from actors.agent.relayed import OUTPUT_BYTES_MAX
from actors.ports import ContainerOrder, SpawnOrder
from moorage.testing import FakeEngine
from protocol.base import Event, Size
from protocol.container import AgentGreeted, LinkLost
from protocol.frame_types import SIGNALS
from protocol.session import ProgramExited, ProgramSpawned, SpawnFailed
from protocol.settings import GUEST_IMAGE
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio


class Place:
    """One served container."""

    def __init__(self, engine: FakeEngine, link: Link) -> None:
        self.engine, self.link = engine, link
        self.about: list[Event] = []
        self.heard: list[Event] = []

    def run(self, *argv: str, keep: bool = True, **order: Any) -> tuple[RecordingSink, Any]:
        sink = RecordingSink(keep)
        return sink, self.link.spawn(SpawnOrder(argv=argv, **order), sink, self.heard.append)

    async def until(self, kind: type[Event]) -> Event:
        with trio.fail_after(600):
            while True:
                for event in (*self.heard, *self.about):
                    if isinstance(event, kind):
                        return event
                await trio.sleep(0.01)


@pytest_trio.trio_fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakeEngine.open() as engine, trio.open_nursery() as nursery:
        agents = BroughtAgents(b"any", "0" * 64, tmp_path / "links")
        assert await agents.probe(engine, {}, ["attach"]) == ""
        nursery.start_soon(agents.run)
        link = await agents.open(ContainerOrder(name="n", token="t", image=GUEST_IMAGE, env={"OWN": "yes"}))
        container = await engine.create_container(link.order)
        link.made(container)
        link.join(await engine.attach_container(container, False, link.sink))
        made = Place(engine, link)
        link.report(made.about.append)
        await engine.start_container(container)
        await made.until(AgentGreeted)
        yield made
        link.close()
        nursery.cancel_scope.cancel()


async def test_a_program_and_its_end(autojump_clock: MockClock, place: Place) -> None:
    sink, _ = place.run("sh", "-c", "echo $OWN $MORE $MOORAGE_TOKEN; echo err >&2; exit 7", env={"MORE": "too"})
    with trio.fail_after(600):
        await sink.ended.wait()
    assert (sink.out, sink.err) == (b"yes too \n", b"err\n")
    await place.until(ProgramExited)
    assert place.heard == [ProgramSpawned(pid=2), ProgramExited(status=7)]


async def test_what_is_not_there(autojump_clock: MockClock, place: Place) -> None:
    place.run("/no/such/program")
    failed = await place.until(SpawnFailed)
    assert isinstance(failed, SpawnFailed) and failed.status == 127


@pytest.mark.parametrize("name", SIGNALS)
async def test_signals(autojump_clock: MockClock, place: Place, name: str) -> None:
    _, served = place.run("sh", "-c", "sleep infinity")
    served.signal(name)
    assert await place.until(ProgramExited) == ProgramExited(signal=name)


async def test_a_terminal(autojump_clock: MockClock, place: Place) -> None:
    sink, served = place.run("sh", tty=True, size=Size(columns=80, rows=24))
    served.write(b"stty size\r")
    await sink.until(b"24 80\r\n")
    served.resize(Size(columns=100, rows=50))
    served.write(b"stty size\r")
    await sink.until(b"50 100\r\n")
    served.write(b"exit 4\r")
    assert await place.until(ProgramExited) == ProgramExited(status=4)


async def test_megabytes_both_ways(autojump_clock: MockClock, place: Place) -> None:
    sink, served = place.run("cat", keep=False)
    for _ in range(50):
        await sink.until_input_flows()
        served.write(bytes(100_000))
    served.write_eof()
    with trio.fail_after(600):
        await sink.ended.wait()
    assert sink.size == 5_000_000


async def test_a_slow_reader_stops_the_program(autojump_clock: MockClock, place: Place) -> None:
    sink, served = place.run("head", "-c", "5000000", "/dev/zero", keep=False)
    served.pause_output()
    await trio.sleep(60)
    assert sink.size == OUTPUT_BYTES_MAX and place.heard == [ProgramSpawned(pid=2)]
    served.resume_output()
    with trio.fail_after(600):
        await sink.ended.wait()
    assert sink.size == 5_000_000


async def test_closing_kills_it(autojump_clock: MockClock, place: Place) -> None:
    sink, served = place.run("sh", "-c", "sleep infinity")
    await trio.sleep(1)
    served.close()
    await trio.sleep(1)
    other, _ = place.run("true")
    await other.ended.wait()
    assert sink.error is None and place.about == [AgentGreeted()]


async def test_it_lives_as_long_as_it_hears_from_us(autojump_clock: MockClock, place: Place) -> None:
    await trio.sleep(1000)
    assert place.about == [AgentGreeted()]


async def test_it_ends_when_it_hears_nothing(
    autojump_clock: MockClock, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = trio.current_time()
    monkeypatch.setattr(place.link, "beat", lambda: None)
    await place.until(LinkLost)
    assert trio.current_time() - start == pytest.approx(40, abs=11)


async def test_a_container_that_is_killed_loses_the_link(autojump_clock: MockClock, place: Place) -> None:
    sink, _ = place.run("sh", "-c", "sleep infinity")
    await trio.sleep(1)
    await place.engine.kill_container("n", "KILL")
    await place.until(LinkLost)
    assert sink.error is not None and sink.error.startswith("the link to the container is lost")
