"""Files that a login webhook sends are in the container before anything runs there, whichever way programs run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio_asyncio

from protocol.settings import ExecutionMode
from protocol.settings_auth import AskWebhook, Webhook
from tests.e2e.harness import Done, Harness
from tests.e2e.runs import Setup
from tests.e2e.served import MODES
from tests.webservice import open_service

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
ANSWER = {"success": True, "files": {"/secret/deep/token": {"value": "c2VzYW1l", "sensitive": True}}}
LOOK = "cat /secret/deep/token; echo; stat -c '%a %u %g' /secret/deep/token; ls -ld /tmp | cut -c1-10"


@asynccontextmanager
async def told(setup: Setup, **more: Any) -> AsyncIterator[Harness]:
    """A server whose last word about logins sends a file."""
    async with trio_asyncio.open_loop(), open_service(lambda heard: ANSWER) as service:
        hook = AskWebhook(method="webhook", webhook=Webhook(url=service.url))
        async with setup.harness(ways={"authz": hook}, **more) as harness:
            yield harness


@pytest.mark.parametrize(
    ("mode", "transport"),
    [
        ("connection", "served"),
        ("session", "exec"),
        pytest.param("connection", "exec", marks=pytest.mark.slow),
        pytest.param("session", "served", marks=pytest.mark.slow),
    ],
)
async def test_they_are_there_for_the_containers_user(mode: ExecutionMode, transport: str, setup: Setup) -> None:
    more: dict[str, Any] = {"mode": mode, "transport": transport, "pool": 1}
    for user, ids in (("", "0 0"), ("1000:50", "1000 50"), ("nobody", "65534 65534")):
        container = {"Image": setup.image, "User": user}
        async with told(setup, container=container, **more) as harness:
            done = await harness.ssh(LOOK)
            assert (done.status, done.err) == (0, b"")
            assert done.out.decode().splitlines() == ["sesame", f"600 {ids}", "drwxrwxrwt"]
            (details, *_) = harness.said.details("DOCKER_FILE_WRITE")
            assert details["files"] == ["/secret/deep/token"]
            assert "sesame" not in str(harness.said.lines)
            assert harness.server.statistics()["pool"]["hits"] == 0


@pytest.mark.parametrize("mode", MODES)
async def test_no_program_runs_without_them(mode: ExecutionMode, setup: Setup) -> None:
    host = {"NetworkMode": "none", "ReadonlyRootfs": True}
    async with told(setup, mode=mode, host=host) as harness:
        done = await harness.ssh("echo ran")
        assert (done.status, done.out) == (125, b"")
        assert b"the files of this login could not be written: " in done.err
        assert b"DOCKER_CONTAINER_START_FAILED" in done.err
        assert "DOCKER_FILE_WRITE_FAILED" in harness.said


async def test_another_try_writes_them_again(setup: Setup) -> None:
    """The engine stumbles once."""
    async with trio_asyncio.open_loop(), open_service(lambda heard: ANSWER) as service:
        hook = AskWebhook(method="webhook", webhook=Webhook(url=service.url))
        failpoint = "write_files: 1*fail(unavailable) -> off"
        async with setup.fake_harness(failpoint, ways={"authz": hook}) as harness, harness.client() as client:
            assert await client.run("echo out") == Done(0, b"out\n", b"")
            assert harness.said.count("DOCKER_FILE_WRITE") == 2
            assert harness.fake is not None
            (name,) = harness.containers()
            assert harness.fake.files_of(name) == {"/secret/deep/token": b"sesame"}
