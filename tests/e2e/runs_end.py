"""How it ends: clients that are gone at every stage, logins refused, and the server's own shutdown."""

import signal
from contextlib import suppress
from functools import partial
from typing import Any

import asyncssh
import pytest
import trio
import trio.testing
from passlib.hash import sha512_crypt

from moorage.testing import FakeImage
from tests.e2e.harness import USER, Client, Done
from tests.e2e.runs import Setup, run
from tests.e2e.runs_fault import told

SSH = ("engine", "openssh")
SLOW_IMAGE = "busybox:slow"

# A client that is killed, without a goodbye.


async def _gone(
    setup: Setup, points: tuple[str, ...], until: str, says: str, command: str, more: dict[str, Any]
) -> None:
    """`until`: the code after which the client is killed."""
    async with setup.fake_harness(*points, **more) as harness:
        assert harness.fake is not None
        harness.fake.registry[SLOW_IMAGE] = FakeImage(pull_seconds=60)
        async with harness.client() as client, trio.open_nursery() as nursery:
            nursery.start_soon(_try, client, command)
            await harness.said.until(until)
            await trio.testing.wait_all_tasks_blocked(0.02)
            client.kill()
        await harness.all_gone()
        assert not harness.containers()
        assert not says or says in harness.said


async def _try(client: Client, command: str) -> None:
    with suppress(asyncssh.Error, OSError):
        await client.run(command)


def gone(
    name: str,
    about: str,
    *points: str,
    until: str,
    rows: tuple[str, ...],
    says: str = "",
    command: str = "sleep 60",
    **more: Any,
) -> None:
    """A run whose client is killed at one stage; nothing of it stays."""
    mode = "session" if name.startswith("session-") else "connection"
    go = partial(_gone, points=points, until=until, says=says, command=command, more={"mode": mode, **more})
    go.__doc__ = about  # type: ignore[misc]
    run(name, end="the client is gone", rows=rows, needs=())(go)


gone(
    "connection-gone-while-pulling",
    "The client is killed while its image is pulled: nobody else waits for it, and the pull is let go.",
    until="DOCKER_IMAGE_PULL",
    rows=("CN0308", "CT1705"),
    says="MOORAGE_IMAGE_PULL_ABANDONED",
    image=SLOW_IMAGE,
)
gone(
    "session-gone-while-pulling",
    "The same in mode session.",
    until="DOCKER_IMAGE_PULL",
    rows=("SS0214", "CT1705"),
    says="MOORAGE_IMAGE_PULL_ABANDONED",
    image=SLOW_IMAGE,
)
gone(
    "connection-gone-while-creating",
    "The client is killed while its container is created: it is removed as soon as the engine has made it.",
    "create_container: delay(0.3)",
    until="DOCKER_CONTAINER_CREATE",
    rows=("CN0308", "CT0308", "CT1204", "CT1201"),
)
gone(
    "session-gone-while-creating",
    "The same in mode session.",
    "create_container: delay(0.3)",
    until="DOCKER_CONTAINER_CREATE",
    rows=("SS0214", "CT0308", "CT1204", "CT1201"),
)
gone(
    "session-gone-while-attaching",
    "The client is killed while its container is attached to.",
    "attach_container: delay(0.3)",
    until="DOCKER_CONTAINER_ATTACH",
    rows=("SS0214", "CT0506", "CT1206", "CT1201"),
)
gone(
    "connection-gone-while-starting",
    "The client is killed while its container starts.",
    "start_container: delay(0.3)",
    until="DOCKER_CONTAINER_START",
    rows=("CN0308", "CT0706", "CT1208", "CT1201"),
)
gone(
    "session-gone-while-starting",
    "The same in mode session.",
    "start_container: delay(0.3)",
    until="DOCKER_CONTAINER_START",
    rows=("SS0214", "CT0706", "CT1208", "CT1201"),
)
gone(
    "connection-gone-while-retrying",
    "The client is killed between two tries of a create whose answer is lost: what the first has made is removed.",
    "create_container: lose(unavailable)",
    until="DOCKER_CONTAINER_CREATE_FAILED",
    rows=("CN0308", "CT0404|CT0308", "CT1221"),
)
gone(
    "connection-gone-while-the-exec-starts",
    "The client is killed while its exec is started.",
    "start_exec: delay(0.3)",
    until="DOCKER_EXEC_ATTACH",
    rows=("SS0512", "CN0405", "CT1201"),
)
gone(
    "connection-gone-while-reading-the-status",
    "The client is killed while the engine is asked how its program ended.",
    "inspect_exec: delay(0.3)",
    until="DOCKER_EXEC_ATTACH",
    rows=("SS0913", "CN0405", "CT1201"),
    command="true",
)


@run("connection-gone-before-login", end="the client is gone", rows=("CN0205",), needs=())
async def gone_before_login(setup: Setup) -> None:
    """A client that connects and leaves without logging in."""
    async with setup.fake_harness() as harness:
        (await trio.open_tcp_stream("127.0.0.1", harness.port)).socket.close()
        await harness.said.until("SSH_HANDSHAKE_FAILED")
        await harness.all_gone()
        assert not harness.fake or not harness.fake.calls["create_container"]


async def _killed(setup: Setup, mode: str) -> None:
    async with setup.harness(mode=mode) as harness, harness.ssh_process("echo out; sleep 60") as process:
        assert process.stdout is not None
        assert await process.stdout.receive_some() == b"out\n"
        assert len(harness.containers()) == 1
        process.kill()
        await harness.all_gone()
        assert not harness.containers()


@run("connection-client-killed", end="the client is gone", rows=("CN0405|CN0308", "CT0904|CT0706", "CT1201"), needs=SSH)
async def connection_killed(setup: Setup) -> None:
    """OpenSSH's client is killed while its program runs: the container is removed at once."""
    await _killed(setup, "connection")


@run("session-client-killed", end="the client is gone", rows=("SS0613|SS0214", "CT0904|CT0706", "CT1201"), needs=SSH)
async def session_killed(setup: Setup) -> None:
    """The same in mode session."""
    await _killed(setup, "session")


@run("connection-gone-while-draining", end="the client is gone", rows=("SS0605", "SS0803|SS0810", "CT1201"), needs=())
async def gone_while_draining(setup: Setup) -> None:
    """The container has ended, the client does not read what is still to be sent, and then it is killed."""
    async with setup.fake_harness() as harness, harness.client() as client:
        assert harness.fake is not None
        process = await client.start("echo ready; head -c 100000000 /dev/zero")
        await client.line(process)
        client.conn._transport.pause_reading()  # type: ignore[union-attr]
        await trio.testing.wait_all_tasks_blocked(0.3)  # all is full up to the program
        harness.fake.out_of_memory(*harness.containers())
        await harness.said.until("MOORAGE_CONTAINER_DIED")
        await trio.testing.wait_all_tasks_blocked(0.05)
        client.kill()
        await harness.all_gone()


@run("connection-gone-while-closing", end="exit status 0, never read", rows=("SS0901", "SS1101", "CN0405"), needs=())
async def gone_while_closing(setup: Setup) -> None:
    """The client is killed when the exit status was sent, before it has closed the channel."""
    async with setup.fake_harness("inspect_exec: delay(0.2)") as harness, harness.client() as client:
        process = await client.start("echo out")
        await client.line(process)
        client.conn._transport.pause_reading()  # type: ignore[union-attr]
        await harness.said.until("SSH_EXIT")
        client.kill()
        await harness.all_gone()


# Logins that are refused.


@run("connection-login-wrong-key", end="not let in", rows=("CN0201", "CN0205"), needs=("openssh",))
async def wrong_key(setup: Setup) -> None:
    """A key that is not this user's: the client hears no more than that, the log says which key."""
    async with setup.fake_harness() as harness:
        for end in ("", ".pub"):
            (setup.folder / f"user_key{end}").write_bytes((setup.folder / f"host_key{end}").read_bytes())
        done = await harness.ssh("true")
        assert done.status == 255 and b"Permission denied (publickey)" in done.err
        await harness.said.until("SSH_HANDSHAKE_FAILED")
        (refused,) = harness.said.details("SSH_AUTH_FAILED")
        assert "is not one of this user's" in refused["why"] and refused["username"] == USER


@run("connection-login-unknown-user", end="not let in", rows=("CN0201", "CN0205"), needs=("openssh",))
async def unknown_user(setup: Setup) -> None:
    """A user who is not there: the client hears exactly what it hears for a wrong key."""
    async with setup.fake_harness() as harness:
        done = await harness.ssh("true", "-l", "nobody")
        assert done.status == 255 and b"Permission denied (publickey)" in done.err
        await harness.said.until("SSH_HANDSHAKE_FAILED")
        assert harness.said.details("SSH_AUTH_FAILED")[0]["why"] == "there is no such user"


@run("connection-login-wrong-password", end="not let in", rows=("CN0201", "CN0205"), needs=())
async def wrong_password(setup: Setup) -> None:
    """A wrong password, and then the right one on another connection."""
    setup.password_hash = sha512_crypt.using(rounds=5000).hash("right")
    async with setup.fake_harness() as harness:
        with pytest.raises(asyncssh.PermissionDenied):
            async with harness.client(client_keys=None, password="wrong"):
                pass
        await harness.said.until("SSH_HANDSHAKE_FAILED")
        assert harness.said.details("SSH_AUTH_FAILED")[0]["why"] == "the password does not fit"
        async with harness.client(client_keys=None, password="right") as client:
            assert (await client.run("exit 3")).status == 3


# The server's own end.

ENDS_NOW = told("the server is shutting down; this session ends now", "MOORAGE_TERMINATING")


@run(
    "connection-shutdown-idle",
    end="disconnected with a reason",
    rows=("CN0407", "CT0904", "CT1201"),
    needs=("openssh",),
)
async def shutdown_idle(setup: Setup) -> None:
    """The server ends while a connection has no session: it is closed at once, with a sentence."""
    async with (
        setup.fake_harness(shutdown={"grace": 60.0}) as harness,
        harness.ssh_process(None, "-v", "-N") as process,
    ):
        await harness.said.until("MOORAGE_CONTAINER_LANDED")
        harness.server.shutdown("TERM")
        await harness.server.wait_stopped()
        assert process.stderr is not None
        said = b"".join([piece async for piece in process.stderr])
        assert b"the server is shutting down" in said and await process.wait() == 255


async def _within_grace(setup: Setup, mode: str) -> None:
    async with setup.fake_harness(mode=mode, shutdown={"grace": 60.0}) as harness, harness.client() as client:
        process = await client.start("echo ready; cat; exit 5")
        await client.line(process)
        harness.server.shutdown("TERM")
        await harness.said.until("MOORAGE_DRAINING")
        with pytest.raises(asyncssh.ChannelOpenError, match="the server is shutting down"):
            await client.start("true")
        with pytest.raises(OSError):
            await trio.open_tcp_stream("127.0.0.1", harness.port)
        process.stdin.write_eof()
        assert await client.wait(process) == Done(5, b"", b"")
        await harness.server.wait_stopped()
        assert "MOORAGE_TERMINATING" not in harness.said and "MOORAGE_STOPPED" in harness.said


@run("connection-shutdown-within-grace", end="exit status 5", rows=("CN0408", "CN0602", "CT1201"), needs=())
async def shutdown_grace(setup: Setup) -> None:
    """A session that ends by itself within the grace: nothing is cut, and nothing new is taken."""
    await _within_grace(setup, "connection")


@run("session-shutdown-within-grace", end="exit status 5", rows=("CN0408", "CN0602", "CT1201"), needs=())
async def session_shutdown_grace(setup: Setup) -> None:
    """The same in mode session."""
    await _within_grace(setup, "session")


async def _ended(setup: Setup, mode: str, command: str, twice: bool = False, **shutdown: float) -> Done:
    """What a client reads whose program would go on for ever."""
    async with (
        setup.harness(mode=mode, shutdown=shutdown) as harness,
        harness.ssh_process(f"{command}; echo out; while :; do sleep 0.1; done") as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        assert await process.stdout.receive_some() == b"out\n"
        await harness.said.until("MOORAGE_CONTAINER_LANDED")
        harness.server.shutdown("TERM")
        if twice:
            await harness.said.until("MOORAGE_DRAINING")
            harness.server.shutdown("TERM")
        said = b"".join([piece async for piece in process.stderr])
        await harness.server.wait_stopped()
        return Done(await process.wait(), b"out\n", said)


@run(
    "connection-shutdown-term",
    end="exit status 137",
    rows=("CN0609", "SS0612", "CT0905", "CT1101", "CT1201"),
    needs=SSH,
)
async def shutdown_term(setup: Setup) -> None:
    """A session that does not end within the grace: it is told, its container is sent TERM and removed."""
    done = await _ended(setup, "connection", "true", grace=0.1, kill=5.0)
    assert done.status == 137 and done.err.startswith(ENDS_NOW) and done.err.count(b"\n") <= 2


@run(
    "session-shutdown-kill",
    end="closed",
    rows=("CN0609", "SS0612", "CT0905", "CT1103", "CT1105|CT1106", "CT1201"),
    needs=SSH,
)
async def shutdown_kill(setup: Setup) -> None:
    """A program that ignores TERM: after shutdown.kill its container is removed by force."""
    done = await _ended(setup, "session", "trap '' TERM", grace=0.1, kill=0.5)
    assert done.status in (137, 255) and done.err.startswith(ENDS_NOW)


@run("session-shutdown-hurried", end="exit status 0", rows=("CN0609", "SS0612", "CT0905", "CT1201"), needs=SSH)
async def shutdown_hurried(setup: Setup) -> None:
    """A second TERM does not wait for the grace to pass; the program ends in order on its own TERM."""
    done = await _ended(setup, "session", "trap 'exit 0' TERM", twice=True, grace=60.0, kill=5.0)
    assert done == Done(0, b"out\n", ENDS_NOW)


@run("connection-shutdown-term-refused", end="exit status 137", rows=("CT0905", "CT1104", "CT1201"), needs=())
async def shutdown_refused(setup: Setup) -> None:
    """The engine will not deliver the TERM: the container is removed by force instead."""
    async with (
        setup.fake_harness("kill_container: fail(internal)", shutdown={"grace": 0.1, "kill": 5.0}) as harness,
        harness.client() as client,
    ):
        process = await client.start("echo ready; sleep 60")
        await client.line(process)
        harness.server.shutdown("TERM")
        assert (await client.wait(process)).err.startswith(ENDS_NOW)
        await harness.server.wait_stopped()
        assert "DOCKER_CONTAINER_STOP_FAILED" in harness.said


# A client that is there no longer, and does not say so.


@run("connection-frozen", end="the client is gone", rows=("CN0419", "CT1201"), needs=SSH)
async def frozen(setup: Setup) -> None:
    """The client's process is stopped in the middle: missed after interval x count, and its container removed."""
    async with (
        setup.harness(ssh={"client_alive_interval": 1.0, "client_alive_count_max": 2}) as harness,
        harness.ssh_process("echo ready; cat") as process,
    ):
        assert process.stdout is not None
        assert await process.stdout.receive_some() == b"ready\n"
        process.send_signal(signal.SIGSTOP)
        await harness.all_gone()
        (details,) = harness.said.details("MOORAGE_CLIENT_SILENT")
        assert details["why"] == "no sign of life for 2 s"


@run("connection-no-ssh", end="closed by the server", rows=("CN0216",), needs=())
async def no_ssh(setup: Setup) -> None:
    """A browser: told in plain text that it is wrong here."""
    async with setup.fake_harness() as harness:
        async with await trio.open_tcp_stream("127.0.0.1", harness.port) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")
            said = b"".join([piece async for piece in stream])
        assert b"Invalid SSH identification string" in said
        await harness.all_gone()
