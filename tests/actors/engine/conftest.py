"""The two engines that one contract suite holds to the same promises."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import pytest_trio
import trio

from actors.bridge import open_loop
from actors.engine.credentials import Credentials
from actors.engine.docker import DockerEngine
from actors.ports import ContainerOrder, Engine, ExecOrder, Exit
from moorage.testing import FakeEngine, FakeImage
from protocol.base import FaultClass
from protocol.settings import DockerConnection
from tests.actors.engine.crooked import CrookedEngine, crooked_engine
from tests.fixtures_engine import RUN, TEST_LABEL, ask_engine
from tests.registry import Registry, free_port
from tests.sink import RecordingSink


class Bench:
    """An engine to test, an image in it, and orders for containers that are removed at the end.

    `podman`: it answers 500, or an error without a code, where Docker has a status for it (docs/engines.md).
    """

    is_fake = False
    podman = False

    def __init__(self, engine: Engine, image: str) -> None:
        self.engine = engine
        self.image = image
        self.made: list[ContainerOrder] = []

    def order(self, *command: str, **fields: Any) -> ContainerOrder:
        """An order for a container of its own, without a network (which takes half the time to start)."""
        labels = {TEST_LABEL: RUN, **fields.pop("labels", {})}
        basics = {"name": f"moorage-test-{token_hex(6)}", "token": token_hex(8), "image": self.image}
        order = ContainerOrder(
            **{**basics, "host": {"NetworkMode": "none"}, "command": command or None, "labels": labels, **fields}
        )
        self.made.append(order)
        return order

    async def run(self, *command: str, **fields: Any) -> str:
        """A started container's id."""
        container = await self.engine.create_container(self.order(*command, **fields))
        await self.engine.start_container(container)
        return container

    async def idle(self) -> str:
        return await self.run("/bin/sleep", "infinity")

    async def exec(
        self, container: str, *command: str, stdin: bytes = b"", **fields: Any
    ) -> tuple[RecordingSink, Exit]:
        """Run a program to its end: what it said, and how it ended. It reads `stdin` and then end of file."""
        sink = RecordingSink()
        exec_id = await self.engine.create_exec(ExecOrder(container=container, command=command, **fields))
        stream = await self.engine.start_exec(exec_id, fields.get("tty", False), fields.get("size"), sink)
        stream.write(stdin)
        stream.write_eof()
        await sink.ended.wait()
        end = await self.engine.inspect_exec(exec_id)
        assert end is not None
        return sink, end

    async def clean(self) -> None:
        for order in self.made:
            await self.engine.remove_container(order.name, order.token)

    # What there is to pull: each gives a reference, and what of a registry it is.

    def good(self) -> str:
        raise NotImplementedError

    def absent(self) -> str:
        raise NotImplementedError

    def broken(self) -> str:
        raise NotImplementedError

    def unreachable(self) -> str:
        raise NotImplementedError

    def private(self) -> tuple[str, Mapping[str, str]]:
        raise NotImplementedError


class FakeBench(Bench):
    is_fake = True
    engine: FakeEngine

    def good(self) -> str:
        return self._offer(FakeImage(pull_seconds=0))

    def absent(self) -> str:
        return "registry.test/absent:1"

    def broken(self) -> str:
        return self._offer("internal")

    def unreachable(self) -> str:
        return self._offer("internal")

    def private(self) -> tuple[str, Mapping[str, str]]:
        login = ("skipper", "secret")
        return self._offer(FakeImage(pull_seconds=0, login=login)), {"username": login[0], "password": login[1]}

    def _offer(self, what: FakeImage | FaultClass) -> str:
        reference = f"registry.test/{token_hex(4)}:1"
        self.engine.registry[reference] = what
        return reference


class DockerBench(Bench):
    def __init__(self, engine: Engine, image: str, registries: tuple[Registry, ...]) -> None:
        super().__init__(engine, image)
        self._registries = registries

    def good(self) -> str:
        return self._registries[0].push(extra_bytes=100_000)

    def absent(self) -> str:
        return f"{self._registries[0].host}/absent:1"

    def broken(self) -> str:
        return self._registries[0].push_broken()

    def unreachable(self) -> str:
        return f"127.0.0.1:{free_port()}/nobody/home:1"

    def private(self) -> tuple[str, Mapping[str, str]]:
        return self._registries[1].push(), self._registries[1].auth


@pytest.fixture
def registries(request: pytest.FixtureRequest) -> tuple[Registry, ...]:
    """The open one and the one with a login, started only for tests marked `registry`."""
    if request.node.get_closest_marker("registry") is None:
        return ()
    return tuple(request.getfixturevalue(name) for name in ("registry", "registry_with_login"))


@pytest_trio.trio_fixture
async def docker_engine(dockerd: str, tmp_path: Any) -> AsyncIterator[DockerEngine]:
    """The real engine. An asyncio error that nobody awaited fails the test."""
    errors: list[Mapping[str, Any]] = []
    async with open_loop(errors.append):
        nobody = Credentials(folder=tmp_path)
        async with DockerEngine.open(DockerConnection(host=dockerd), 15.0, nobody) as engine:
            yield engine
    assert errors == []


@pytest_trio.trio_fixture
async def docker_bench(
    docker_engine: DockerEngine, busybox_image: str, registries: tuple[Registry, ...]
) -> AsyncIterator[Bench]:
    made = DockerBench(docker_engine, busybox_image, registries)
    made.podman = b"Podman" in ask_engine(docker_engine.url, "GET", "/version")[1]
    yield made
    with trio.CancelScope(shield=True):
        await made.clean()


@pytest_trio.trio_fixture
async def fake_bench() -> AsyncIterator[Bench]:
    async with FakeEngine.open(seed=1) as engine:
        engine.images["fake/busybox:1"] = FakeImage(env={"FROM_IMAGE": "yes"})
        yield FakeBench(engine, "fake/busybox:1")


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def bench(request: pytest.FixtureRequest) -> Any:
    """The fake and the real engine, one after the other."""
    return request.getfixturevalue(f"{request.param}_bench")


@pytest_trio.trio_fixture
async def crooked(tmp_path: Path) -> AsyncIterator[CrookedEngine]:
    """An engine that answers what the test says. An asyncio error that nobody awaited fails the test."""
    errors: list[Any] = []
    async with crooked_engine(tmp_path, errors) as made:
        yield made
    assert errors == []
