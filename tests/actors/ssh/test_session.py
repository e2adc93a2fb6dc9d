"""Session channels: requests in, events out; the actor's wishes on the wire, in order."""

import hashlib

import asyncssh
import pytest
import trio
from asyncssh.constants import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
)
from asyncssh.packet import Boolean, String, UInt32
from msgspec.structs import replace

from protocol.base import Size
from protocol.connection import RequestRefused
from protocol.session import (
    ChannelClosed,
    EnvOffered,
    InputEnded,
    OddRequest,
    OutputEnded,
    ProgramWanted,
    PtyWanted,
    SignalWanted,
    WindowChanged,
)
from protocol.settings import Record
from tests.actors.ssh.host import USER_KEY, EchoStream, FakeSession, open_host, say, settings


async def idle(session: FakeSession, wanted: ProgramWanted) -> None:
    """A program that goes on until the test ends it."""


def pty(term: bytes, columns: int, rows: int, modes: bytes = b"\0") -> bytes:
    return String(term) + UInt32(columns) + UInt32(rows) + UInt32(0) + UInt32(0) + String(modes)


@pytest.mark.trio
async def test_a_command_goes_in_and_its_output_and_status_come_out() -> None:
    async with open_host(script=say) as host, host.client() as client:
        done = await client.run("echo  'two  words' && x")
        assert (done.stdout, done.stderr, done.exit_status) == (b"echo  'two  words' && x", b"err", 7)
        session = host.supervisor.sessions[0]
        await session.seen(ChannelClosed)
        assert session.events == [
            ProgramWanted(program="exec", command="echo  'two  words' && x"),
            ChannelClosed(),
        ]


@pytest.mark.trio
async def test_input_reaches_the_program_and_eof_is_a_half_close() -> None:
    async with open_host() as host, host.client() as client:
        done = await client.run("cat", input=b"hello" * 1000)
        assert (done.stdout, done.exit_status) == (b"hello" * 1000, 0)
        session = host.supervisor.sessions[0]
        await session.seen(ChannelClosed)
        assert session.events[1:] == [InputEnded(), OutputEnded(bytes_in=5000, bytes_out=5000), ChannelClosed()]


@pytest.mark.trio
async def test_no_input_is_delivered_before_the_program_is_joined() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        channel.write(b"early")
        channel.write_eof()
        assert await channel.ask(b"shell")
        session = host.supervisor.sessions[0]
        assert session.pump.bytes_in == 0
        session.pump.join(EchoStream(session.pump))
        await session.seen(OutputEnded)
        assert session.pump.bytes_in == 5
        session.finish(0)
        await channel.log.closed.wait()
        assert channel.log.stdout == b"early"


@pytest.mark.trio
async def test_order_at_the_end_holds_for_a_client_that_is_slow_to_read() -> None:
    async def much(session: FakeSession, wanted: ProgramWanted) -> None:
        session.channel.write(b"x" * 5000, False)
        session.finish(3)  # asked for at once, with 4 KB still unsent

    async with open_host(script=much) as host, host.client() as client:
        channel = await client.channel(window=1000)
        channel.pause_reading()
        assert await channel.ask(b"exec", String(b"much"))
        await trio.testing.wait_all_tasks_blocked()  # the answer does not wait for the script
        assert host.supervisor.sessions[0].channel.unsent_bytes() == 4000
        channel.resume_reading()
        await channel.log.closed.wait()
        assert channel.log.stdout == b"x" * 5000
        assert channel.log.exit == 3
        assert channel.packets[0] == MSG_CHANNEL_SUCCESS
        data, end = channel.packets[1:-3], channel.packets[-3:]
        assert set(data) == {MSG_CHANNEL_DATA}
        assert end == [MSG_CHANNEL_EOF, MSG_CHANNEL_REQUEST, MSG_CHANNEL_CLOSE]


@pytest.mark.trio
async def test_exit_signal() -> None:
    async def killed(session: FakeSession, wanted: ProgramWanted) -> None:
        session.channel.write_eof()
        session.channel.exit_signal("KILL", False, "out of memory")
        session.channel.close()

    async with open_host(script=killed) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"shell")
        await channel.log.closed.wait()
        assert channel.log.exit == ("KILL", False, "out of memory")


@pytest.mark.trio
async def test_a_word_written_before_the_program_was_asked_for_arrives() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        session = host.supervisor.sessions[0]
        session.channel.write(b"MOORAGE: no room", True)
        session.finish(1)
        await channel.log.closed.wait()
        assert (channel.log.stderr, channel.log.exit) == (b"MOORAGE: no room", 1)


@pytest.mark.trio
async def test_abort_drops_what_is_unsent_and_is_told_once() -> None:
    async def stuck(session: FakeSession, wanted: ProgramWanted) -> None:
        session.channel.write(b"x" * 5000, False)
        session.pump.output_ended("")
        assert session.channel.unsent_bytes() == 4000
        session.channel.abort()

    async with open_host(script=stuck) as host, host.client() as client:
        channel = await client.channel(window=1000)
        assert await channel.ask(b"shell")
        await channel.log.closed.wait()
        session = host.supervisor.sessions[0]
        await session.seen(ChannelClosed)
        assert (await client.channel()) is not channel  # the connection goes on
        assert session.events == [ProgramWanted(program="shell"), ChannelClosed()]
        session.channel.write(b"into nothing", False)
        session.finish(0)


@pytest.mark.trio
async def test_a_lost_connection_closes_its_channels_and_says_why() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        await client.channel()
        client.conn.abort()
        closed = await host.supervisor.sessions[0].seen(ChannelClosed)
        assert closed.why == "Connection lost"


@pytest.mark.trio
async def test_env_value_goes_to_the_vault_and_only_its_name_into_the_event() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"env", String(b"LANG"), String("dé".encode()))
        assert not await channel.ask(b"env", String(b"A B"), String(b"x"))
        assert not await channel.ask(b"env", String(b"BAD"), String(b"\xff"))
        assert await channel.ask(b"shell")
        assert not await channel.ask(b"env", String(b"LATE"), String(b"x"))
        session = host.supervisor.sessions[0]
        assert session.vault.env == {"LANG": "dé"}
        offered = session.all(EnvOffered)
        assert [(event.name, event.taken) for event in offered] == [
            ("LANG", True),
            ("A B", False),
            ("BAD", False),
        ]
        assert session.all(OddRequest) == [OddRequest(what="env", why="too late: there is a program already")]


@pytest.mark.trio
async def test_env_that_its_actor_cannot_hear_is_not_taken() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        host.supervisor.sessions[0].offers_max = 0
        assert not await channel.ask(b"env", String(b"LANG"), String(b"C"))
        assert host.supervisor.sessions[0].vault.env == {}


@pytest.mark.trio
async def test_terminal_sizes_and_signals() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        size = UInt32(100) + UInt32(2**32 - 1) + UInt32(0) + UInt32(0)
        assert not await channel.ask(b"window-change", size)
        assert await channel.ask(b"pty-req", pty(b"xterm-256color", 0, 70000))
        assert not await channel.ask(b"pty-req", pty(b"vt100", 80, 24))
        assert await channel.ask(b"shell")
        assert await channel.ask(b"window-change", size)
        for name in ("INT", "USR2"):
            assert await channel.ask(b"signal", String(name))
        session = host.supervisor.sessions[0]
        assert session.vault.term == "xterm-256color"
        assert session.all(PtyWanted) == [PtyWanted(term="xterm-256color", size=Size(0, 65535))]
        assert session.all(WindowChanged) == [WindowChanged(size=Size(100, 65535))]
        assert session.all(SignalWanted) == [SignalWanted(signal="INT"), SignalWanted(signal="USR2")]
        assert [event.what for event in session.all(OddRequest)] == ["window-change", "pty-req"]


@pytest.mark.trio
async def test_what_a_peer_repeats_is_dropped_when_its_actor_is_busy() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        for _ in range(200):
            channel._send_request(b"signal", String("HUP"))
        assert not await channel.ask(b"nonsense")
        assert len(host.supervisor.sessions[0].all(SignalWanted)) == 64


@pytest.mark.trio
@pytest.mark.parametrize(
    ("request_name", "payload"),
    [
        (b"break", UInt32(500)),
        (b"xon-xoff", Boolean(True)),
        (b"auth-agent-req@openssh.com", b""),
        (b"x11-req", Boolean(False) + String("MIT-MAGIC-COOKIE-1") + String("00") + UInt32(0)),
        (b"eow@openssh.com", b""),
        (b"\xff\0 what?", b""),
        (b"signal", String("SIGKILL")),
        (b"signal", String("\N{SNOWMAN}")),
        (b"signal", b"\0\0\1"),
        (b"env", String("HALF")),
        (b"pty-req", pty(b"\xff", 80, 24)),
        (b"pty-req", String("xterm")),
        (b"shell", b"left over"),
        (b"exec", UInt32(2**32 - 1)),
    ],
)
async def test_an_odd_request_is_answered_no_and_noted(request_name: bytes, payload: bytes) -> None:
    async with open_host(script=say) as host, host.client() as client:
        channel = await client.channel()
        assert not await channel.ask(request_name, payload)
        assert len(host.supervisor.sessions[0].events) == 1
        odd = host.supervisor.sessions[0].all(OddRequest)[0]
        assert odd.what.isascii() and odd.why
        assert await channel.ask(b"exec", String("still works"))
        await channel.log.closed.wait()
        assert channel.log.stdout == b"still works"


@pytest.mark.trio
async def test_a_channel_keepalive_is_answered_and_not_noted() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        await channel.ask(b"keepalive@openssh.com")
        assert host.supervisor.sessions[0].events == []


@pytest.mark.trio
async def test_one_channel_has_one_program() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"exec", String("first"))
        assert not await channel.ask(b"exec", String("second"))
        assert not await channel.ask(b"shell")
        session = host.supervisor.sessions[0]
        why = "there is a program already; one channel has one"
        assert session.all(ProgramWanted) == [
            ProgramWanted(program="exec", command="first"),
            ProgramWanted(program="exec", admitted=False, why=why),
            ProgramWanted(program="shell", admitted=False, why=why),
        ]
        assert session.vault.command == b"first"


@pytest.mark.trio
async def test_a_command_is_taken_as_bytes_and_shown_escaped() -> None:
    async with open_host(script=say) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"exec", String(b"caf\xe9 \\ \n"))
        await channel.log.closed.wait()
        assert channel.log.stdout == b"caf\xe9 \\ \n"
        assert host.supervisor.sessions[0].all(ProgramWanted)[0].command == r"caf\xe9 \\ \n"


@pytest.mark.trio
async def test_a_long_command_is_cut_in_the_event_only() -> None:
    command = b"x" * 240 * 1024
    async with open_host(script=say) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"exec", String(command))
        await channel.log.closed.wait()
        assert channel.log.stdout == command
        assert len(host.supervisor.sessions[0].all(ProgramWanted)[0].command) == 4096


@pytest.mark.trio
async def test_commands_can_be_recorded_as_hashes() -> None:
    config = replace(settings(), record=Record(commands="hash"))
    async with open_host(config, script=say) as host, host.client() as client:
        await client.run("secret")
        wanted = host.supervisor.sessions[0].all(ProgramWanted)[0]
        assert wanted.command == "sha256:" + hashlib.sha256(b"secret").hexdigest()


@pytest.mark.trio
@pytest.mark.parametrize("command", [b"", b" ", b"\n"])
async def test_blank_commands_are_commands(command: bytes) -> None:
    async with open_host(script=say) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"exec", String(command))
        await channel.log.closed.wait()
        wanted = host.supervisor.sessions[0].all(ProgramWanted)[0]
        assert (wanted.program, wanted.admitted) == ("exec", True)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("request_name", "text", "sentence"),
    [
        (b"exec", b"a\0b", b"the command contains a NUL byte, which no program can be given\n"),
        (b"subsystem", b"netconf", b'there is no subsystem "netconf" here\n'),
        (b"subsystem", b"\xff", b'there is no subsystem "\\xff" here\n'),
    ],
)
async def test_what_cannot_be_run_is_answered_yes_so_that_its_sentence_arrives(
    request_name: bytes, text: bytes, sentence: bytes
) -> None:
    async with open_host() as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(request_name, String(text))
        await channel.log.closed.wait()
        assert (channel.log.stderr, channel.log.exit) == (sentence, 1)
        wanted = host.supervisor.sessions[0].all(ProgramWanted)[0]
        assert not wanted.admitted
        assert wanted.why.encode() + b"\n" == sentence


@pytest.mark.trio
async def test_a_subsystem_of_the_map_is_admitted_by_name() -> None:
    async with open_host() as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"subsystem", String("sftp"))
        session = host.supervisor.sessions[0]
        assert session.all(ProgramWanted) == [ProgramWanted(program="subsystem", command="sftp")]
        assert session.vault.subsystem == "sftp"


@pytest.mark.trio
async def test_a_session_that_may_not_open_is_refused_with_the_sentence() -> None:
    async with open_host() as host, host.client() as client:
        host.supervisor.refusal = "10 sessions are the most"
        with pytest.raises(asyncssh.ChannelOpenError, match="10 sessions are the most"):
            await client.channel()
        assert host.supervisor.connections[0].all(RequestRefused) == [
            RequestRefused(what="session", why="10 sessions are the most")
        ]
        host.supervisor.refusal = ""
        assert (await client.run("cat", input=b"x")).stdout == b"x"


@pytest.mark.trio
async def test_a_client_that_closes_is_heard_though_its_input_was_never_read() -> None:
    async def deaf(session: FakeSession, wanted: ProgramWanted) -> None:
        session.pump.join(EchoStream(session.pump))
        session.pump.pause_input()

    async with open_host(script=deaf) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"shell")
        channel.write(b"x" * 100_000)
        channel.close()
        await host.supervisor.sessions[0].seen(ChannelClosed)


@pytest.mark.trio
async def test_a_key_with_a_forced_command_and_no_pty_gets_only_that() -> None:
    line = 'restrict,command="forced one" ' + USER_KEY.export_public_key().decode().strip()
    config = settings()
    alice = replace(config.auth.users["alice"], authorized_keys=(line,))
    config = replace(config, auth=replace(config.auth, users={"alice": alice}))
    async with open_host(config, script=say) as host, host.client() as client:
        channel = await client.channel()
        assert not await channel.ask(b"pty-req", pty(b"xterm", 80, 24))
        assert await channel.ask(b"exec", String("rm -rf /"))
        await channel.log.closed.wait()
        assert channel.log.stdout == b"forced one"
        assert host.supervisor.sessions[0].vault.env == {"SSH_ORIGINAL_COMMAND": "rm -rf /"}


@pytest.mark.trio
async def test_calls_from_a_trio_task_work_as_those_from_a_callback() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        process = await client.start("x")
        session = host.supervisor.sessions[0]
        await trio.lowlevel.checkpoint()
        session.channel.write(b"from trio", False)
        session.finish(0)
        with trio.fail_after(5):
            await session.seen(ChannelClosed)
        assert process.exit_status == 0
