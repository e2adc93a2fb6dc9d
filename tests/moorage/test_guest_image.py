"""The guest image: the same bytes every time, made once, and good enough to land in."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from actors.bridge import open_loop
from actors.engine.docker import DockerEngine
from actors.ports import ContainerOrder, EngineFault, Exit
from moorage.debian import is_static
from moorage.guest_image import CHANGES, LABEL, ensure_guest_image, guest_tar, make_guest
from protocol.settings import DockerConnection
from tests.fixtures_engine import RUN, TEST_LABEL, ask_engine, busybox

APPLETS = ["bin/busybox", "bin/sh", "usr/bin/env", "sbin/ip"]


def entries(tar: bytes) -> dict[str, tarfile.TarInfo]:
    return {entry.name: entry for entry in tarfile.open(fileobj=io.BytesIO(tar)).getmembers()}


def test_the_tar_is_the_same_every_time() -> None:
    assert guest_tar(b"program", APPLETS) == guest_tar(b"program", APPLETS)
    assert guest_tar(b"program", APPLETS) != guest_tar(b"another", APPLETS)


def test_what_is_in_it() -> None:
    found = entries(guest_tar(b"program", APPLETS))
    assert all((entry.mtime, entry.uid, entry.gid) == (0, 0, 0) for entry in found.values())
    assert found["bin/busybox"].isfile() and found["bin/busybox"].mode == 0o755
    assert found["usr/bin/env"].linkname == "/bin/busybox"
    assert found["tmp"].mode == 0o1777 and found["root"].mode == 0o700
    assert {"etc/passwd", "etc/group", "etc/profile", "home"} <= set(found)
    for name in found:  # whoever unpacks it finds each folder before what lies in it
        above = name.rpartition("/")[0]
        assert not above or list(found).index(above) < list(found).index(name)


def test_static_or_not(tmp_path: Path) -> None:
    assert not is_static(Path("/bin/ls")), "a dynamic program has an interpreter"
    assert not is_static(tmp_path / "none")
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert not is_static(script)
    assert is_static(busybox())


def test_this_hosts_guest_has_what_a_session_needs() -> None:
    busybox()
    found = entries(make_guest().tar)
    assert {"bin/sh", "bin/cat", "bin/sleep", "usr/bin/env", "bin/stty", "usr/bin/id", "bin/tar"} <= set(found)
    assert make_guest().digest == make_guest().digest


class Shelf:
    """An engine as far as the image needs one: it keeps labels by name."""

    def __init__(self, fault: EngineFault | None = None) -> None:
        self.images: dict[str, dict[str, str]] = {}
        self.imports = 0
        self.fault = fault

    async def image_labels(self, reference: str) -> dict[str, str]:
        if self.fault:
            raise self.fault
        if reference not in self.images:
            raise EngineFault("not_found", reference)
        return self.images[reference]

    async def import_image(self, tar: Path, reference: str, changes: Sequence[str] = ()) -> str:
        assert tarfile.is_tarfile(tar)
        label = changes[-1].removeprefix("LABEL ").split("=")
        self.images[reference] = {label[0]: label[1]}
        self.imports += 1
        return "id"


def test_it_is_made_once() -> None:
    busybox()
    shelf = Shelf()
    assert trio.run(ensure_guest_image, shelf, "guest:1") is True
    assert trio.run(ensure_guest_image, shelf, "guest:1") is False
    assert shelf.imports == 1
    shelf.images["guest:1"][LABEL] = "of another busybox"
    assert trio.run(ensure_guest_image, shelf, "guest:1") is True
    assert shelf.images["guest:1"] == {LABEL: make_guest().digest}


def test_an_engine_that_cannot_say_is_not_asked_to_import() -> None:
    busybox()
    shelf = Shelf(EngineFault("unavailable", "gone"))
    with pytest.raises(EngineFault):
        trio.run(ensure_guest_image, shelf, "guest:1")
    assert shelf.imports == 0


@pytest.mark.engine
def test_the_real_engine_runs_it(dockerd: str) -> None:
    reference = f"moorage-test/guest:{RUN}"
    script = "test $(pwd) = /root && test $HOME = /root && /usr/bin/env true && touch /tmp/x && id -un | grep -qx root"

    async def land() -> Exit:
        async with open_loop(lambda context: None), DockerEngine.open(DockerConnection(host=dockerd), 30.0) as engine:
            assert await ensure_guest_image(engine, reference) is True
            assert await ensure_guest_image(engine, reference) is False
            assert (await engine.image_labels(reference))[LABEL] == make_guest().digest
            order = ContainerOrder(
                name=f"moorage-test-guest-{RUN}",
                token=f"guest-{RUN}",
                image=reference,
                command=["sh", "-c", f"{script} && exit 7"],
                labels={TEST_LABEL: RUN},
            )
            container = await engine.create_container(order)
            try:
                await engine.start_container(container)
                return await engine.wait_container(container)
            finally:
                await engine.remove_container(order.name, order.token)

    try:
        assert trio.run(land) == Exit(status=7)
    finally:
        ask_engine(dockerd, "DELETE", f"/images/{reference}?force=1")


def test_the_image_starts_a_shell() -> None:
    assert 'CMD ["/bin/sh"]' in CHANGES
