"""A client's host that is gone: its packets are dropped, nothing is ever refused or reset. In a network of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
import trio

from tests.e2e import outside
from tests.e2e.harness import USER, Keys
from tests.e2e.process import served
from tests.fixtures_engine import missing

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]


@pytest.fixture
def network() -> Iterator[tuple[str, ...]]:
    """The words that run a command in a network where there is nobody else."""
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("iptables")):
        missing("no network namespace can be made: it takes root, ip and iptables")
    name = f"moorage-{token_hex(4)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield "ip", "netns", "exec", name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.parametrize("then", ["cat", pytest.param("yes", marks=pytest.mark.slow)])
async def test_a_host_that_is_gone_is_missed(tmp_path: Path, guest: str, network: tuple[str, ...], then: str) -> None:
    """Whether we have nothing to send, or cannot get rid of it: the container is removed."""
    Keys(tmp_path)
    alive = {"clientAliveInterval": "1s", "clientAliveCountMax": 2}
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
    with trio.fail_after(60):
        async with served(tmp_path, guest, ssh=alive, within=network, grace=1, kill=5) as daemon:
            words = [*network, "ssh", "-F", "none", "-i", str(tmp_path / "user_key"), "-p", str(daemon.port)]
            words += [word for option in options for word in ("-o", option)]
            process = await trio.lowlevel.open_process(
                [*words, f"{USER}@127.0.0.1", f"echo ready; {then}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert process.stdin is not None and process.stdout is not None
            try:
                assert (await process.stdout.receive_some(6)) == b"ready\n"
                landed = await daemon.until("MOORAGE_CONTAINER_LANDED")
                await trio.run_process([*network, "iptables", "-A", "INPUT", "-p", "tcp", "-j", "DROP"])
                assert (await daemon.until("MOORAGE_CLIENT_SILENT"))["username"] == USER
                await daemon.until("DOCKER_CONTAINER_REMOVE_SUCCESSFUL")
                assert not outside.exists(landed["container"])
            finally:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()
