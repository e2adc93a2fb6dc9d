"""Failures of the engine at each step: what it refuses for good, what it gets over, and what the user is told.

The engine is the fake one, which fails on command. What the real one can be made to do is in `runs_engine`.
"""

from functools import partial
from typing import Any

from tests.e2e.harness import FAKE_IMAGE, Done
from tests.e2e.runs import Setup, run

TOO_LATE = "it took longer than docker.timeouts.{key} ({seconds:g} s)"
COMMAND = "echo out; exit 7"
OUT = Done(7, b"out\n", b"")


def told(why: str, code: str) -> bytes:
    """The one line that a user reads."""
    return f"moorage: {why} ({code})\r\n".encode()


async def _refused(setup: Setup, points: tuple[str, ...], expected: Done, more: dict[str, Any]) -> None:
    async with setup.fake_harness(*points, **more) as harness, harness.client() as client:
        assert await client.run(COMMAND) == expected


def refused(
    name: str,
    about: str,
    *points: str,
    why: str,
    code: str,
    rows: tuple[str, ...],
    status: int = 125,
    out: bytes = b"",
    **more: Any,
) -> None:
    """A run in which the engine lets a login down: one sentence, its code and a status that says so."""
    mode = "session" if name.startswith("session-") else "connection"
    go = partial(_refused, points=points, expected=Done(status, out, told(why, code)), more={"mode": mode, **more})
    go.__doc__ = about  # type: ignore[misc]
    run(name, end=f"exit status {status}", rows=rows, needs=())(go)


async def _survived(setup: Setup, points: tuple[str, ...], says: str, more: dict[str, Any]) -> None:
    async with setup.fake_harness(*points, **more) as harness, harness.client() as client:
        assert await client.run(COMMAND) == OUT
        if says:
            assert says in harness.said


def survived(name: str, about: str, *points: str, rows: tuple[str, ...], says: str = "", **more: Any) -> None:
    """A run in which the engine fails for a while and the user never notices."""
    mode = "session" if name.startswith("session-") else "connection"
    go = partial(_survived, points=points, says=says, more={"mode": mode, **more})
    go.__doc__ = about  # type: ignore[misc]
    run(name, end="exit status 7", rows=rows, needs=())(go)


# The image.

refused(
    "connection-image-look-denied",
    "The engine may not say whether it has the image: permanent, told at once.",
    "inspect_image: fail(denied)",
    why=f"the container engine could not say whether it has the image {FAKE_IMAGE}: failpoint in inspect_image",
    code="DOCKER_IMAGE_LISTING_FAILED",
    rows=("IM0205", "CT0202", "CN0303", "SS0110|SS0204"),
)
survived(
    "connection-image-look-again",
    "The engine is busy when it is asked for the image; a moment later it answers.",
    "inspect_image: 2*fail(unavailable) -> off",
    rows=("IM0204", "IM0301", "IM0201", "SS0901"),
    says="DOCKER_IMAGE_LISTING_FAILED",
)

# Create.

refused(
    "connection-create-refused",
    "The engine refuses the container for good: it is not asked twice.",
    "create_container: fail(invalid)",
    why="the container could not be created: failpoint in create_container",
    code="DOCKER_CONTAINER_CREATE_FAILED",
    rows=("CT0303", "CN0303"),
)
refused(
    "session-create-refused",
    "The same in mode session.",
    "create_container: fail(conflict)",
    why="the container could not be created: failpoint in create_container",
    code="DOCKER_CONTAINER_CREATE_FAILED",
    rows=("CT0303", "SS0204"),
)
survived(
    "connection-create-again",
    "The engine is not there twice, and then it is.",
    "create_container: 2*fail(unavailable) -> off",
    rows=("CT0304", "CT0401", "CT0302", "SS0901"),
    says="DOCKER_CONTAINER_CREATE_FAILED",
)
survived(
    "session-create-answer-lost",
    "The container is made and the answer gets lost: the next try finds it, and there is never a second one.",
    "create_container: 1*lose(timeout) -> off",
    rows=("CT0304", "CT0401", "CT0301", "SS0702|SS0802"),
    mode="session",
)
refused(
    "connection-create-internal-error",
    "The engine says 500 three times, which is believed. What the first tries may have left is removed.",
    "create_container: lose(internal)",
    why="the container could not be created: failpoint in create_container: the answer got lost",
    code="DOCKER_CONTAINER_CREATE_FAILED",
    rows=("CT0304", "CT0305", "CT1221"),
)
refused(
    "connection-create-out-of-time",
    "The engine never comes back within containerStart.",
    "create_container: fail(unavailable)",
    why="the container could not be created: "
    + TOO_LATE.format(key="containerStart", seconds=0.4)
    + "; the last try: failpoint in create_container",
    code="DOCKER_CONTAINER_CREATE_FAILED",
    rows=("CT0304", "CT0402", "CT1221"),
    container_start=0.4,
)

# Attach (session mode).

refused(
    "session-attach-refused",
    "The engine refuses to attach for good.",
    "attach_container: fail(denied)",
    why="the container could not be attached to: failpoint in attach_container",
    code="DOCKER_CONTAINER_ATTACH_FAILED",
    rows=("CT0503", "SS0204", "CT1201"),
)
survived(
    "session-attach-again",
    "Attaching fails once.",
    "attach_container: 1*fail(unavailable) -> off",
    rows=("CT0502", "CT0601", "CT0501", "SS0702|SS0802"),
    says="DOCKER_CONTAINER_ATTACH_FAILED",
)
refused(
    "session-attach-out-of-time",
    "Attaching fails until commandStart is over.",
    "attach_container: fail(unavailable)",
    why="the container could not be attached to: "
    + TOO_LATE.format(key="commandStart", seconds=0.4)
    + "; the last try: failpoint in attach_container",
    code="DOCKER_CONTAINER_ATTACH_FAILED",
    rows=("CT0502", "CT0603", "CT1201"),
    command_start=0.4,
)

# Start.

refused(
    "connection-start-refused",
    "The engine refuses to start the container for good.",
    "start_container: fail(invalid)",
    why="the container could not be started: failpoint in start_container",
    code="DOCKER_CONTAINER_START_FAILED",
    rows=("CT0703", "CN0303", "CT1201"),
)
refused(
    "session-start-refused",
    "The same in mode session.",
    "start_container: fail(invalid)",
    why="the container could not be started: failpoint in start_container",
    code="DOCKER_CONTAINER_START_FAILED",
    rows=("CT0703", "SS0204", "CT1201"),
)
survived(
    "connection-start-answer-lost",
    "It is started and the answer gets lost: a second start of a running container is a yes.",
    "start_container: 1*lose(unavailable) -> off",
    rows=("CT0702", "CT0801", "CT0701", "SS0901"),
    says="DOCKER_CONTAINER_START_FAILED",
)
survived(
    "session-start-again",
    "Starting fails once in mode session.",
    "start_container: 1*fail(internal) -> off",
    rows=("CT0702", "CT0801", "SS0702|SS0802"),
)
refused(
    "session-start-out-of-time",
    "Starting fails until commandStart is over.",
    "start_container: fail(unavailable)",
    why="the container could not be started: "
    + TOO_LATE.format(key="commandStart", seconds=0.4)
    + "; the last try: failpoint in start_container",
    code="DOCKER_CONTAINER_START_FAILED",
    rows=("CT0702", "CT0803", "CT1201"),
    command_start=0.4,
)

# The exec (connection mode).

refused(
    "connection-exec-create-refused",
    "The engine refuses the exec for good.",
    "create_exec: fail(denied)",
    why="the program could not be prepared: failpoint in create_exec",
    code="DOCKER_EXEC_CREATE_FAILED",
    rows=("SS0303",),
)
survived(
    "connection-exec-create-again",
    "The exec is made at the third try.",
    "create_exec: 2*fail(unavailable) -> off",
    rows=("SS0302", "SS0401", "SS0301", "SS0901"),
    says="DOCKER_EXEC_CREATE_FAILED",
)
refused(
    "connection-exec-create-out-of-time",
    "The exec cannot be made until commandStart is over.",
    "create_exec: fail(timeout)",
    why="the program could not be prepared: "
    + TOO_LATE.format(key="commandStart", seconds=0.4)
    + "; the last try: failpoint in create_exec",
    code="DOCKER_EXEC_CREATE_FAILED",
    rows=("SS0302", "SS0402"),
    command_start=0.4,
)
refused(
    "connection-exec-start-refused",
    "The start of an exec fails and is never repeated: the user's command might run twice.",
    "start_exec: fail(unavailable)",
    why="the program could not be started: failpoint in start_exec",
    code="DOCKER_EXEC_ATTACH_FAILED",
    rows=("SS0503",),
)

# How it ended.

survived(
    "connection-exit-status-again",
    "The exit status is asked for three times.",
    "inspect_exec: 2*fail(unavailable) -> off",
    rows=("SS0904", "SS1001", "SS0901"),
    says="DOCKER_EXIT_CODE_FAILED",
)
refused(
    "connection-exit-status-lost",
    "The engine cannot say how the program ended: the output is there, and the status is 255.",
    "inspect_exec: fail(internal)",
    why="the program has ended, but its exit status is lost: failpoint in inspect_exec",
    code="DOCKER_EXIT_CODE_FAILED",
    rows=("SS0904", "SS0905"),
    status=255,
    out=b"out\n",
)
survived(
    "connection-wait-broken",
    "The engine breaks off telling us about a running container: it is asked again, and nobody notices.",
    "wait_container: 1*fail(unavailable) -> off",
    rows=("CT0903", "SS0901", "CT1201"),
    says="MOORAGE_CONTAINER_UNWATCHED",
)
survived(
    "session-wait-broken",
    "The same in mode session, where the exit status hangs on it.",
    "wait_container: 1*fail(internal) -> off",
    rows=("CT0903", "CT1001", "CT0901", "SS0702|SS0802"),
    says="MOORAGE_CONTAINER_UNWATCHED",
)


# What a user asks for while a program runs.


@run("connection-resize-failed", end="exit status 3", rows=("TM0304", "TM0401", "TM0305", "SS0901"), needs=())
async def connection_resize_failed(setup: Setup) -> None:
    """The terminal cannot be resized: the log says so after three tries, and the program goes on."""
    async with setup.fake_harness("resize_exec: fail(internal)") as harness, harness.client() as client:
        process = await client.start(None, term_type="xterm", term_size=(80, 24))
        await harness.said.until("DOCKER_EXEC_RESIZE_FAILED", 3)
        process.stdin.write(b"exit 3\n")
        assert (await client.wait(process)).status == 3


@run("session-signal-refused", end="exit status 6", rows=("SG0203", "SS0702|SS0802"), needs=())
async def session_signal_refused(setup: Setup) -> None:
    """A signal that the engine will not deliver: the log says so, the program goes on."""
    async with (
        setup.fake_harness("kill_container: fail(denied)", mode="session") as harness,
        harness.client() as client,
    ):
        process = await client.start("trap : USR1; echo ready; cat; exit 6")
        await client.line(process)
        process.send_signal("USR1")
        await harness.said.until("DOCKER_CONTAINER_SIGNAL_FAILED")
        process.stdin.write_eof()
        assert await client.wait(process) == Done(6, b"", b"")


@run("session-signal-again", end="exit-signal USR1", rows=("SG0202", "SG0301", "SG0201", "SS0701|SS0801"), needs=())
async def session_signal_again(setup: Setup) -> None:
    """A signal that arrives at the second try."""
    point = "kill_container: 1*fail(unavailable) -> off"
    async with setup.fake_harness(point, mode="session") as harness, harness.client() as client:
        process = await client.start("trap : USR1; echo ready; cat; exit 6")
        await client.line(process)
        process.send_signal("USR1")
        await client.wait(process)
        assert process.exit_signal is not None and process.exit_signal[0] == "USR1"
        assert "DOCKER_CONTAINER_SIGNAL_FAILED" in harness.said


# Removal.


@run(
    "connection-removal-again",
    end="removed at the fourth try",
    rows=("CT1202", "CT1301", "CT1203|CT1302", "CT1201"),
    needs=(),
)
async def connection_removal_again(setup: Setup) -> None:
    """The engine removes nothing within containerStop: that is logged as an error, and tried until it is done."""
    points = "remove_container: 3*fail(unavailable) -> off"
    async with setup.fake_harness(points, container_stop=0.1) as harness:
        async with harness.client() as client:
            assert await client.run(COMMAND) == OUT
        await harness.all_gone()
        assert {"CT1202", "CT1201"} <= harness.said.rows()
        assert harness.said.rows() & {"CT1203", "CT1302"}


# The engine as a whole.


@run(
    "connection-engine-restarts",
    end="exit status 137",
    rows=("CT0903", "CT1001", "SS1003|SS0903|SS0803", "CT1201"),
    needs=(),
)
async def connection_engine_restarts(setup: Setup) -> None:
    """The engine dies under a running command and comes back with all containers dead: the user is told."""
    async with setup.fake_harness() as harness, harness.client() as client:
        process = await client.start("echo ready; sleep 60")
        await client.line(process)
        assert harness.fake is not None
        harness.fake.crash()
        await harness.said.until("MOORAGE_CONTAINER_UNWATCHED")
        harness.fake.restart()
        done = await client.wait(process)
    assert done == Done(137, b"", told("the container ended (status 137)", "MOORAGE_CONTAINER_DIED"))


@run("session-engine-restarts", end="exit status 137", rows=("CT0903", "CT1001", "CT0901", "SS0702|SS0802"), needs=())
async def session_engine_restarts(setup: Setup) -> None:
    """The same in mode session."""
    async with setup.fake_harness(mode="session") as harness, harness.client() as client:
        process = await client.start("echo ready; sleep 60")
        await client.line(process)
        assert harness.fake is not None
        harness.fake.crash()
        await harness.said.until("MOORAGE_CONTAINER_UNWATCHED")
        harness.fake.restart()
        assert (await client.wait(process)).status == 137
