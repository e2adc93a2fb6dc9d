"""The real OpenSSH client against our side: what a person sees."""

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from protocol.base import Size
from protocol.connection import Authenticated, RequestRefused
from protocol.session import EnvOffered, InputEnded, OutputEnded, ProgramWanted, PtyWanted, WindowChanged
from protocol.settings import Auth, Settings, User
from tests.actors.ssh.host import PASSWORD, EchoStream, FakeSession, Host, Script, echo, open_host, say, settings

pytestmark = [
    pytest.mark.openssh,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's ssh is not installed"),
]

AS_USUAL = ("-o", "LogLevel=INFO")  # the first setting of an option counts


class Ssh:
    """`ssh` with a key and nothing of the machine's own configuration."""

    def __init__(self, host: Host, home: Path) -> None:
        self.home = home
        self.target = "alice@127.0.0.1"
        self.options = [
            *("-F", "none", "-p", str(host.port), "-i", str(home / "id")),
            *(
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                f"UserKnownHostsFile={home / 'known'}",
                "-o",
                "IdentityAgent=none",
            ),
            *("-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"),
        ]

    async def run(
        self, *args: str, stdin: bytes | int = b"", before: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["ssh", *before, *self.options, *args]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), **(env or {})}
        return await trio.run_process(
            command, stdin=stdin, env=environment, check=False, capture_stdout=True, capture_stderr=True
        )

    async def ask(self, *command: str, stdin: bytes | int = b"") -> tuple[bytes, bytes, int]:
        done = await self.run(self.target, *command, stdin=stdin)
        return done.stdout, done.stderr, done.returncode


async def keygen(kind: str, path: Path) -> None:
    await trio.run_process(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)])


@asynccontextmanager
async def openssh(home: Path, script: Script = say, config: Settings | None = None) -> AsyncIterator[tuple[Host, Ssh]]:
    await keygen("ed25519", home / "id")
    config = config or settings()
    alice = User(authorized_keys=((home / "id.pub").read_text(),), password_hash="hash of alice")
    async with open_host(replace(config, auth=Auth(users={"alice": alice})), script) as host:
        yield host, Ssh(host, home)


@pytest.mark.trio
async def test_a_command_by_key(tmp_path: Path) -> None:
    async with openssh(tmp_path) as (host, ssh):
        assert await ssh.ask("echo  'a  b' && c") == (b"echo  'a  b' && c", b"err", 7)
        event = host.supervisor.connections[0].all(Authenticated)[0]
        assert (event.method, event.by[:7]) == ("publickey", "SHA256:")
        assert event.client.startswith("SSH-2.0-OpenSSH")


@pytest.mark.trio
async def test_a_password_typed_by_a_helper(tmp_path: Path) -> None:
    asker = tmp_path / "ask"
    asker.write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
    asker.chmod(0o700)
    async with openssh(tmp_path) as (host, ssh):
        env = {"SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"}
        done = await ssh.run("-o", "PubkeyAuthentication=no", ssh.target, "x", env=env)
        assert (done.stdout, done.returncode) == (b"x", 7)
        assert host.supervisor.connections[0].all(Authenticated)[0].method == "password"


@pytest.mark.trio
async def test_a_stranger_is_turned_away(tmp_path: Path) -> None:
    async with openssh(tmp_path) as (_, ssh):
        done = await ssh.run("-o", "BatchMode=yes", "mallory@127.0.0.1", "x")
        assert done.returncode == 255
        assert b"Permission denied (publickey,password)." in done.stderr


@pytest.mark.trio
async def test_n_is_a_half_close_and_the_status_still_comes(tmp_path: Path) -> None:
    class AfterEof(EchoStream):
        def write_eof(self) -> None:
            """This program goes on without input."""

    async def later(session: FakeSession, wanted: ProgramWanted) -> None:
        session.pump.join(AfterEof(session.pump))
        await session.seen(InputEnded)
        session.pump.output(b"after eof", stderr=False)
        session.pump.output_ended("")
        await session.seen(OutputEnded)
        session.finish(5)

    async with openssh(tmp_path, later) as (_, ssh):
        done = await ssh.run("-n", ssh.target, "x")
        assert (done.stdout, done.returncode) == (b"after eof", 5)


@pytest.mark.trio
async def test_order_on_the_wire_as_the_client_logs_it(tmp_path: Path) -> None:
    async with openssh(tmp_path, echo) as (_, ssh):
        done = await ssh.run("-vvv", ssh.target, "cat", stdin=b"z" * 3_000_000)
        assert (done.stdout, done.returncode) == (b"z" * 3_000_000, 0)
        log = done.stderr.decode()
        places = [log.index(text) for text in ("rcvd eof", "rtype exit-status", "rcvd close")]
        assert places == sorted(places)


@pytest.mark.trio
async def test_a_terminal_with_its_size_and_a_resize(tmp_path: Path) -> None:
    async def shell(session: FakeSession, wanted: ProgramWanted) -> None:
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        await session.seen(WindowChanged)
        session.finish(0)

    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        async with openssh(tmp_path, shell) as (host, ssh):
            # setsid -c: the terminal must be ssh's own, or the resize signals somebody else.
            command = ["setsid", "-c", "ssh", *ssh.options, "-tt", ssh.target]
            env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color"}
            run = partial(trio.run_process, command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
            await run()
            session = host.supervisor.sessions[0]
            assert session.all(PtyWanted) == [PtyWanted(term="xterm-256color", size=Size(80, 24))]
            assert session.all(ProgramWanted) == [ProgramWanted(program="shell")]
            assert session.all(WindowChanged)[-1] == WindowChanged(size=Size(132, 50))
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.trio
async def test_tt_without_a_terminal_has_size_zero(tmp_path: Path) -> None:
    async with openssh(tmp_path) as (host, ssh):
        await ssh.run("-tt", ssh.target, "x", env={"TERM": "vt100"})
        assert host.supervisor.sessions[0].all(PtyWanted) == [PtyWanted(term="vt100", size=Size(0, 0))]


@pytest.mark.trio
async def test_two_commands_over_a_control_master(tmp_path: Path) -> None:
    async with openssh(tmp_path, echo) as (host, ssh):
        ssh.options += ["-o", f"ControlPath={tmp_path / 'mux'}"]
        await ssh.run("-M", "-N", "-f", ssh.target)
        for word in (b"one", b"two"):
            assert await ssh.ask("cat", stdin=word) == (word, b"", 0)
        assert len(host.supervisor.connections) == 1
        assert len(host.supervisor.sessions) == 2
        await ssh.run("-O", "exit", ssh.target)


@pytest.mark.trio
async def test_an_unknown_subsystem_is_told_in_a_sentence(tmp_path: Path) -> None:
    async with openssh(tmp_path, echo) as (_, ssh):
        done = await ssh.run("-s", ssh.target, "netconf")
        assert (done.stderr, done.returncode) == (b'there is no subsystem "netconf" here\n', 1)


@pytest.mark.trio
async def test_a_240_kib_command(tmp_path: Path) -> None:
    """More than one argument of execve may have, so it comes by the client's own joining of several."""
    words = ["w" * 120_000, "x" * 120_000]
    async with openssh(tmp_path) as (_, ssh):
        out, _, status = await ssh.ask(*words)
        assert (out, status) == (" ".join(words).encode(), 7)


@pytest.mark.trio
async def test_commands_that_are_not_utf8_or_blank(tmp_path: Path) -> None:
    async with openssh(tmp_path) as (_, ssh):
        for command in (os.fsdecode(b"caf\xe9"), " ", "\n"):
            out, _, status = await ssh.ask(command)
            assert (out, status) == (os.fsencode(command), 7)


@pytest.mark.trio
async def test_environment_is_sent(tmp_path: Path) -> None:
    async with openssh(tmp_path) as (host, ssh):
        await ssh.run("-o", "SetEnv=LANG=de_DE.UTF-8", ssh.target, "x")
        assert host.supervisor.sessions[0].all(EnvOffered) == [EnvOffered(name="LANG")]
        assert host.supervisor.sessions[0].vault.env == {"LANG": "de_DE.UTF-8"}


@pytest.mark.trio
async def test_refusals_are_shown(tmp_path: Path) -> None:
    async with openssh(tmp_path) as (host, ssh):
        done = await ssh.run("-W", "127.0.0.1:1", ssh.target, before=AS_USUAL)
        assert b"administratively prohibited: Forwarding is rejected" in done.stderr
        done = await ssh.run("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", ssh.target, "x")
        assert done.returncode == 255
        assert host.supervisor.connections[1].all(RequestRefused)[0].what == "tcpip-forward"
        host.supervisor.refusal = "10 sessions are the most"
        done = await ssh.run(ssh.target, "x", before=AS_USUAL)
        assert b"10 sessions are the most" in done.stderr


@pytest.mark.trio
async def test_agent_and_x11_forwarding_are_declined_and_the_command_runs(tmp_path: Path) -> None:
    async with openssh(tmp_path) as (_, ssh):
        done = await ssh.run("-A", "-X", ssh.target, "x", env={"DISPLAY": "127.0.0.1:9"})
        assert (done.stdout, done.returncode) == (b"x", 7)


@pytest.mark.trio
async def test_a_close_with_a_reason_reaches_the_person(tmp_path: Path) -> None:
    async def close(session: FakeSession, wanted: ProgramWanted) -> None:
        quay_.supervisor.transports[0].close("The server is going down")

    async with openssh(tmp_path, close) as (quay_, ssh):
        done = await ssh.run(ssh.target, "x", before=AS_USUAL)
        assert b"The server is going down" in done.stderr
        assert done.returncode == 255


@pytest.mark.trio
async def test_a_death_by_signal_is_255_and_banner_is_shown(tmp_path: Path) -> None:
    async def killed(session: FakeSession, wanted: ProgramWanted) -> None:
        session.channel.write_eof()
        session.channel.exit_signal("KILL", False, "out of memory")
        session.channel.close()

    async with openssh(tmp_path, killed, settings(banner="Authorised people only")) as (_, ssh):
        done = await ssh.run(ssh.target, "x", before=AS_USUAL)
        assert b"Authorised people only" in done.stderr
        assert done.returncode == 255


@pytest.mark.trio
@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
async def test_host_keys_that_ssh_keygen_made(kind: str, tmp_path: Path) -> None:
    await keygen(kind, tmp_path / "host")
    async with openssh(tmp_path, say, settings(hostkeys=(str(tmp_path / "host"),))) as (_, ssh):
        assert (await ssh.ask("x"))[2] == 7
