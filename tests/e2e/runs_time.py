"""Every time limit: each key of docker.timeouts, ssh.loginGrace, and what no limit may touch."""

import trio

from tests.e2e.harness import Done, Harness
from tests.e2e.runs import Setup, run
from tests.e2e.runs_program import timers
from tests.e2e.runs_pull import FAILED as PULL_FAILED
from tests.e2e.runs_pull import offer
from tests.e2e.sentence import told

SSH = ("engine", "openssh")
LIMIT_S = 0.3
AGAIN_LIMIT_S = 1.0  # by then the pauses between two tries are so long that the limit ends in one of them,
# on any but the busiest machine; there it may end in a try, hence `|` in the rows of those runs
LATE = "delay(0.9)"
NEVER = "fail(unavailable)"


@run("connection-start-expires-pull", end="exit status 125", rows=("CT1704", "IM0406"), needs=(*SSH, "registry"))
async def start_pull(setup: Setup) -> None:
    """containerStart ends during the pull, which nobody else waits for: it is let go."""
    async with (
        offer(setup, "tools/slow", held=True) as image,
        setup.harness(image=image.reference, container_start=1.0) as harness,
    ):
        done = await harness.ssh("true")
        told(done, PULL_FAILED, image.reference, "longer than docker.timeouts.containerStart (1 s)")


def expires(name: str, limit: str, failpoint: str, row: str, code: str, about: str) -> None:
    """A run in which `limit` ends while the engine does what the failpoint says."""
    keys = {"container_start": "containerStart", "command_start": "commandStart"}
    mode = "session" if name.startswith("session") else "connection"

    limit_s = AGAIN_LIMIT_S if failpoint.endswith(NEVER) else LIMIT_S

    async def go(setup: Setup) -> None:
        async with setup.fake_harness(failpoint, mode=mode, **{limit: limit_s}) as harness, harness.client() as client:
            told(await client.run("true"), code, f"it took longer than docker.timeouts.{keys[limit]} ({limit_s:g} s)")

    go.__doc__ = about
    run(name, end="exit status 125", rows=(row,), needs=())(go)


LOOK = "DOCKER_IMAGE_LISTING_FAILED"
CREATE, ATTACH = "DOCKER_CONTAINER_CREATE_FAILED", "DOCKER_CONTAINER_ATTACH_FAILED"
START = "DOCKER_CONTAINER_START_FAILED"
EXEC_CREATE, EXEC_ATTACH = "DOCKER_EXEC_CREATE_FAILED", "DOCKER_EXEC_ATTACH_FAILED"

# fmt: off
for one in (
    ("connection-start-expires-look",         "container_start", f"inspect_image: {LATE}",     "CT0204", LOOK,
     "containerStart ends while the engine looks for the image: nobody says that it could not be pulled."),
    ("connection-start-expires-create",       "container_start", f"create_container: {LATE}",  "CT0306", CREATE,
     "containerStart ends while the engine creates; what it made all the same is removed."),
    ("connection-start-expires-create-again", "container_start", f"create_container: {NEVER}", "CT0402|CT0306", CREATE,
     "containerStart ends between two tries to create."),
    ("connection-start-expires-start",        "container_start", f"start_container: {LATE}",   "CT0704", START,
     "containerStart ends while the engine starts the container."),
    ("connection-start-expires-start-again",  "container_start", f"start_container: {NEVER}",  "CT0802|CT0704", START,
     "containerStart ends between two tries to start."),
    ("session-start-expires-attach",          "container_start", f"attach_container: {LATE}",  "CT0504", ATTACH,
     "containerStart ends while the engine attaches."),
    ("session-start-expires-attach-again",    "container_start", f"attach_container: {NEVER}", "CT0602|CT0504", ATTACH,
     "containerStart ends between two tries to attach."),
    ("session-command-expires-create",        "command_start",   f"create_container: {LATE}",  "CT0307", CREATE,
     "commandStart ends while the engine creates the program's container."),
    ("session-command-expires-create-again",  "command_start",   f"create_container: {NEVER}", "CT0403|CT0307", CREATE,
     "commandStart ends between two tries to create."),
    ("session-command-expires-attach",        "command_start",   f"attach_container: {LATE}",  "CT0505", ATTACH,
     "commandStart ends while the engine attaches."),
    ("session-command-expires-attach-again",  "command_start",   f"attach_container: {NEVER}", "CT0603|CT0505", ATTACH,
     "commandStart ends between two tries to attach."),
    ("session-command-expires-start",         "command_start",   f"start_container: {LATE}",   "CT0705", START,
     "commandStart ends while the engine starts the container."),
    ("session-command-expires-start-again",   "command_start",   f"start_container: {NEVER}",  "CT0803|CT0705", START,
     "commandStart ends between two tries to start."),
    ("connection-command-expires-create",     "command_start",   f"create_exec: {LATE}",       "SS0304", EXEC_CREATE,
     "commandStart ends while the engine prepares the exec."),
    ("connection-command-expires-create-again", "command_start", f"create_exec: {NEVER}", "SS0402|SS0304", EXEC_CREATE,
     "commandStart ends between two tries to prepare the exec."),
    ("connection-command-expires-attach",     "command_start",   f"start_exec: {LATE}",        "SS0504", EXEC_ATTACH,
     "commandStart ends while the engine starts the exec, which is never tried twice."),
):
    expires(*one)
# fmt: on


@run("session-stop-expires", end="exit status 255", rows=("CT0905", "CT1105"), needs=SSH)
async def stop(setup: Setup) -> None:
    """The server ends, the program ignores TERM, and containerStop ends: removed by force."""
    async with setup.harness(mode="session", container_stop=0.5) as harness:
        async with harness.ssh_process("trap '' TERM; echo ready; while :; do sleep 0.1; done") as process:
            assert process.stdout is not None and process.stderr is not None
            assert await process.stdout.receive_some() == b"ready\n"
            harness.server.shutdown("TERM")
            err = b"".join([piece async for piece in process.stderr])
            assert err.startswith(b"moorage: the server is shutting down") and b"(MOORAGE_TERMINATING)\r\n" in err, err
            assert await process.wait() == 255
        await harness.server.wait_stopped()


async def _removed_late(setup: Setup, failpoint: str) -> None:
    async with setup.fake_harness(failpoint, container_stop=LIMIT_S) as harness:
        async with harness.client() as client:
            assert await client.run("echo ok") == Done(0, b"ok\n", b"")
        await harness.all_gone()
        assert harness.said.count("DOCKER_CONTAINER_REMOVE_FAILED") >= 1
        assert "DOCKER_CONTAINER_REMOVE_SUCCESSFUL" in harness.said


@run("connection-removal-late", end="exit status 0", rows=("CT1203", "CT1201"), needs=())
async def removal_late(setup: Setup) -> None:
    """containerStop ends before the engine confirms a removal: the log says so, and the removal goes on."""
    await _removed_late(setup, "remove_container: 1*delay(0.8) -> off")


@run(
    "connection-removal-late-again", end="exit status 0", rows=("CT1202", "CT1301", "CT1302|CT1203", "CT1201"), needs=()
)
async def removal_again(setup: Setup) -> None:
    """containerStop ends while the engine refuses to remove: the log says so, and it is tried until it is confirmed."""
    await _removed_late(setup, "remove_container: 4*fail(unavailable) -> off")


async def _signal(setup: Setup, failpoint: str, limit_s: float = LIMIT_S) -> None:
    async with setup.fake_harness(failpoint, mode="session", signal=limit_s) as harness, harness.client() as client:
        process = await client.start("trap 'exit 1' TERM; echo ready; cat; exit 4")
        await client.line(process)
        process.send_signal("TERM")
        while ("DOCKER_CONTAINER_SIGNAL_FAILED", "signal") not in _limits(harness):
            await harness.said.next()
        process.stdin.write_eof()
        assert (await client.wait(process)).status == 4


def _limits(harness: Harness) -> set[tuple[str, str]]:
    """The codes that were said because a limit had passed, with its name."""
    return {(code, details["name"]) for code, details in harness.said.lines if "name" in details}


@run("session-signal-expires", end="exit status 4", rows=("SG0204",), needs=())
async def signal_late(setup: Setup) -> None:
    """`signal` ends before the engine has delivered one: the log says so, the program goes on."""
    await _signal(setup, "kill_container: 1*delay(0.9)")


@run("session-signal-expires-again", end="exit status 4", rows=("SG0202", "SG0302|SG0204"), needs=())
async def signal_again(setup: Setup) -> None:
    """`signal` ends between two tries to deliver one: the log says so, the program goes on."""
    await _signal(setup, f"kill_container: {NEVER}", AGAIN_LIMIT_S)


async def _window(setup: Setup, failpoint: str, limit_s: float = LIMIT_S) -> None:
    async with setup.fake_harness(failpoint, window=limit_s) as harness, harness.client() as client:
        process = await client.start(term_type="xterm", term_size=(80, 24))
        while ("DOCKER_EXEC_RESIZE_FAILED", "window") not in _limits(harness):
            await harness.said.next()
        process.stdin.write(b"exit 5\r")
        assert (await client.wait(process)).status == 5


@run("connection-window-expires", end="exit status 5", rows=("TM0306",), needs=())
async def window_late(setup: Setup) -> None:
    """`window` ends before the engine has taken a size: the log says so, the program goes on."""
    await _window(setup, f"resize_exec: 1*{LATE} -> off")


@run("connection-window-expires-again", end="exit status 5", rows=("TM0304", "TM0402|TM0306"), needs=())
async def window_again(setup: Setup) -> None:
    """`window` ends between two tries to set a size: the log says so, the program goes on."""
    await _window(setup, f"resize_exec: {NEVER}", AGAIN_LIMIT_S)


@run("connection-http-expires", end="exit status 0", rows=("CT0304", "CT0401", "CT0701"), needs=())
async def http(setup: Setup) -> None:
    """`http` ends while one call hangs: it is tried again within containerStart."""
    async with (
        setup.fake_harness("create_container: 1*hang -> off", http_s=LIMIT_S, http=LIMIT_S) as harness,
        harness.client() as client,
    ):
        assert await client.run("echo ok") == Done(0, b"ok\n", b"")


@run("connection-login-grace", end="closed by the server", rows=("CN0204", "CN0701"), needs=())
async def login_grace(setup: Setup) -> None:
    """A client that connects and never logs in: closed when ssh.loginGrace ends."""
    async with setup.fake_harness(ssh={"login_grace": LIMIT_S}) as harness:
        async with await trio.open_tcp_stream("127.0.0.1", harness.port) as stream:
            await stream.send_all(b"SSH-2.0-silent\r\n")
            said = b"".join([piece async for piece in stream])
        assert said.startswith(b"SSH-2.0-Moorage\r\n")
        await harness.all_gone()


async def _longer(setup: Setup, mode: str) -> None:
    names = ("container_start", "container_stop", "command_start", "signal", "window", "http")
    limits = dict.fromkeys(names, 2.0)
    async with setup.harness(mode=mode, ssh={"login_grace": 2.0}, **limits) as harness:
        done = await harness.ssh("echo early; sleep 3; echo late; exit 6", "-n", stdin=None)
        assert done == Done(6, b"early\nlate\n", b"")
    assert set(timers(setup.scenarios[0][1])) <= {"backoff"}


@run("connection-longer-than-all-limits", end="exit status 6", rows=("SS0510|SS0611", "SS0901"), needs=SSH)
async def connection_longer(setup: Setup) -> None:
    """`ssh -n` with a program that runs longer than every time limit: its own status."""
    await _longer(setup, "connection")


@run("session-longer-than-all-limits", end="exit status 6", rows=("SS0212|SS0611", "SS0702|SS0802"), needs=SSH)
async def session_longer(setup: Setup) -> None:
    """`ssh -n` with a container's main program that runs longer than every time limit: its own status."""
    await _longer(setup, "session")
