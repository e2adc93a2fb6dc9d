"""Any image, untouched: what a program finds is the same whether the agent or the engine's exec has started it."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio

from moorage.guest_image import CHANGES, make_guest
from protocol.settings import ExecutionMode
from tests.e2e import outside
from tests.e2e.debootstrap import bootstrap
from tests.e2e.harness import Done
from tests.e2e.runs import Setup
from tests.e2e.served import MODES
from tests.fixtures_engine import RUN, busybox

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
Make = Callable[..., str]

# What a program can see of how it was started. What differs by nature is left out: names, PIDs, and our own folders.
LOOK = """
id; pwd; umask; echo "name $0"
env | grep -v -e '^HOSTNAME=' -e '^_=' | sort
grep -e Cap -e NoNewPrivs -e Groups -e '^Uid' -e '^Gid' -e Seccomp -e SigIgn -e SigBlk /proc/self/status
cat /proc/self/limits; ls /proc/self/fd | wc -l
touch /written 2>&1; touch /tmp/written 2>&1; stat -c '%A %u %g %n' /root /tmp; true
"""


@pytest.fixture(scope="session")
def images(dockerd: str) -> Iterator[Make]:
    """Make an image of a root file system (default: busybox's) with changes in a Dockerfile's words."""
    made: dict[tuple[Any, ...], str] = {}

    def make(*changes: str, tar: bytes = b"") -> str:
        key = (changes, hash(tar))
        if key not in made:
            reference = made[key] = f"moorage-test/matrix-{len(made)}:{RUN}"
            outside.import_image(tar or make_guest().tar, reference, changes if tar else (*CHANGES, *changes))
        return made[key]

    yield make
    for reference in made.values():
        outside.forget_image(reference)


def scratch() -> bytes:
    """One static program and nothing else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        program = tarfile.TarInfo("echo")
        content = busybox().read_bytes()
        program.size, program.mode = len(content), 0o755
        tar.addfile(program, io.BytesIO(content))
    return buffer.getvalue()


VIA = 'export VIA=entrypoint; exec "$@"'
DROPPED = {"CapDrop": ["ALL"]}
SAFE = {"SecurityOpt": ["no-new-privileges"]}
# name -> changes to the image, host settings, container settings, slow
CASES: dict[str, tuple[tuple[str, ...], dict[str, Any], dict[str, Any], bool]] = {
    "plain": ((), {}, {}, False),
    "env": (("ENV OWN=image",), {}, {"Env": ["MORE=from the configuration"]}, True),
    "entrypoint": ((f"ENTRYPOINT {json.dumps(['/bin/sh', '-c', VIA, 'entry'])}",), {}, {}, False),
    "user": (("USER 1000:1000",), {}, {}, True),
    "user-by-name": (("USER nobody",), {}, {}, True),
    "user-and-groups": ((), {"GroupAdd": ["4", "24"]}, {"User": "1000"}, True),
    "read-only": ((), {"ReadonlyRootfs": True}, {}, True),
    "no-capabilities": ((), DROPPED, {}, True),
    "no-new-privileges": ((), SAFE, {}, True),
    "all-of-it": (("USER 65534:65534",), {"ReadonlyRootfs": True, "PidsLimit": 20, **DROPPED, **SAFE}, {}, False),
    "memory": ((), {"Memory": 16 * 1024 * 1024, "PidsLimit": 20}, {}, True),
    "no-folder": (("WORKDIR /no/such/folder",), {}, {}, True),
    "init": ((), {"Init": True}, {}, True),
    "own-mounts": ((), {"Mounts": [{"Type": "tmpfs", "Target": "/tmp"}], "Tmpfs": {"/run": ""}}, {}, True),
}


def _plain(line: str) -> str:
    """Signals 32 to 34 are the C library's own: who has them ignored passes that on, and nobody can undo it."""
    name, _, mask = line.partition(":\t")
    return f"{name} {int(mask, 16) & ~(0b111 << 31):x}" if name == "SigIgn" else line


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if case[3] else []) for name, case in CASES.items()]
)
@pytest.mark.parametrize("mode", MODES)
async def test_the_agent_changes_nothing(name: str, mode: ExecutionMode, setup: Setup, images: Make) -> None:
    changes, host, container, _ = CASES[name]
    more = {
        "mode": mode,
        "container": {"Image": images(*changes), **container},
        "host": {"NetworkMode": "none", **host},
    }
    seen = {}
    for transport in ("exec", "served"):
        async with setup.harness(transport=transport, **more) as harness:
            plain = await harness.ssh(LOOK)
            terminal = await harness.ssh("tty; id; pwd", "-tt")
            assert ("MOORAGE_SPAWN" in harness.said) == (transport == "served")
        seen[transport] = (
            plain.status,
            [_plain(line) for line in plain.out.decode().splitlines()],
            plain.err,
            terminal,
        )
    assert seen["served"] == seen["exec"]
    assert seen["served"][0] == 0


@pytest.mark.parametrize("mode", MODES)
async def test_no_shell_in_the_image(mode: ExecutionMode, setup: Setup, images: Make) -> None:
    """A static program runs, whatever else is not there; who wants a shell is told why there is none."""
    image = images('CMD ["/echo","ahoy"]', tar=scratch())
    shell: dict[str, Any] = {"shell_command": ()} if mode == "session" else {"shell_command": ("/echo", "ahoy")}
    subsystems = {"echo": "/echo"}
    async with setup.harness(transport="served", mode=mode, image=image, subsystems=subsystems, **shell) as harness:
        assert await harness.ssh(None) == Done(0, b"ahoy\n", b"")
        assert await harness.ssh("echo", "-s") == Done(0, b"\n", b"")
        done = await harness.ssh("echo ahoy")
    assert (done.status, done.out) == (127, b"")
    assert done.err == (
        b"moorage: the program could not be started: cannot run /bin/sh: it, or the interpreter that it names, is not "
        b"in the image (MOORAGE_SPAWN_FAILED)\r\n"
    )


async def test_no_command_in_the_image(setup: Setup, images: Make) -> None:
    async with setup.harness(
        transport="served", mode="session", image=images("ENV A=b", tar=scratch()), shell_command=()
    ) as harness:
        done = await harness.ssh(None)
    assert done.status == 125 and b"neither an ENTRYPOINT nor a CMD" in done.err


async def test_a_container_without_room_for_another_process(setup: Setup, images: Make) -> None:
    """The agent is the one that says so, and goes on when there is room again."""
    host = {"NetworkMode": "none", "PidsLimit": 3}
    async with setup.harness(transport="served", host=host) as harness, harness.client() as client:
        first = await client.start("sleep 60 & echo ready; wait")  # ready when both are there: with one, there is room
        assert await client.line(first) == b"ready\n"
        with trio.fail_after(10):
            while (done := await client.run("exec echo there")).status == 0:
                pass
        assert done.status == 125 and b"the container has no room for it" in done.err
        first.send_signal("KILL")
        await client.wait(first)
        assert (await client.run("exec true")).status == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.slow
async def test_debian(mode: ExecutionMode, setup: Setup, debian: str) -> None:
    """Its bash at a terminal, its coreutils and its PATH."""
    seen = []
    for transport in ("exec", "served"):
        async with setup.harness(transport=transport, mode=mode, image=debian) as harness:
            done = await harness.ssh("id; pwd; env | grep -v HOSTNAME | sort; stty -a; cat /etc/debian_version; ls /")
            shell = await harness.ssh(None, "-tt", stdin=b"stty -echo; exec bash -c 'echo $BASH'\n")
            assert shell.status == 0 and b"/bin/bash" in shell.out
            seen.append(done)
    lines = [[line for line in done.out.splitlines() if not line.startswith(b".moorage")] for done in seen]
    assert lines[0] == lines[1] and seen[0].status == seen[1].status == 0


@pytest.fixture(scope="session")
def debian(images: Make, tmp_path_factory: pytest.TempPathFactory) -> str:
    return images('CMD ["bash"]', tar=bootstrap(tmp_path_factory.mktemp("debian") / "root"))
