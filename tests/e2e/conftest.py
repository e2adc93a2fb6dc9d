"""What a whole run needs of the machine: an image with a shell, and a place where nothing has been yet."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from actors.bridge import open_loop
from actors.engine.docker import DockerEngine
from moorage.guest_image import ensure_guest_image
from protocol.settings import DockerConnection
from tests.e2e import outside
from tests.e2e.runs import Setup
from tests.fixtures_engine import RUN, missing


async def make_guest(reference: str) -> None:
    """The default guest image under another name."""
    async with open_loop(lambda context: None), DockerEngine.open(DockerConnection(), 30.0) as engine:
        await ensure_guest_image(engine, reference)


@pytest.fixture(scope="session")
def guest(dockerd: str) -> Iterator[str]:
    """The guest image, with all of busybox in it, under a name of this run."""
    reference = f"moorage-test/e2e:{RUN}"
    trio.run(make_guest, reference)
    yield reference
    outside.forget_image(reference)


@pytest.fixture
def setup(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """In a folder of its own. What a test is marked with is there: engine, registries."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    marks = {mark.name for mark in request.node.iter_markers()}
    if "openssh" in marks and shutil.which("ssh") is None:
        missing("no OpenSSH client (Debian: openssh-client)")
    made = Setup(tmp_path, request.getfixturevalue("guest") if "engine" in marks else "")
    if "registry" in marks:
        made.registry = request.getfixturevalue("registry")
        made.registry_with_login = request.getfixturevalue("registry_with_login")
    return made
