"""The agent on an engine that remaps users: a dockerd of this test's own, with its own sockets and folders."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from moorage.guest_image import CHANGES, make_guest
from tests.e2e import outside
from tests.e2e.harness import Done
from tests.e2e.runs import Setup
from tests.e2e.served import LINKS
from tests.fixtures_engine import RUN, missing

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh, pytest.mark.slow]
# In namespaces of its own, so that the machine keeps its files and the other engine its bridge.
START = """
mount --make-rprivate / && mount --bind {folder}/subuid /etc/subuid && mount --bind {folder}/subuid /etc/subgid &&
exec dockerd --userns-remap=nobody:nogroup --host unix://{folder}/docker.sock --data-root {folder}/data \
  --exec-root {folder}/exec --pidfile {folder}/pid --bridge none --iptables=false
"""


@pytest.fixture
def remapping(dockerd: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("unshare"):
        missing("a dockerd of our own needs root, dockerd and unshare")
    folder = tmp_path_factory.mktemp("ns", numbered=True)
    for above in (folder, *folder.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)  # root in the container is somebody else here
    (folder / "subuid").write_text("nobody:200000:65536\nnogroup:200000:65536\n")
    with (folder / "log").open("wb") as log:
        command = ["unshare", "--mount", "--net", "sh", "-c", START.format(folder=folder)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
        _wait(process, folder)
        yield f"unix://{folder}/docker.sock"
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    while process.poll() is None:
        with socket.socket(socket.AF_UNIX) as plug, suppress(OSError):
            plug.connect(str(folder / "docker.sock"))
            assert outside.call("GET", "/version")[0] == 200
            return
        time.sleep(0.1)
    missing("no dockerd with userns-remap: " + (folder / "log").read_text(errors="replace")[-300:])


@pytest.mark.parametrize("link", LINKS)
async def test_users_are_remapped(link: str, remapping: str, setup: Setup) -> None:
    image = f"moorage-test/userns:{RUN}"
    outside.import_image(make_guest().tar, image, (*CHANGES, "USER 1000:1000"))
    async with setup.harness(transport="served", links=(link,), image=image) as harness:
        look = "id -u; awk '{print $2}' /proc/self/uid_map; cat /proc/1/comm; tty"
        done = await harness.ssh(look, "-tt")
        assert done == Done(0, b"1000\r\n200000\r\nagent\r\n/dev/pts/0\r\n", b"")
        assert await harness.ssh("cat", stdin=b"back") == Done(0, b"back", b"")
