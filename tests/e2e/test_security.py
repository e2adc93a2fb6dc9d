"""The security policy as people meet it: OpenSSH's client, a whole server, and the codes in its log."""

from collections.abc import Mapping
from typing import Any

import asyncssh
import msgspec
import pytest
import trio

from protocol.settings_dockerrun import DockerRun
from protocol.settings_security import Security
from tests.e2e.harness import USER, Done, Harness
from tests.e2e.runs import Setup

pytestmark = [pytest.mark.trio, pytest.mark.openssh]


def security(**keys: Any) -> Security:
    return msgspec.convert(keys, Security)


def refusal(sentence: str, code: str) -> Done:
    return Done(125, b"", f"moorage: {sentence} ({code})\r\n".encode())


async def loud(harness: Harness, *args: str) -> Done:
    """OpenSSH's client with what it has to say itself."""
    command = [arg.replace("LogLevel=ERROR", "LogLevel=INFO") for arg in harness.ssh_args(*args)]
    done = await trio.run_process(command, stdin=b"", capture_stdout=True, capture_stderr=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


async def said(harness: Harness, code: str) -> Mapping[str, Any]:
    """What was said under that code, once the connections have ended."""
    await harness.all_gone()
    return harness.said.details(code)[0]


async def test_commands(setup: Setup) -> None:
    rules = security(command={"mode": "filter", "allow": ["echo a; echo b"], "allowPrefixes": ["echo"]})
    async with setup.fake_harness(security=rules) as harness:
        no = refusal("Command execution disabled.", "SECURITY_EXEC_REJECTED")
        assert await harness.ssh("echo a; echo b") == Done(0, b"a\nb\n", b"")
        assert await harness.ssh("echo 'x; y'") == Done(0, b"x; y\n", b"")
        assert await harness.ssh("echo a; echo c") == no
        assert await harness.ssh("id") == no
        assert (await harness.ssh(None, stdin=b"echo shell\n")).out == b"shell\n"
        told = await said(harness, "SECURITY_EXEC_REJECTED")
        assert (told["command"], told["row"]) == ("echo a; echo c", "SS0127")
        assert "none of security.command's lists" in told["why"]


async def test_shells(setup: Setup) -> None:
    async with setup.fake_harness(security=security(shell={"mode": "disable"})) as harness:
        assert await harness.ssh(None) == refusal("Shell execution disabled.", "SECURITY_SHELL_REJECTED")
        assert await harness.ssh("echo hi") == Done(0, b"hi\n", b"")


async def test_subsystems(setup: Setup) -> None:
    rules = security(defaultMode="disable", command={"mode": "enable"})
    async with setup.fake_harness(security=rules, subsystems={"x": "/bin/true"}) as harness:
        done = await harness.ssh("x", "-s")
        assert done == refusal("Subsystem execution disabled.", "SECURITY_SUBSYSTEM_REJECTED")
    unknown = security(subsystem={"deny": ["y"]})
    async with setup.fake_harness(security=unknown, subsystems={"x": "/bin/true"}) as harness:
        assert b"DOCKER_SUBSYSTEM_NOT_SUPPORTED" in (await harness.ssh("z", "-s")).err
        assert b"SECURITY_SUBSYSTEM_REJECTED" in (await harness.ssh("y", "-s")).err


async def test_everything_is_off_at_once(setup: Setup) -> None:
    async with setup.fake_harness(security=security(defaultMode="disable")) as harness:
        for command, options in ((None, ()), ("id", ()), ("sftp", ("-s",))):
            assert (await harness.ssh(command, *options)).status == 125
        assert not harness.said.count("DOCKER_EXEC_CREATE")


async def test_variables(setup: Setup) -> None:
    rules = security(env={"mode": "filter", "allow": ["KEPT"]})
    async with setup.fake_harness(security=rules) as harness:
        options = ("-o", "SetEnv=KEPT=1 LOST=2")
        assert await harness.ssh('echo "[$KEPT] [$LOST]"', *options) == Done(0, b"[1] []\n", b"")
        told = await said(harness, "SECURITY_ENV_REJECTED")
        assert (told["name"], told["row"]) == ("LOST", "SS0122")
        assert harness.said.count("SECURITY_ENV_REJECTED") == 1


async def test_terminals(setup: Setup) -> None:
    async with setup.fake_harness(security=security(tty={"mode": "disable"})) as harness:
        done = await loud(harness, "-tt", f"{USER}@127.0.0.1", "echo ran")
        assert done.status == 255  # this client goes when it gets no terminal, and says so itself
        assert b"PTY allocation request failed on channel 0" in done.err
        assert await harness.ssh("echo ran") == Done(0, b"ran\n", b"")
        assert (await said(harness, "SECURITY_TTY_REJECTED"))["why"] == "security.tty.mode is disable"


async def test_signals(setup: Setup) -> None:
    rules = security(signal={"mode": "filter", "allow": ["KILL"]}, shell={"mode": "disable"})
    async with setup.fake_harness(security=rules, mode="session") as harness, harness.client() as client:
        process = await client.start("echo on; sleep 60")
        assert await client.line(process) == b"on\n"
        process.send_signal("USR1")
        process.send_signal("TERM")
        await harness.said.until("SECURITY_SIGNAL_REJECTED", 2)
        process.send_signal("KILL")
        done = await client.wait(process)
        assert done.err == b"moorage: Sending signals is rejected. (SECURITY_SIGNAL_REJECTED)\r\n"  # once
        assert harness.said.count("DOCKER_CONTAINER_SIGNAL") == 1
        assert harness.said.details("SECURITY_SIGNAL_REJECTED")[0]["signal"] == "USR1"


async def test_a_forced_command_is_told_what_was_asked_for(setup: Setup) -> None:
    rules = security(forceCommand='echo "forced [$SSH_ORIGINAL_COMMAND]"')
    async with setup.fake_harness(security=rules, subsystems={"x": "/bin/true"}) as harness:
        spoof = ("-o", "SetEnv=SSH_ORIGINAL_COMMAND=spoof")
        assert await harness.ssh("id  -u; x", *spoof) == Done(0, b"forced [id  -u; x]\n", b"")
        assert await harness.ssh(None, *spoof) == Done(0, b"forced []\n", b"")
        assert await harness.ssh("sftp", "-s") == Done(0, b"forced [sftp]\n", b"")
        assert await harness.ssh("unknown", "-s") == Done(0, b"forced [unknown]\n", b"")
        assert (await said(harness, "SECURITY_EXEC_FORCING_COMMAND"))["origin"] == "security.forceCommand"


async def test_what_is_refused_is_not_forced(setup: Setup) -> None:
    rules = security(forceCommand="echo forced", command={"mode": "filter", "allow": ["ok"]})
    async with setup.fake_harness(security=rules) as harness:
        assert await harness.ssh("ok") == Done(0, b"forced\n", b"")
        assert await harness.ssh("id") == refusal("Command execution disabled.", "SECURITY_EXEC_REJECTED")


async def test_a_forced_command_goes_before_the_keys_own(setup: Setup) -> None:
    line = (setup.folder / "user_key.pub").read_text()
    (setup.folder / "user_key.pub").write_text(f'command="echo by key" {line}')
    async with setup.fake_harness() as harness:
        assert await harness.ssh("id") == Done(0, b"by key\n", b"")
        assert (await said(harness, "SECURITY_EXEC_FORCING_COMMAND"))["origin"] == "key"
    async with setup.fake_harness(security=security(forceCommand="echo by settings")) as harness:
        assert await harness.ssh("id") == Done(0, b"by settings\n", b"")


async def test_what_cannot_be_told_to_a_forced_command_runs_nothing(setup: Setup) -> None:
    async with setup.fake_harness(security=security(forceCommand="echo forced")) as harness:
        async with harness.client() as client:
            done = await client.run("x" * 200_000)
        assert (done.status, done.out) == (125, b"")
        assert done.err == b"moorage: Could not execute program. (SECURITY_EXEC_FAILED_SETENV)\r\n"


async def test_sessions_are_counted_while_they_are_open(setup: Setup) -> None:
    """More commands in a row than may run at a time, and one too many at a time."""
    async with setup.fake_harness(security=security(maxSessions=2)) as harness, harness.client() as client:
        for number in range(5):
            assert (await client.run(f"echo {number}")).out == f"{number}\n".encode()
        first, second = await client.start("sleep 60"), await client.start("sleep 60")
        with pytest.raises(asyncssh.ChannelOpenError, match=r"Too many sessions\."):
            await client.start("echo third")
        first.close()
        second.close()
        with trio.fail_after(10):
            while True:
                try:
                    assert (await client.run("echo again")).out == b"again\n"
                    break
                except asyncssh.ChannelOpenError:
                    await harness.said.next()
        assert harness.said.details("SECURITY_MAX_SESSIONS")[0]["what"] == "session"


async def test_a_burst_of_sessions_is_counted_as_it_comes(setup: Setup) -> None:
    async with setup.fake_harness(security=security(maxSessions=3)) as harness, harness.client() as client:
        results: list[str] = []

        async def one() -> None:
            try:
                await client.start("sleep 60")
                results.append("open")
            except asyncssh.ChannelOpenError:
                results.append("refused")

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(one)
        assert sorted(results) == ["open"] * 3 + ["refused"] * 7


async def test_commands_over_a_master_connection(setup: Setup) -> None:
    """Each command is a session of one connection, as Ansible and editors have them."""
    async with setup.fake_harness(security=security(maxSessions=2)) as harness:
        control = ("-o", "ControlPath=./master")
        async with harness.ssh_process(None, "-M", "-N", *control):
            with trio.fail_after(10):
                while not (setup.folder / "master").exists():  # noqa: ASYNC110 - a file tells nobody
                    await trio.sleep(0.01)
            for number in range(12):
                assert await harness.ssh(f"echo {number}", *control) == Done(0, f"{number}\n".encode(), b"")
            await harness.ssh(None, "-O", "exit", *control)
        assert not harness.said.count("SECURITY_MAX_SESSIONS")


async def test_no_session_at_all(setup: Setup) -> None:
    async with setup.fake_harness(security=security(maxSessions=0)) as harness:
        done = await loud(harness, f"{USER}@127.0.0.1", "echo hi")
        assert done.status == 255
        assert b"Too many sessions." in done.err


async def test_forwarding(setup: Setup) -> None:
    async with setup.fake_harness() as harness:
        done = await loud(harness, "-W", "127.0.0.1:1", f"{USER}@127.0.0.1")
        assert b"administratively prohibited: Forwarding is rejected" in done.err
        assert (await said(harness, "SECURITY_FORWARDING_REJECTED"))["what"] == "direct-tcpip"
        remote = ("-R", "127.0.0.1:0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes")
        assert (await harness.ssh("echo never", *remote)).status == 255
        assert (await said(harness, "SECURITY_REVERSE_FORWARDING_REJECTED"))["what"] == "tcpip-forward"
        socket = ("-R", "/tmp/none.sock:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes")
        assert (await harness.ssh("echo never", *socket)).status == 255
        await harness.all_gone()
        assert "Reverse socket" in harness.said.details("SECURITY_REVERSE_FORWARDING_REJECTED")[1]["why"]


async def test_x11(setup: Setup) -> None:
    async with setup.fake_harness() as harness, harness.client() as client:
        with pytest.raises(asyncssh.ChannelOpenError):
            await client.start("echo hi", x11_forwarding=True, x11_display="127.0.0.1:99")
        assert (await client.run("echo hi")).out == b"hi\n"
        await harness.said.until("SECURITY_X11_FORWARDING_REJECTED")


async def test_commands_of_the_old_backend_are_disabled_with_its_code(setup: Setup) -> None:
    old = msgspec.convert({"config": {"disableCommand": True}}, DockerRun)
    async with setup.fake_harness(backend="dockerrun", dockerrun=old, mode="session") as harness:
        assert await harness.ssh("id") == refusal("Command execution is disabled.", "DOCKERRUN_EXEC_DISABLED")
        assert await harness.ssh(None, stdin=b"echo shell\n") == Done(0, b"shell\n", b"")


@pytest.mark.engine
@pytest.mark.parametrize("mode", ["connection", "session"])
async def test_on_the_real_engine(setup: Setup, mode: str) -> None:
    rules = security(
        command={"mode": "filter", "allowPatterns": ["echo *"]},
        env={"deny": ["LOST"]},
        tty={"mode": "disable"},
        maxSessions=1,
    )
    async with setup.harness(mode=mode, security=rules) as harness:
        done = await harness.ssh('echo "[$LOST]"', "-o", "SetEnv=LOST=1")
        assert done == refusal("Command execution disabled.", "SECURITY_EXEC_REJECTED")  # there is a $ in it
        assert await harness.ssh("echo hi", "-o", "SetEnv=LOST=1") == Done(0, b"hi\n", b"")
        assert (await harness.ssh("echo hi", "-tt")).status == 255
        assert {"SECURITY_ENV_REJECTED", "SECURITY_TTY_REJECTED"} <= {name for name, _ in harness.said.lines}
        assert await harness.ssh("id") == refusal("Command execution disabled.", "SECURITY_EXEC_REJECTED")
    forced = security(forceCommand='printf "%s" "$SSH_ORIGINAL_COMMAND" | wc -c')
    async with setup.harness(mode=mode, security=forced) as harness:
        done = await harness.ssh("x" * 100_000)
        assert (done.status, done.out.strip()) == (0, b"100000")
