"""A real container engine, an image to run in it, and real registries to pull from, for every test that wants one.

With MOORAGE_REQUIRE_ENGINE=1 a test fails where it would have been skipped. All that is made here is removed again.
"""

import http.client
import io
import json
import os
import shutil
import socket
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote, urlsplit

import pytest
import trio

from actors.bridge import open_loop
from actors.engine.docker import DockerEngine
from actors.engine.find import find_engine
from actors.ports import EngineFault
from protocol.settings import DockerConnection
from tests.registry import Registry

RUN = token_hex(4)
TEST_LABEL = "moorage.test"
# The password is such that standard base64 of it has a `+` and a `/`, which the engine does not take.
REGISTRY_LOGIN = ("skipper", "a>>?b~~?")
APPLETS = ("sh", "cat", "echo", "sleep", "head", "seq", "stty", "env", "true", "kill", "sha256sum", "id", "pwd", "tr")


def missing(what: str) -> None:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("MOORAGE_REQUIRE_ENGINE") == "1":
        pytest.fail(f"{what} (and MOORAGE_REQUIRE_ENGINE=1)", pytrace=False)
    pytest.skip(what)


def ask_engine(url: str, method: str, path: str) -> tuple[int, bytes]:
    """One plain request to the engine: status and body. For cleaning up without the code under test."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connection = http.client.HTTPConnection("engine", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.connect(parts.path)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="session")
def dockerd() -> str:
    """The URL of an engine that answers."""
    try:
        url = find_engine()
        status, _ = ask_engine(url, "GET", "/_ping")
    except (EngineFault, OSError) as error:
        missing(f"no container engine: {error}")
        raise
    if status != 200:
        missing(f"the container engine at {url} answered {status} to a ping")
    return url


def busybox() -> Path:
    """Debian's static busybox."""
    for place in (shutil.which("busybox"), "/bin/busybox"):
        if place and Path(place).exists() and _is_static(Path(place).read_bytes()):
            return Path(place)
    missing("no static busybox (Debian: busybox-static)")
    raise AssertionError


def _is_static(elf: bytes) -> bool:
    """Has a 64-bit ELF program no interpreter (a program header of type 3)?"""
    start, size, count = int.from_bytes(elf[32:40], "little"), *struct.unpack("<HH", elf[54:58])
    return all(elf[at : at + 4] != b"\x03\0\0\0" for at in range(start, start + size * count, size))


def busybox_tar() -> bytes:
    """A root file system of busybox and its applets, uncompressed and the same every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        program = tarfile.TarInfo("bin/busybox")
        data = busybox().read_bytes()
        program.size, program.mode = len(data), 0o755
        tar.addfile(program, io.BytesIO(data))
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, mode in (("tmp", 0o1777), ("root", 0o700)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def busybox_image(dockerd: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of this test run with a shell, CMD `/bin/sh` and ENV `FROM_IMAGE=yes`, made without any registry."""
    tar = tmp_path_factory.mktemp("image") / "busybox.tar"
    tar.write_bytes(busybox_tar())
    reference = f"moorage-test/busybox:{RUN}"

    async def bring() -> None:
        async with open_loop(lambda context: None), DockerEngine.open(DockerConnection(host=dockerd), 30.0) as engine:
            await engine.import_image(tar, reference, ['CMD ["/bin/sh"]', "ENV FROM_IMAGE=yes"])

    trio.run(bring)
    yield reference
    _remove_containers(dockerd)
    ask_engine(dockerd, "DELETE", f"/images/{reference}?force=1")


def _remove_containers(url: str) -> None:
    """What tests of this run have left behind, by label."""
    filters = quote(json.dumps({"label": [f"{TEST_LABEL}={RUN}"]}))
    _, body = ask_engine(url, "GET", f"/containers/json?all=1&filters={filters}")
    for one in json.loads(body):
        ask_engine(url, "DELETE", f"/containers/{one['Id']}?force=1&v=1")


@pytest.fixture(scope="session")
def _registry_program() -> str:
    program = shutil.which("docker-registry")
    if program is None:
        missing("no docker-registry (Debian: docker-registry)")
        raise AssertionError
    return program


@pytest.fixture(scope="session")
def registry(_registry_program: str, dockerd: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry on loopback that lets everybody in."""
    with Registry(_registry_program, tmp_path_factory.mktemp("registry"), busybox_tar()) as started:
        yield started
        started.forget_images(lambda reference: ask_engine(dockerd, "DELETE", f"/images/{reference}?force=1"))


@pytest.fixture(scope="session")
def registry_with_login(
    _registry_program: str, dockerd: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A registry on loopback that wants its `login` (user, password)."""
    folder = tmp_path_factory.mktemp("registry-with-login")
    with Registry(_registry_program, folder, busybox_tar(), login=REGISTRY_LOGIN) as started:
        yield started
        started.forget_images(lambda reference: ask_engine(dockerd, "DELETE", f"/images/{reference}?force=1"))
