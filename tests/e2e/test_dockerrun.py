"""A file of ContainerSSH 0.3 on the real engine: a container for each session, gone when it ends."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from moorage.config import load
from protocol.settings import Settings
from tests.e2e.harness import Done
from tests.e2e.runs import Setup
from tests.moorage.test_config import CONFIG, _with_keys

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]


def old(setup: Setup, name: str, folder: Path) -> Settings:
    """The file, with the image of this run, which no registry has, and without a network, as all runs are."""
    settings = load(_with_keys(CONFIG / "examples" / name, folder)).settings
    execution = settings.docker.execution
    assert (execution.image_pull_policy, execution.mode) == ("Always", "session")
    container = {**execution.container, "Image": setup.image}
    host = {**execution.host, "NetworkMode": "none"}
    execution = replace(execution, container=container, host=host, image_pull_policy="IfNotPresent")
    return replace(settings, docker=replace(settings.docker, execution=execution))


async def test_each_key_with_its_default(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> None:
    """All that ContainerSSH 0.3 wrote out, the empty values too, goes through the engine."""
    settings = old(setup, "containerssh-0.3-dump.yaml", tmp_path_factory.mktemp("old"))
    async with setup.harness(backend="dockerrun", docker=settings.docker) as harness:
        assert await harness.ssh("echo out; exit 7") == Done(7, b"out\n", b"")
        first = await harness.ssh("hostname")
        assert first != await harness.ssh("hostname")


async def test_commands_are_disabled_and_the_shell_is_the_images(
    setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = old(setup, "containerssh-0.3.yaml", tmp_path_factory.mktemp("old"))
    sections = {"backend": "dockerrun", "docker": settings.docker, "dockerrun": settings.dockerrun}
    async with setup.harness(**sections) as harness:
        refused = Done(125, b"", b"moorage: Command execution is disabled. (DOCKERRUN_EXEC_DISABLED)\r\n")
        assert await harness.ssh("id") == refused
        shell = await harness.ssh(None, stdin=b"cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max; echo $LANG\n")
        assert shell.out.split()[-1] == b"C.UTF-8"
        assert b"64" in shell.out.split() or shell.out == b"C.UTF-8\n"
