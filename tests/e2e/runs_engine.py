"""What the real engine does when it is asked for what cannot be, or when it loses a container under a session."""

import trio

from actors.bridge import open_loop
from actors.engine.docker import DockerEngine
from moorage.guest_image import ensure_guest_image
from protocol.settings import DockerConnection
from tests.e2e import outside
from tests.e2e.harness import Done
from tests.e2e.own_engine import Way, own_dockerd
from tests.e2e.runs import Setup, run
from tests.e2e.runs_fault import told

SSH = ("engine", "openssh")
NO_NETWORK = {"NetworkMode": "none"}
BIND = {**NO_NETWORK, "Mounts": [{"Type": "bind", "Source": "/no/such/folder", "Target": "/data"}]}
LITTLE = {**NO_NETWORK, "Memory": 8 * 2**20, "MemorySwap": 8 * 2**20}
DIED = told("the container ended (status {})", "MOORAGE_CONTAINER_DIED").decode()
MEMORY = told("the program was killed: its container has run out of memory", "MOORAGE_OUT_OF_MEMORY")


@run("session-shell-missing", end="exit status 125", rows=("CT0703", "SS0204", "CT1201"), needs=SSH)
async def session_shell_missing(setup: Setup) -> None:
    """The shell of the configuration is not in the image: the engine says so when it starts the container."""
    async with setup.harness(mode="session", shell_command=("/no/such/shell",)) as harness:
        done = await harness.ssh(None)
    assert done.status == 125 and done.out == b"" and done.err.count(b"\n") == 1
    assert done.err.startswith(b"moorage: the container could not be started: ") and b"/no/such/shell" in done.err
    assert done.err.endswith(b" (DOCKER_CONTAINER_START_FAILED)\r\n")


@run("connection-shell-missing", end="exit status 126", rows=("SS0901",), needs=SSH)
async def connection_shell_missing(setup: Setup) -> None:
    """The same in mode connection: the engine says it on the exec's own output, with 126 or 127."""
    async with setup.harness(shell_command=("/no/such/shell",)) as harness:
        done = await harness.ssh(None)
    assert done.status in (126, 127) and b"/no/such/shell" in done.out + done.err


async def _bad_bind(setup: Setup, mode: str) -> None:
    async with setup.harness(mode=mode, host=BIND) as harness:
        done = await harness.ssh("true")
    assert done.status == 125 and done.out == b"" and done.err.count(b"\n") == 1
    assert done.err.startswith(b"moorage: the container could not be created: ") and b"/no/such/folder" in done.err
    assert done.err.endswith(b" (DOCKER_CONTAINER_CREATE_FAILED)\r\n")


@run("connection-bad-bind", end="exit status 125", rows=("CT0303", "CN0303"), needs=SSH)
async def connection_bad_bind(setup: Setup) -> None:
    """A bind mount of a folder that is not there: refused for good, told at once."""
    await _bad_bind(setup, "connection")


@run("session-bad-bind", end="exit status 125", rows=("CT0303", "SS0204"), needs=SSH)
async def session_bad_bind(setup: Setup) -> None:
    """The same in mode session."""
    await _bad_bind(setup, "session")


@run("connection-idle-command-ends", end="exit status 137", rows=("CN0403", "CT0901", "SS1003|SS0915"), needs=SSH)
async def connection_idle_ends(setup: Setup) -> None:
    """The idle command ends under a session: its program dies with it, and the user is told why."""
    async with setup.harness(idle_command=("/bin/sh", "-c", "sleep 1; exit 4")) as harness:
        assert await harness.ssh("echo out; sleep 60") == Done(137, b"out\n", DIED.format(4).encode())


async def _lost(setup: Setup, mode: str, lose: str) -> Done:
    """A program that runs, and whose container is killed or removed by somebody else."""
    async with setup.harness(mode=mode) as harness, harness.ssh_process("echo out; exec sleep 60") as process:
        assert process.stdout is not None and process.stderr is not None
        assert await process.stdout.receive_some() == b"out\n"
        (name,) = harness.containers()
        await trio.to_thread.run_sync({"kill": outside.kill, "remove": outside.remove}[lose], name)
        said = b"".join([piece async for piece in process.stderr])
        return Done(await process.wait(), b"out\n", said)


@run("connection-container-killed", end="exit status 137", rows=("CN0403", "CT0901", "SS1003|SS0915"), needs=SSH)
async def connection_killed_outside(setup: Setup) -> None:
    """Somebody kills the container under a session (`docker kill`)."""
    assert await _lost(setup, "connection", "kill") == Done(137, b"out\n", DIED.format(137).encode())


@run("connection-container-removed", end="exit status 137", rows=("CN0403", "CT0901|CT0902", "CT1201"), needs=SSH)
async def connection_removed_outside(setup: Setup) -> None:
    """Somebody removes the container under a session (`docker rm -f`)."""
    assert await _lost(setup, "connection", "remove") == Done(137, b"out\n", DIED.format(137).encode())


@run("session-container-removed", end="exit status 137", rows=("CT0901|CT0902", "CT1201"), needs=SSH)
async def session_removed_outside(setup: Setup) -> None:
    """The same in mode session, where the container is the program."""
    assert await _lost(setup, "session", "remove") == Done(137, b"out\n", b"")


@run("connection-out-of-memory", end="exit status 137", rows=("SS0901|SS0917",), needs=SSH)
async def connection_memory(setup: Setup) -> None:
    """A program that wants more than the container may have is killed. Of an exec, not every engine says why."""
    async with setup.harness(host=LITTLE) as harness:
        assert await harness.ssh("exec tail /dev/zero") in (Done(137, b"", MEMORY), Done(137, b"", b""))


@run("session-out-of-memory", end="exit-signal KILL", rows=("SS0714|SS0816", "CT0901"), needs=SSH)
async def session_memory(setup: Setup) -> None:
    """The same in mode session: the kernel's signal is known, and OpenSSH's client makes 255 of it."""
    async with setup.harness(mode="session", host=LITTLE) as harness:
        assert await harness.ssh("exec tail /dev/zero") == Done(255, b"", MEMORY)


# A stream that breaks midway.


async def _broken(setup: Setup, mode: str) -> None:
    async with Way().open() as way:
        setup.connection = DockerConnection(host=way.url)
        async with setup.harness(mode=mode) as harness, harness.ssh_process("echo out; sleep 60") as process:
            assert process.stdout is not None and process.stderr is not None
            assert await process.stdout.receive_some() == b"out\n"
            way.cut()
            said = b"".join([piece async for piece in process.stderr])
            assert await process.wait() == 255
    assert said.startswith(b"moorage: the connection to the container broke, and output may be missing: ")
    assert said.endswith(b" (DOCKER_STREAM_OUTPUT_FAILED)\r\n") and said.count(b"\n") == 1


@run("connection-stream-broken", end="exit status 255", rows=("SS0603", "CT1201"), needs=SSH)
async def connection_broken(setup: Setup) -> None:
    """The engine's connection that carries a program's output is reset midway: 255 and a sentence, never a good end."""
    await _broken(setup, "connection")


@run("session-stream-broken", end="exit status 255", rows=("SS0601|SS0218", "CT1201"), needs=SSH)
async def session_broken(setup: Setup) -> None:
    """The same in mode session; the container goes too."""
    await _broken(setup, "session")


# An engine that is killed and started again: one of the test's own.


async def _restarted(setup: Setup, mode: str) -> Done:
    async with own_dockerd() as dockerd:
        async with open_loop(lambda context: None), DockerEngine.open(DockerConnection(host=dockerd.host), 30.0) as it:
            await ensure_guest_image(it, "guest:1")
        setup.image, setup.connection, setup.engine = "guest:1", DockerConnection(host=dockerd.host), dockerd.host
        async with (
            setup.harness(mode=mode, seconds_max=90.0) as harness,
            harness.ssh_process("echo out; sleep 300") as process,
        ):
            assert process.stdout is not None and process.stderr is not None
            assert await process.stdout.receive_some() == b"out\n"
            await harness.said.until("MOORAGE_CONTAINER_LANDED")
            await dockerd.kill()
            await harness.said.until("MOORAGE_CONTAINER_UNWATCHED")
            await dockerd.start()
            said = b"".join([piece async for piece in process.stderr])
            done = Done(await process.wait(), b"out\n", said)
            await harness.all_gone()
            assert await harness.ssh("echo again") == Done(0, b"again\n", b"")
            await harness.all_gone()
            return done


@run("connection-own-engine-restarts", end="exit status 137", rows=("CT0903", "CT1001", "CT1201"), needs=(*SSH, "slow"))
async def connection_restarted(setup: Setup) -> None:
    """The engine is killed under a session and comes back without its containers: the user is told, all is removed."""
    done = await _restarted(setup, "connection")  # the engine ends what it finds running by TERM or by KILL
    assert done in [Done(137, b"out\n", DIED.format(status).encode()) for status in (137, 143)]


@run("session-own-engine-restarts", end="exit status 143", rows=("CT0903", "CT1001", "CT1201"), needs=(*SSH, "slow"))
async def session_restarted(setup: Setup) -> None:
    """The same in mode session."""
    assert (await _restarted(setup, "session")).status in (137, 143)
