"""The pool when its spares do not live: what the simulation found, without its dice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from actors.container import ContainerActor
from actors.recorder import Recorder
from actors.sources import Sources
from actors.supervisor import Supervisor
from actors.world import World
from moorage.testing import FakeEngine
from protocol.ledger import Header
from protocol.settings import Docker, Execution, ExecutionMode, Pool, Settings


@asynccontextmanager
async def pool_of(engine: FakeEngine, mode: ExecutionMode, *idle: str) -> AsyncIterator[Supervisor]:
    """A pool of two spares that runs, and everything it needs."""
    execution = Execution(mode=mode, idle_command=idle or ("/bin/sleep", "infinity"))
    settings = Settings(docker=Docker(execution=execution, pool=Pool(size=2)))
    recorder = Recorder(None, trio.current_time, Header(moorage="1", fingerprint={}), lambda why: None)
    async with trio.open_nursery() as nursery:
        world = World(engine, nursery, recorder, lambda code, details: None, "i", "b")
        supervisor = Supervisor(world, settings)
        nursery.start_soon(supervisor.pool.run)
        yield supervisor
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_spares_that_end_at_once_are_made_ever_more_slowly(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open(jitter_s=0.1) as engine, pool_of(engine, "connection", "/bin/true") as supervisor:
        await trio.sleep(60)
        assert 2 < supervisor.pool.made < 20


@pytest.mark.trio
async def test_in_mode_session_without_an_agent_there_are_none(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, pool_of(engine, "session") as supervisor:
        await trio.sleep(60)
        assert supervisor.pool.made == 0 and not engine.alive


OTHER: list[tuple[dict[str, Any], bool]] = [
    ({"shell_command": ("/bin/ash",), "subsystems": {}, "expose_auth_metadata_as_env": True}, True),
    ({"container": {"Image": "other:1"}}, False),
    ({"host": {"Memory": 0}}, False),
    ({"network": {"EndpointsConfig": {}}}, False),
    ({"platform": {"os": "linux"}}, False),
    ({"idle_command": ("/bin/sleep", "1")}, False),
    ({"containername": "alice"}, False),
    ({"image_pull_policy": "Always"}, False),
    ({"transport": "exec"}, False),
    ({"mode": "session"}, False),
]


@pytest.mark.parametrize(("more", "fits"), OTHER, ids=lambda item: "-".join(item) if isinstance(item, dict) else "")
@pytest.mark.trio
async def test_a_spare_fits_who_would_have_the_same_container(
    autojump_clock: trio.testing.MockClock, more: dict[str, Any], fits: bool
) -> None:
    async with FakeEngine.open() as engine, pool_of(engine, "connection") as supervisor:
        await trio.sleep(30)
        docker = supervisor.settings.docker
        own = replace(docker, execution=replace(docker.execution, **more))
        assert supervisor.pool.claim("cn-1", "moorage-0123456789ab", own) is fits
        assert supervisor.pool.hits == fits and supervisor.pool.misses == 0
        slow = replace(docker, timeouts=replace(docker.timeouts, container_stop=1.0))
        assert not supervisor.pool.claim("cn-2", "moorage-0123456789ac", slow)


@pytest.mark.trio
async def test_a_spare_that_nobody_watches_is_not_claimed(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, pool_of(engine, "connection") as supervisor:
        await trio.sleep(30)
        assert supervisor.pool.statistics()["ready"] == 2
        engine.crash()
        await trio.sleep(0.01)
        actors = supervisor.world.actors.values()
        assert {actor.cell.state for actor in actors if isinstance(actor, ContainerActor)} == {"UNWATCHED"}
        assert not supervisor.pool.claim("cn-1", "moorage-0123456789ab", supervisor.settings.docker)
        engine.restart(containers_die=False)
        await trio.sleep(10)
        assert supervisor.pool.claim("cn-2", "moorage-0123456789ac", supervisor.settings.docker)


def _changed(supervisor: Supervisor, size: int, **execution: Any) -> Settings:
    docker = supervisor.settings.docker
    docker = replace(docker, execution=replace(docker.execution, **execution), pool=Pool(size=size))
    return replace(supervisor.settings, docker=docker)


@pytest.mark.trio
async def test_a_reload_replaces_spares_that_would_be_made_otherwise(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, pool_of(engine, "connection") as supervisor:
        await trio.sleep(30)
        old, before = supervisor.settings, set(engine.alive)
        assert len(before) == 2
        new = _changed(supervisor, 2, hardening="strict")
        supervisor.adopt(new, Sources(new.auth))
        # Not in the moment of the reload either: neither who has the old settings nor who has the new ones gets one.
        assert not supervisor.pool.claim("cn-1", "moorage-0123456789ab", old.docker)
        assert not supervisor.pool.claim("cn-2", "moorage-0123456789ac", new.docker)
        await trio.sleep(30)
        assert len(engine.alive) == 2 and engine.alive.isdisjoint(before)
        assert not supervisor.pool.claim("cn-3", "moorage-0123456789ad", old.docker)
        assert supervisor.pool.claim("cn-4", "moorage-0123456789ae", new.docker)


@pytest.mark.trio
@pytest.mark.parametrize("size", [0, 1, 3])
async def test_a_reload_with_another_size(size: int, autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, pool_of(engine, "connection") as supervisor:
        await trio.sleep(30)
        before = set(engine.alive)
        new = _changed(supervisor, size)
        supervisor.adopt(new, Sources(new.auth))
        await trio.sleep(30)
        assert len(engine.alive) == size and len(engine.alive & before) == min(size, 2)


@pytest.mark.trio
async def test_a_pool_that_a_reload_brings(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, pool_of(engine, "connection") as supervisor:
        for size in (0, 2):
            new = _changed(supervisor, size)
            supervisor.adopt(new, Sources(new.auth))
            await trio.sleep(30)
            assert len(engine.alive) == size
