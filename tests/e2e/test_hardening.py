"""A strict container really is one, however its programs are started; without the key it is as the engine makes it."""

import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from moorage.guest_image import CHANGES, make_guest
from protocol.hardening import KEPT, MEMORY_BYTES, PIDS_MAX
from protocol.settings import ExecutionMode
from tests.e2e import outside
from tests.e2e.runs import Setup
from tests.fixtures_engine import RUN

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
WAYS = pytest.mark.parametrize(
    ("mode", "transport"),
    [
        ("connection", "served"),
        ("session", "exec"),
        pytest.param("connection", "exec", marks=pytest.mark.slow),
        pytest.param("session", "served", marks=pytest.mark.slow),
    ],
)
TRANSPORTS = ("exec", "served")
NUMBERS = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7}
STATUS = "grep -e CapBnd -e CapEff -e NoNewPrivs /proc/self/status"
BECOME_ROOT = "su -c 'id -u' root"
# As many sleeping children as there can be, and then how many there are.
BOMB = "(i=0; while [ $i -lt 600 ]; do sleep 30 & i=$((i+1)); done) 2>/dev/null; set -- /proc/[0-9]*; echo $#"


@pytest.fixture(scope="module")
def image(dockerd: str) -> Iterator[str]:
    """The guest image whose `su` works: its busybox is setuid root, and root needs no password."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(make_guest().tar)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            file = old.extractfile(member) if member.isfile() else None
            content = file.read() if file else b""
            if member.name.removeprefix("./") == "bin/busybox":
                member.mode = 0o4755
            if member.name.removeprefix("./") == "etc/passwd":
                content = content.replace(b"root:x:", b"root::") + b"person:x:1000:1000::/:/bin/sh\n"
                member.size = len(content)
            new.addfile(member, io.BytesIO(content) if file else None)
    reference = f"moorage-test/setuid:{RUN}"
    outside.import_image(out.getvalue(), reference, CHANGES)
    yield reference
    outside.forget_image(reference)


@WAYS
async def test_what_the_kernel_says(mode: ExecutionMode, transport: str, setup: Setup) -> None:
    mask = sum(1 << NUMBERS[name] for name in KEPT)
    more: dict[str, Any] = {"mode": mode, "transport": transport}
    async with setup.harness(hardening="strict", **more) as harness, harness.client() as client:
        said = (await client.run(STATUS)).out.decode().split()
        assert said == ["CapEff:", f"{mask:016x}", "CapBnd:", f"{mask:016x}", "NoNewPrivs:", "1"]
        (name,) = harness.containers() if mode == "connection" else [""]
        if name:
            host = outside.call("GET", f"/containers/{name}/json")[1]["HostConfig"]
            assert (host["PidsLimit"], host["Memory"]) == (PIDS_MAX, MEMORY_BYTES)
        # What a login does as root goes on: owners, other people's files, becoming somebody else.
        work = "touch /a && chown 1000:1000 /a && chmod 700 /a && echo b > /a && su -s /bin/sh -c 'id -u' nobody"
        done = await client.run(work)
        assert (done.status, done.err) == (0, b"")
    async with setup.harness(**more) as harness, harness.client() as client:
        said = (await client.run(STATUS)).out.decode().split()
        assert int(said[3], 16) > mask and said[5] == "0"


@WAYS
async def test_a_setuid_program_gains_nothing(mode: ExecutionMode, transport: str, setup: Setup, image: str) -> None:
    person = {"Image": image, "User": "1000:1000"}
    more: dict[str, Any] = {"mode": mode, "transport": transport, "container": person}
    async with setup.harness(**more) as harness:
        done = await harness.ssh(BECOME_ROOT)
        assert (done.status, done.out) == (0, b"0\n")
    async with setup.harness(hardening="strict", **more) as harness:
        done = await harness.ssh(BECOME_ROOT)
        assert done.status != 0 and done.out == b""
        assert b"must be suid" in done.err
    async with setup.harness(hardening="strict", hardening_off=("noNewPrivileges",), **more) as harness:
        assert (await harness.ssh(BECOME_ROOT)).out == b"0\n"


@WAYS
async def test_a_fork_bomb_meets_the_limit(mode: ExecutionMode, transport: str, setup: Setup) -> None:
    """It gets no more than the limit, and what it has made goes with its container."""
    async with setup.harness(hardening="strict", mode=mode, transport=transport, seconds_max=60) as harness:
        done = await harness.ssh(BOMB, "-tt")
        assert 400 < int(done.out.split()[-1]) <= PIDS_MAX
        with trio.fail_after(30):
            await harness.all_gone()
