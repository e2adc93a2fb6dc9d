"""What the channel answers where the policy says no, and what goes on all the same."""

from typing import Any

import msgspec
import pytest
from asyncssh.packet import Boolean, String, UInt32
from msgspec.structs import replace

from protocol.base import Size
from protocol.session import ChannelClosed, EnvOffered, OddRequest, ProgramWanted, PtyWanted, SignalWanted
from protocol.settings import Settings
from protocol.settings_security import Security
from tests.actors.ssh.host import FakeSession, open_host, say, settings

PTY = String(b"xterm") + UInt32(80) + UInt32(24) + UInt32(0) + UInt32(0) + String(b"\0")
X11 = Boolean(False) + String(b"MIT-MAGIC-COOKIE-1") + String(b"00" * 16) + UInt32(0)


async def idle(session: FakeSession, wanted: ProgramWanted) -> None:
    """A program that goes on until the test ends it."""


def secured(**keys: Any) -> Settings:
    return replace(settings(), security=msgspec.convert(keys, Security))


@pytest.mark.trio
async def test_without_a_terminal_the_program_runs_all_the_same() -> None:
    async with open_host(secured(tty={"mode": "filter"}), say) as host, host.client() as client:
        channel = await client.channel()
        assert not await channel.ask(b"pty-req", PTY)
        assert not await channel.ask(b"window-change", UInt32(1) + UInt32(1) + UInt32(0) + UInt32(0))
        assert await channel.ask(b"exec", String(b"x"))
        session = host.supervisor.sessions[0]
        assert session.events[0] == PtyWanted(
            term="xterm", size=Size(80, 24), why="security.tty.mode is filter", refused_by="security"
        )
        assert session.vault.term == ""
        assert session.all(ProgramWanted)[0].admitted


@pytest.mark.trio
async def test_a_variable_that_is_refused_is_not_kept() -> None:
    async with open_host(secured(env={"deny": ["A"]})) as host, host.client() as client:
        channel = await client.channel()
        assert not await channel.ask(b"env", String(b"A"), String(b"1"))
        assert await channel.ask(b"env", String(b"B"), String(b"2"))
        session = host.supervisor.sessions[0]
        assert session.vault.env == {"B": "2"}
        assert session.events == [
            EnvOffered(name="A", taken=False, why="it is in security.env.deny", refused_by="security"),
            EnvOffered(name="B"),
        ]


@pytest.mark.trio
async def test_a_malformed_name_is_no_matter_of_the_policy() -> None:
    async with open_host(secured(env={"mode": "disable"})) as host, host.client() as client:
        channel = await client.channel()
        assert not await channel.ask(b"env", String(b"\xff"), String(b"1"))
        assert host.supervisor.sessions[0].all(EnvOffered)[0].refused_by == ""


@pytest.mark.trio
async def test_signals_and_x11() -> None:
    async with open_host(secured(signal={"allow": ["TERM"], "mode": "filter"})) as host, host.client() as client:
        channel = await client.channel()
        assert not await channel.ask(b"x11-req", X11)
        assert not await channel.ask(b"signal", String(b"USR1"))
        assert await channel.ask(b"signal", String(b"TERM"))
        assert not await channel.ask(b"signal", String(b"NONE"))
        events = host.supervisor.sessions[0].events
        assert [event.refused_by for event in events if isinstance(event, SignalWanted | OddRequest)] == [
            *("security", "security", ""),
            "",
        ]


@pytest.mark.trio
async def test_x11_that_is_allowed_is_not_served_yet() -> None:
    config = secured(forwarding={"x11ForwardingMode": "enable"})
    async with open_host(config) as host, host.client() as client:
        channel = await client.channel()
        assert not await channel.ask(b"x11-req", X11)
        (event,) = host.supervisor.sessions[0].all(OddRequest)
        assert event.refused_by == "" and "not served yet" in event.why


@pytest.mark.trio
async def test_a_refused_program_is_answered_with_yes_so_that_its_sentence_is_read() -> None:
    async with open_host(secured(command={"mode": "disable"}, forceCommand="x")) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"exec", String(b"id"))
        (event,) = host.supervisor.sessions[0].all(ProgramWanted)
        assert (event.program, event.command, event.admitted, event.refused_by) == ("exec", "id", False, "security")


@pytest.mark.trio
async def test_input_that_was_held_back_for_a_client_that_is_gone() -> None:
    async with open_host(script=idle) as host, host.client() as client:
        channel = await client.channel()
        channel.write(b"early")
        channel.write_eof()
        assert await channel.ask(b"shell")
        session = host.supervisor.sessions[0]
        client.conn.abort()
        await session.seen(ChannelClosed)
        session.pump.drop()  # lets go of it; that must find nobody to deliver to, and no error
