"""Programs that run as they should, in both modes, on the real engine with OpenSSH's client."""

import trio

from protocol.ledger import Scenario
from tests.e2e.harness import Done
from tests.e2e.runs import Setup, run

SSH = ("engine", "openssh")


def timers(scenario: Scenario) -> list[str]:
    """The deadlines that passed in it while they mattered."""
    passed = [line for line in scenario.lines if line.event["event"] == "deadline_passed"]
    return [line.event["name"] for line in passed if line.answer["type"] != "stale"]


@run(
    "connection-exec",
    end="exit status 7",
    rows=("CN0202", "CN0302", "SS0203", "SS0604", "SS0901", "CT0904", "CT1201"),
    needs=SSH,
)
async def connection_exec(setup: Setup) -> None:
    """A command: output, error output and exit status of an exec in the connection's container."""
    async with setup.harness() as harness:
        assert await harness.ssh("echo out; echo err >&2; exit 7") == Done(7, b"out\n", b"err\n")


@run(
    "session-exec",
    end="exit status 7",
    rows=("CN0203", "SS0116", "SS0202", "SS0702|SS0802", "CT0501", "CT0901"),
    needs=SSH,
)
async def session_exec(setup: Setup) -> None:
    """A command in a container of the session's own, attached before it starts: its output, error output and status."""
    async with setup.harness(mode="session") as harness:
        assert await harness.ssh("echo out; echo err >&2; exit 7") == Done(7, b"out\n", b"err\n")


@run("connection-shell", end="exit status 9", rows=("SS0510|SS0611", "SS0901"), needs=SSH)
async def connection_shell(setup: Setup) -> None:
    """A shell that reads its commands from the client's input and ends at the end of it."""
    async with setup.harness() as harness:
        assert await harness.ssh(None, stdin=b"echo from a shell\nexit 9\n") == Done(9, b"from a shell\n", b"")


@run("session-shell", end="exit status 9", rows=("SS0212|SS0611", "SS0702|SS0802"), needs=SSH)
async def session_shell(setup: Setup) -> None:
    """A shell that reads its commands from the client's input, as the main program of a container."""
    async with setup.harness(mode="session") as harness:
        assert await harness.ssh(None, stdin=b"echo from a shell\nexit 9\n") == Done(9, b"from a shell\n", b"")


@run("session-shell-image-command", end="exit status 3", rows=("SS0116", "SS0702|SS0802"), needs=SSH)
async def session_image_command(setup: Setup) -> None:
    """No shellCommand: the image's own CMD is the shell."""
    async with setup.harness(mode="session", shell_command=()) as harness:
        assert await harness.ssh(None, stdin=b"echo $0; exit 3\n") == Done(3, b"/bin/sh\n", b"")


async def _shell_at_a_terminal(setup: Setup, mode: str) -> None:
    async with setup.harness(mode=mode) as harness, harness.terminal(None, 90, 30) as terminal:
        while b"30 90" not in terminal.shown:  # before API 1.42 the size follows the program's start
            await terminal.type(b"stty size; echo done\n")
            await terminal.until(b"done\r\n")
            terminal.shown = terminal.shown.replace(b"done\r\n", b"")
        terminal.resize(120, 50)
        while b"50 120" not in terminal.shown:
            await terminal.type(b"stty size; echo done\n")
            await terminal.until(b"done\r\n")
            terminal.shown = terminal.shown.replace(b"done\r\n", b"")
        await terminal.type(b"sh -c 'echo go; exec sleep 60'\n")  # what says it is what Ctrl-C is for
        await terminal.until(b"\ngo\r\n")
        await terminal.type(b"\x03")
        await terminal.until(b"^C")
        await terminal.type(b"exit 4\n")
        assert await terminal.end() == 4


@run(
    "connection-shell-pty-resize",
    end="exit status 4",
    rows=("SS0104", "SS0606", "TM0201|TM0301", "TM0202", "SS0901"),
    needs=SSH,
)
async def connection_pty(setup: Setup) -> None:
    """A terminal of 90x30 made 120x50 by its user, Ctrl-C, and exit."""
    await _shell_at_a_terminal(setup, "connection")


@run(
    "session-shell-pty-resize",
    end="exit status 4",
    rows=("SS0104", "SS0606", "TM0201|TM0301", "TM0202", "SS0702|SS0802"),
    needs=SSH,
)
async def session_pty(setup: Setup) -> None:
    """The container's own terminal of 90x30 made 120x50 by its user, Ctrl-C, and exit."""
    await _shell_at_a_terminal(setup, "session")


async def _stdin_closed(setup: Setup, mode: str) -> None:
    async with setup.harness(mode=mode) as harness:
        assert await harness.ssh("sleep 1; echo late; exit 5", "-n", stdin=None) == Done(5, b"late\n", b"")
    assert set(timers(setup.scenarios[0][1])) <= {"backoff"}


@run("connection-stdin-closed", end="exit status 5", rows=("SS0510|SS0611", "SS0901"), needs=SSH)
async def connection_stdin_closed(setup: Setup) -> None:
    """`ssh -n`: the end of input is a half-close, the program goes on and its status comes."""
    await _stdin_closed(setup, "connection")


@run("session-stdin-closed", end="exit status 5", rows=("SS0212|SS0611", "SS0702|SS0802"), needs=SSH)
async def session_stdin_closed(setup: Setup) -> None:
    """`ssh -n`: the end of input is a half-close; the container's main program goes on and its status comes."""
    await _stdin_closed(setup, "session")


async def _control_master(setup: Setup, mode: str) -> None:
    async with setup.harness(mode=mode) as harness:
        socket = ("-o", f"ControlPath={setup.folder}/mux")
        async with harness.ssh_process(None, "-N", "-M", *socket) as master:
            await harness.said.until("SSH_AUTH_SUCCESSFUL")
            while not (setup.folder / "mux").is_socket():  # noqa: ASYNC110 (nothing tells of it)
                await trio.sleep(0.01)
            for status in range(5):
                done = await harness.ssh(f"echo {status}; exit {status}", "-n", *socket, stdin=None)
                assert done == Done(status, f"{status}\n".encode(), b"")
            await harness.ssh(None, "-O", "exit", *socket)  # a TERM that comes just before its poll is not noticed
            await master.wait()
        await harness.all_gone()
    assert len(setup.scenarios) == 1


@run("connection-control-master", end="exit statuses 0 to 4", rows=("CN0401", "CN0402", "SS0117", "SS0901"), needs=SSH)
async def connection_control_master(setup: Setup) -> None:
    """Five commands over a ControlMaster with closed input: one container, each its own status."""
    await _control_master(setup, "connection")


@run("session-control-master", end="exit statuses 0 to 4", rows=("CN0401", "CN0402", "SS0702|SS0802"), needs=SSH)
async def session_control_master(setup: Setup) -> None:
    """Five commands over a ControlMaster with closed input: a container for each, and each its own status."""
    await _control_master(setup, "session")


@run("connection-subsystem", end="exit status 0", rows=("SS0901",), needs=SSH)
async def connection_subsystem(setup: Setup) -> None:
    """A subsystem from the map, fed and read to its end."""
    async with setup.harness(subsystems={"echo": "/bin/cat"}) as harness:
        assert await harness.ssh("echo", "-s", stdin=b"back") == Done(0, b"back", b"")


@run("connection-subsystem-unknown", end="exit status 125", rows=("SS0113",), needs=SSH)
async def connection_subsystem_unknown(setup: Setup) -> None:
    """A subsystem that is not in the map: one sentence, status 125."""
    async with setup.harness() as harness:
        done = await harness.ssh("netconf", "-s")
    assert done.status == 125 and done.out == b""
    assert done.err.startswith(b"moorage: ") and b"netconf" in done.err
    assert done.err.endswith(b"(DOCKER_SUBSYSTEM_NOT_SUPPORTED)\r\n") and done.err.count(b"\n") == 1


@run("connection-command-with-nul", end="exit status 125", rows=("SS0114",))
async def connection_nul(setup: Setup) -> None:
    """A command with a NUL byte, which no program can be given: one sentence, status 125."""
    async with setup.harness() as harness, harness.client() as client:
        done = await client.run("echo a\0b")
    assert done.status == 125 and b"NUL" in done.err and b"(MOORAGE_COMMAND_REFUSED)" in done.err


@run("connection-program-killed", end="exit status 137", rows=("SS0901",), needs=SSH)
async def connection_killed(setup: Setup) -> None:
    """A program that kills itself: an exec tells 128+9 and no more."""
    async with setup.harness() as harness:
        assert await harness.ssh("kill -9 $$") == Done(137, b"", b"")


@run("session-signal", end="exit-signal TERM", rows=("SS0216|SS0607", "SG0201", "SS0701|SS0801"))
async def session_signal(setup: Setup) -> None:
    """A signal request: the engine's kill API delivers it, and the end is told as exit-signal."""
    async with setup.harness(mode="session") as harness, harness.client() as client:
        process = await client.start("trap 'exit 143' TERM; echo ready; while :; do sleep 0.05; done")
        await client.line(process)
        process.send_signal("TERM")
        await client.wait(process)
        assert process.exit_signal is not None and process.exit_signal[0] == "TERM"
    await trio.lowlevel.checkpoint()


@run("connection-signal-without-agent", end="exit status 0", rows=("SS0608",))
async def connection_signal(setup: Setup) -> None:
    """A signal request in mode connection: the exec API has none, and the log says so."""
    async with setup.harness() as harness, harness.client() as client:
        process = await client.start("echo ready; read line; echo still here")
        await client.line(process)
        process.send_signal("TERM")
        await harness.said.until("DOCKER_EXEC_SIGNAL_FAILED_NO_AGENT")
        process.stdin.write(b"go on\n")
        await client.wait(process)
        assert process.exit_status == 0


@run("session-two-at-once", end="exit statuses 1 and 2", rows=("SS0702|SS0802",))
async def session_two(setup: Setup) -> None:
    """Two sessions of one connection, each in its own container."""
    async with setup.harness(mode="session") as harness, harness.client() as client:
        first = await client.start("read line; exit 1")
        second = await client.start("read line; exit 2")
        await harness.said.until("MOORAGE_CONTAINER_LANDED", 2)
        assert len(harness.containers()) == 2
        for process, status in ((first, 1), (second, 2)):
            process.stdin.write(b"go\n")
            await client.wait(process)
            assert process.exit_status == status
