"""Bringing the agent: the probe, which link it finds, and what an order becomes."""

import io
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_trio
import trio
from trio.testing import MockClock

from actors.agent.bring import FOLDER, PROGRAM, TOKEN_ENV, BroughtAgents, agent_tar
from actors.ports import ContainerOrder, EngineFault
from moorage.testing import FakeEngine

pytestmark = pytest.mark.trio
ORDERED = ContainerOrder(
    name="n",
    token="t",
    image="moorage/guest:1",
    host={"NetworkMode": "none", "Mounts": [{"Type": "tmpfs", "Target": "/own"}]},
    env={"A": "b"},
    command=["sleep", "1"],
    entrypoint=["/entry"],
    tty=True,
)


def exists(path: str) -> bool:
    return os.path.exists(path)


@pytest_trio.trio_fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine.open() as made:
        yield made


@pytest.fixture
def agents(tmp_path: Path) -> BroughtAgents:
    return BroughtAgents(b"program", "0123456789abcdef" * 4, tmp_path / "links")


async def test_the_tar_is_one_program_and_always_the_same() -> None:
    made = agent_tar(b"program")
    assert made == agent_tar(b"program")
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        members = tar.getmembers()
        assert [(one.name, one.mode, one.uid, one.mtime) for one in members] == [
            (".moorage", 0o755, 0, 0),
            (".moorage/agent", 0o755, 0, 0),
        ]
        found = tar.extractfile(".moorage/agent")
        assert found is not None and found.read() == b"program"


async def test_attach_where_no_socket_works(
    engine: FakeEngine, agents: BroughtAgents, loop: None, autojump_clock: MockClock
) -> None:
    """The fake engine's containers have no sockets of this machine: the agent in it says so and ends."""
    assert await agents.probe(engine, {"moorage.instance": "i"}) == ""
    assert agents.kind == "attach"
    assert trio.current_time() < 10  # nobody waited for a time limit
    assert engine.alive == set()  # the probe's containers are gone
    assert engine.images[agents.image].entrypoint == [PROGRAM]
    assert engine.calls["import_image"] == 1


async def test_none_where_nothing_works_and_why(
    engine: FakeEngine, agents: BroughtAgents, loop: None, autojump_clock: MockClock
) -> None:
    engine.failpoints.set("attach_container: fail(denied)")
    why = await agents.probe(engine, {})
    assert agents.kind == "none"
    assert "socket link: its container ended with status 4" in why
    assert "attach link: failpoint in attach_container" in why
    assert engine.alive == set()


@pytest.mark.parametrize("call", ["image_exists", "import_image", "create_container", "start_container"])
async def test_a_call_that_fails_is_the_reason(
    engine: FakeEngine, agents: BroughtAgents, autojump_clock: MockClock, call: str
) -> None:
    engine.failpoints.set(f"{call}: fail(internal)")
    assert await agents.probe(engine, {}, ["attach"]) == f"attach link: failpoint in {call}"
    assert agents.kind == "none" and engine.alive == set()


@pytest.mark.parametrize(
    ("faults", "left"),
    [("1*fail(internal)", 0), ("2*fail(conflict)", 0), ("3*fail(internal)", 1), ("1*fail(unavailable)", 1)],
)
async def test_a_probe_is_removed_again_when_the_engine_refuses(
    engine: FakeEngine, agents: BroughtAgents, autojump_clock: MockClock, faults: str, left: int
) -> None:
    """Docker does when a container ends by itself while it is being removed. What is left in the end is the sweep's."""
    engine.failpoints.set(f"remove_container: {faults}")
    assert await agents.probe(engine, {"moorage.boot": "b"}, ["attach"]) == ""
    assert len(engine.alive) == left and agents.probes == set()


async def test_an_agent_that_says_nothing_is_waited_for_so_long(
    engine: FakeEngine, agents: BroughtAgents, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mute(self: Any) -> int:
        await trio.sleep_forever()

    monkeypatch.setattr("moorage.testing.fake_agent.FakeAgent.run", mute)
    assert await agents.probe(engine, {}, ["attach"]) == "attach link: it did not say hello"
    assert trio.current_time() == pytest.approx(15, abs=1)
    assert engine.alive == set()


async def test_an_order_laid_out_for_the_attached_link(agents: BroughtAgents) -> None:
    agents.kind = "attach"
    link = await agents.open(ORDERED)
    made = link.order
    assert made.entrypoint == [PROGRAM, "serve"] and made.command == ()
    assert made.stdin and not made.tty
    assert made.env["A"] == "b" and len(made.env[TOKEN_ENV]) == 32
    assert made.env[TOKEN_ENV] not in " ".join(made.entrypoint)
    own, volume = made.host["Mounts"]
    assert own == {"Type": "tmpfs", "Target": "/own"}
    assert (volume["Source"], volume["Target"], volume["ReadOnly"]) == (agents.volume, FOLDER, True)
    assert volume["VolumeOptions"]["NoCopy"] is True
    assert made.host["NetworkMode"] == "none"
    link.close()


async def test_an_order_laid_out_for_the_socket(agents: BroughtAgents, loop: None) -> None:
    agents.kind = "socket"
    first, second = await agents.open(ORDERED), await agents.open(ORDERED)
    bind = first.order.host["Mounts"][2]
    assert bind["Type"] == "bind" and bind["ReadOnly"] and exists(bind["Source"])
    assert first.order.entrypoint == [PROGRAM, "serve", "--socket", "/.moorage.link/s"]
    assert not first.order.stdin
    assert bind["Source"] != second.order.host["Mounts"][2]["Source"]
    assert first.order.env[TOKEN_ENV] != second.order.env[TOKEN_ENV]
    for link in (first, second):
        link.close()
    assert not exists(bind["Source"])


async def test_a_folder_for_sockets_that_is_no_folder(agents: BroughtAgents, loop: None, tmp_path: Path) -> None:
    (tmp_path / "links").write_text("")
    agents.kind = "socket"
    with pytest.raises(EngineFault) as caught:
        await agents.open(ORDERED)
    assert caught.value.fault == "unavailable"


async def test_sockets_have_a_path_that_fits_or_say_so(loop: None, tmp_path: Path) -> None:
    agents = BroughtAgents(b"program", "0" * 64, tmp_path / ("x" * 100))
    agents.kind = "socket"
    with pytest.raises(EngineFault) as caught:
        await agents.open(ORDERED)
    assert "cannot listen in" in caught.value.why
    assert not list((tmp_path / ("x" * 100)).iterdir())  # nothing is left of the try


async def test_a_volume_that_is_filled_again_changes_nothing_of_what_was_found(
    engine: FakeEngine, agents: BroughtAgents, loop: None, autojump_clock: MockClock
) -> None:
    agents.kind, agents.terminals = "socket", "host"
    assert await agents.mend(engine, f"no such file: {PROGRAM}")
    assert (agents.kind, agents.terminals) == ("socket", "host")
