"""The pool when its spares do not live: what the simulation found, without its dice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace

from actors.container import ContainerActor
from actors.recorder import Recorder
from actors.sources import Sources
from actors.supervisor import Supervisor
from actors.world import World
from moorage.testing import FakeEngine, FakeImage
from protocol.ledger import Header
from protocol.settings import Docker, Execution, ExecutionMode, Pool, RegistryAuth, Rule, Settings


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
    ({"allow_dangerous": ("devices",)}, True),
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
        assert supervisor.pool.claim("cn-1", "moorage-0123456789ab", with_docker(supervisor, own)) is fits
        assert supervisor.pool.hits == fits and supervisor.pool.misses == 0
        slow = replace(docker, timeouts=replace(docker.timeouts, container_stop=1.0))
        assert not supervisor.pool.claim("cn-2", "moorage-0123456789ac", with_docker(supervisor, slow))


@pytest.mark.trio
async def test_a_spare_that_nobody_watches_is_not_claimed(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, pool_of(engine, "connection") as supervisor:
        await trio.sleep(30)
        assert supervisor.pool.statistics()["ready"] == 2
        engine.crash()
        await trio.sleep(0.01)
        actors = supervisor.world.actors.values()
        assert {actor.cell.state for actor in actors if isinstance(actor, ContainerActor)} == {"UNWATCHED"}
        assert not supervisor.pool.claim("cn-1", "moorage-0123456789ab", supervisor.settings)
        engine.restart(containers_die=False)
        await trio.sleep(10)
        assert supervisor.pool.claim("cn-2", "moorage-0123456789ac", supervisor.settings)


def with_docker(supervisor: Supervisor, docker: Docker) -> Settings:
    return replace(supervisor.settings, docker=docker)


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
        assert not supervisor.pool.claim("cn-1", "moorage-0123456789ab", old)
        assert not supervisor.pool.claim("cn-2", "moorage-0123456789ac", new)
        await trio.sleep(30)
        assert len(engine.alive) == 2 and engine.alive.isdisjoint(before)
        assert not supervisor.pool.claim("cn-3", "moorage-0123456789ad", old)
        assert supervisor.pool.claim("cn-4", "moorage-0123456789ae", new)


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


# `auto`: of all settings that were logged into lately.


@asynccontextmanager
async def auto_pool(engine: FakeEngine, most: int = 8, **execution: Any) -> AsyncIterator[Supervisor]:
    settings = Settings(docker=Docker(execution=Execution(**execution), pool=Pool(size="auto", max=most)))
    engine.images |= {name: FakeImage() for name in ("moorage/guest:1", "a:1", "b:1", "c:1")}
    recorder = Recorder(None, trio.current_time, Header(moorage="1", fingerprint={}), lambda why: None)
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(World(engine, nursery, recorder, lambda code, details: None, "i", "b"), settings)
        nursery.start_soon(supervisor.pool.run)
        yield supervisor
        nursery.cancel_scope.cancel()


def own(supervisor: Supervisor, image: str = "a:1", **more: Any) -> Settings:
    """Settings that a rule or a webhook has given a login."""
    container, host = {"Image": image, **more.pop("container", {})}, more.pop("host", {})
    execution = replace(supervisor.settings.docker.execution, container=container, host=host, **more)
    return with_docker(supervisor, replace(supervisor.settings.docker, execution=execution))


async def logs_in(supervisor: Supervisor, settings: Settings) -> bool:
    """Whether it finds a spare; and a while later."""
    name = supervisor.world.fresh_id()[:12]
    found = supervisor.pool.claim(f"cn-{name}", f"moorage-{name}", settings)
    await trio.sleep(5)
    return found


def ready(supervisor: Supervisor) -> dict[str, int]:
    groups: list[dict[str, Any]] = supervisor.pool.statistics()["groups"]
    return {group["image"]: group["ready"] for group in groups if group["ready"]}


@pytest.mark.trio
async def test_each_image_that_was_logged_into_has_its_own(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, auto_pool(engine) as supervisor:
        await trio.sleep(30)
        assert not engine.alive, "nobody has come yet"
        for image in ("a:1", "b:1"):
            assert not await logs_in(supervisor, own(supervisor, image))
        assert ready(supervisor) == {"a:1": 1, "b:1": 1}
        for image in ("b:1", "a:1"):
            assert await logs_in(supervisor, own(supervisor, image))
        assert {engine.order_of(name).image for name in engine.alive} == {"a:1", "b:1"}
        assert (supervisor.pool.hits, supervisor.pool.misses) == (2, 2)


@pytest.mark.trio
async def test_no_more_than_max_in_all_and_the_latest_go_before(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, auto_pool(engine, 2) as supervisor:
        for _ in range(4):
            await logs_in(supervisor, own(supervisor, "a:1"))
        await trio.sleep(30)
        assert ready(supervisor) == {"a:1": 2}
        await logs_in(supervisor, own(supervisor, "b:1"))
        await trio.sleep(30)
        assert ready(supervisor) == {"a:1": 1, "b:1": 1}, "one each, before any has two"
        await logs_in(supervisor, own(supervisor, "c:1"))
        await trio.sleep(30)
        assert ready(supervisor) == {"b:1": 1, "c:1": 1}
        assert sum(supervisor.pool.statistics()[key] for key in ("ready", "filling")) == 2
        await trio.sleep(1500)
        assert ready(supervisor) == {}, "nobody has come for a long while"
        assert not supervisor.pool.statistics()["groups"]


@pytest.mark.trio
async def test_who_differs_by_variables_shares_and_the_spare_has_none_of_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with FakeEngine.open() as engine, auto_pool(engine) as supervisor:
        alice, bob = (own(supervisor, container={"Env": [f"NAME={name}"]}) for name in ("alice", "bob"))
        assert not await logs_in(supervisor, alice)
        (spare,) = engine.alive
        assert "Env" not in engine.order_of(spare).container and "alice" not in str(engine.order_of(spare))
        assert await logs_in(supervisor, bob)
        assert await logs_in(supervisor, own(supervisor, container={"Env": []}))
        assert len(supervisor.pool.statistics()["groups"]) == 1


@pytest.mark.trio
@pytest.mark.parametrize(
    "more",
    [
        {"host": {"Binds": ["/home/USER:/home"]}},
        {"container": {"Labels": {"user": "USER"}}},
        {"container": {"User": "USER"}},
        {"container": {"Env": ["NAME=USER"], "Healthcheck": {"Test": ["CMD", "/x"]}}},
        {"container": {"Env": ["NAME=USER", "GONE"]}},
        {"idle_command": ("/bin/sh", "-c", "sleep infinity"), "container": {"Env": ["NAME=USER"]}},
        {"auth": "USER"},
    ],
    ids=str,
)
async def test_a_container_of_ones_own_is_for_nobody_else(
    more: dict[str, Any], autojump_clock: trio.testing.MockClock
) -> None:
    """Mounts, labels and the like; and variables that something else than a login's programs would have."""

    def of(user: str) -> dict[str, Any]:
        named = msgspec.json.decode(msgspec.json.encode(more).replace(b"USER", user.encode()))
        if "auth" in named:
            named["auth"] = RegistryAuth(username=user)
        return {key: tuple(value) if key == "idle_command" else value for key, value in named.items()}

    async with FakeEngine.open() as engine, auto_pool(engine) as supervisor:
        assert not await logs_in(supervisor, own(supervisor, **of("alice")))
        await trio.sleep(30)
        assert not await logs_in(supervisor, own(supervisor, **of("bob")))
        assert await logs_in(supervisor, own(supervisor, **of("alice")))


@pytest.mark.trio
async def test_a_fixed_name_is_never_made_ahead(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, auto_pool(engine) as supervisor:
        assert not await logs_in(supervisor, own(supervisor, containername="one"))
        assert not engine.alive


@pytest.mark.trio
async def test_one_image_that_cannot_be_started_stops_no_other(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, auto_pool(engine) as supervisor:
        del engine.images["b:1"]
        for image in ("b:1", "a:1"):
            await logs_in(supervisor, own(supervisor, image, image_pull_policy="Never"))
        await trio.sleep(60)
        assert ready(supervisor) == {"a:1": 1}
        assert supervisor.pool.made < 12


@pytest.mark.trio
async def test_a_reload_keeps_the_spares_that_its_rules_would_make(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, auto_pool(engine) as supervisor:
        for image in ("moorage/guest:1", "a:1", "b:1"):
            await logs_in(supervisor, own(supervisor, image))
        before = set(engine.alive)
        part = {"docker": {"execution": {"container": {"Image": "a:1"}}}}
        new = replace(supervisor.settings, rules=(Rule(name="r", settings=part),))
        supervisor.adopt(new, Sources(new.auth))
        await trio.sleep(30)
        assert ready(supervisor) == {"moorage/guest:1": 1, "a:1": 1} and engine.alive <= before
