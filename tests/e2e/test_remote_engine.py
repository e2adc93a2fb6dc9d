"""A remote engine: a dockerd of this test's own that listens on TCP with TLS, in a network that is not ours.

No file system is shared with it as far as Moorage knows, so the agent comes over the attached link.
"""

from pathlib import Path

import pytest

from actors.bridge import open_loop
from actors.engine.docker import DockerEngine
from moorage.guest_image import ensure_guest_image
from tests.actors.engine.test_tls import Papers
from tests.e2e.harness import Done
from tests.e2e.netns import way_into
from tests.e2e.own_engine import own_dockerd
from tests.e2e.runs import Setup

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh, pytest.mark.slow]
PORT = 2376


def daemon_options(papers: Papers, folder: Path) -> list[str]:
    """TLS on TCP, for those who have a certificate of the same authority."""
    for name, text in zip(("ca", "cert", "key"), (papers.authority, *papers.server), strict=True):
        (folder / name).write_text(text)
    listen = ["--host", f"tcp://127.0.0.1:{PORT}", "--tlsverify"]
    return [*listen, "--tlscacert", f"{folder}/ca", "--tlscert", f"{folder}/cert", "--tlskey", f"{folder}/key"]


async def test_the_agent_serves_over_tls(setup: Setup, tmp_path: Path) -> None:
    papers = Papers()
    async with own_dockerd(daemon_options(papers, tmp_path)) as dockerd, way_into(dockerd.pid, PORT) as port:
        setup.connection, setup.image, setup.engine = papers.connection(port), "guest:1", dockerd.host
        async with open_loop(lambda context: None), DockerEngine.open(setup.connection, 30.0) as engine:
            await ensure_guest_image(engine, setup.image)
        more = {"transport": "served", "links": ("attach",), "pool": 1}
        for mode in ("connection", "session"):
            async with setup.harness(mode=mode, seconds_max=90.0, **more) as harness:
                assert await harness.ssh("echo out; echo err >&2; exit 7") == Done(7, b"out\n", b"err\n")
                data = bytes(range(256)) * 4000
                assert await harness.ssh("cat", stdin=data) == Done(0, data, b"")
                assert await harness.ssh("tty; cat /proc/1/comm", "-tt") == Done(0, b"/dev/pts/0\r\nagent\r\n", b"")
                (ready,) = harness.said.details("MOORAGE_AGENT_READY")
                assert ready["link"] == "attach" and "MOORAGE_SPAWN" in harness.said
            more.pop("pool", None)  # spares are for mode connection
