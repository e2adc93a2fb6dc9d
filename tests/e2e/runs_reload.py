"""A configuration that is read again while people work: who is there does not notice, who comes has the new one."""

from typing import Any

from msgspec.structs import replace

from protocol.settings import Settings
from protocol.settings_problem import Problem, SettingsError
from tests.e2e.harness import Done
from tests.e2e.runs import Setup, run


class File:
    """What a reload finds. `says` changes it; `None`: it cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings | None = settings

    def says(self, **execution: Any) -> None:
        assert self.settings is not None
        docker = self.settings.docker
        docker = replace(docker, execution=replace(docker.execution, **execution))
        self.settings = replace(self.settings, docker=docker)

    def read(self) -> Settings:
        if self.settings is None:
            raise SettingsError([Problem("ssh.hostkeys", "no host key is configured")])
        return self.settings


def seen(value: str, image: str) -> dict[str, Any]:
    return {"container": {"Image": image, "Env": [f"SEEN={value}"]}}


@run("connection-reloaded-beside", end="exit status 0", rows=("SS0901",), needs=("engine",))
async def reloaded_beside(setup: Setup) -> None:
    """The configuration changes under a session, then it cannot be used: program and container go on as they were."""
    more = seen("old", setup.image)
    file = File(setup.settings(**more, pool=1))
    async with setup.harness(reread=file.read, pool=1, **more) as harness, harness.client() as bystander:
        program = await bystander.start("read line; echo $line; read line; echo $line")
        file.says(**seen("new", setup.image))
        answer = await harness.server.reload()
        assert answer.error == "" and answer.serving
        (change,) = answer.changes
        assert change == "docker.execution.container.Env: changed (its value is not shown)"
        program.stdin.write(b"one\n")
        assert await bystander.line(program) == b"one\n"
        async with harness.client() as newcomer:
            assert await newcomer.run("echo $SEEN") == Done(0, b"new\n", b"")
        assert await bystander.run("echo $SEEN") == Done(0, b"old\n", b"")
        file.settings = None
        answer = await harness.server.reload()
        assert answer.error == "ssh.hostkeys: no host key is configured" and answer.serving
        async with harness.client() as newcomer:
            assert await newcomer.run("echo $SEEN") == Done(0, b"new\n", b"")
        program.stdin.write(b"two\n")
        assert await bystander.wait(program) == Done(0, b"two\n", b"")
        assert (harness.said.count("MOORAGE_RELOADED"), harness.said.count("MOORAGE_RELOAD_REFUSED")) == (1, 1)
