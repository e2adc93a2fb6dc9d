"""Programs at a terminal whose master is ours: the real agent behind its socket, and what is refused as a ptmx."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_trio
import trio

from actors.agent.link import Link
from actors.agent.relayed import Relayed
from actors.agent.socket import LinkSocket
from actors.agent.terminal import AtTerminal, Terminals
from actors.ports import ContainerOrder
from moorage.agent_binary import AgentBinary
from protocol.base import Event, Size
from protocol.container import AgentGreeted, LinkLost
from protocol.session import ProgramExited, SpawnFailed
from tests.actors.agent.conftest import Agent
from tests.actors.agent.test_link_agent import Program
from tests.actors.agent.test_socket import OWN

pytestmark = pytest.mark.trio
SIZE = Size(columns=101, rows=33)
MEGABYTE = 1_000_000


class Guest(Agent):
    """The agent at the other end of the socket of its own."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.heard: list[Event] = []
        self._news = trio.Event()
        self.link = Link(ContainerOrder(name="n", token="t", image="i"), "secret", beats=False)
        self.link.made(OWN)
        self.link.report(self.hear)
        self.path, self.socket = path, LinkSocket(self.link, folder)

    async def start(self) -> None:
        self.socket.listen()
        self.process = self._boot()
        await self.until(AgentGreeted)

    def _boot(self) -> "subprocess.Popen[bytes]":
        command = [str(self.path), "serve", "--socket", str(self.socket.folder / "s")]
        return subprocess.Popen(command, env={"PATH": "/usr/bin:/bin", "MOORAGE_TOKEN": "secret"})

    def at_terminal(self, script: str) -> Program:
        return Program(self, ["/bin/sh", "-c", script], tty=True, size=SIZE)


@pytest_trio.trio_fixture
async def guest(loop: None, built: AgentBinary, tmp_path: Path) -> AsyncIterator[Guest]:
    path = tmp_path / "agent"
    path.write_bytes(built.content)
    path.chmod(0o755)
    made = Guest(path, tmp_path / "link")
    await made.start()
    try:
        yield made
    finally:
        made.link.close()
        made.end()


async def test_size_name_output_and_status(guest: Guest) -> None:
    program = guest.at_terminal("stty size; tty; echo err >&2; exit 7")
    assert isinstance(program.served, AtTerminal)
    assert await program.end() == ProgramExited(status=7)
    size, name, err = program.sink.out.split(b"\r\n")[:3]
    assert (size, err, program.sink.error) == (b"33 101", b"err", "") and name.startswith(b"/dev/pts/")


async def test_keystrokes_resizes_and_control_characters(guest: Guest) -> None:
    program = guest.at_terminal("trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done")
    await program.sink.until(b"33 101")
    program.served.resize(Size(columns=120, rows=44))
    await program.sink.until(b"44 120")
    program.served.write(b"\x03")
    assert await program.end() == ProgramExited(status=0, signal="INT")


async def test_signals_go_to_the_foreground(guest: Guest) -> None:
    program = guest.at_terminal(
        "set -m; sh -c 'trap \"echo got; exit 5\" USR1; echo ready; while :; do sleep 0.05; done'"
    )
    await program.sink.until(b"ready")
    program.served.signal("USR1")
    assert await program.end() == ProgramExited(status=5)
    assert b"got" in program.sink.out


async def test_a_program_that_cannot_be_started(guest: Guest) -> None:
    before = descriptors()
    program = Program(guest, ["/bin/absent"], tty=True)
    failed = await program.until(SpawnFailed)
    assert (failed.fault, failed.status) == ("not_found", 127)
    await until_no_more_than(before)


async def test_the_end_of_a_program_hangs_up_on_its_children(guest: Guest) -> None:
    program = guest.at_terminal("sleep 100 & exit 3")
    assert await program.end() == ProgramExited(status=3)


async def test_output_waits_in_the_terminal_while_the_client_does_not_read(guest: Guest) -> None:
    program = guest.at_terminal(f"stty raw; echo ready; head -c {MEGABYTE} /dev/zero; echo; echo done")
    await program.sink.until(b"ready")
    program.served.pause_output()
    await trio.sleep(0.2)
    came = len(program.sink.out)
    assert came < MEGABYTE / 2
    await trio.sleep(0.2)
    assert len(program.sink.out) == came
    program.served.resume_output()
    assert await program.end() == ProgramExited(status=0)
    assert program.sink.out.count(0) == MEGABYTE and program.sink.out.endswith(b"done\n")


async def test_input_that_nobody_reads_holds_up_the_client(guest: Guest) -> None:
    script = f"stty raw -echo; echo ready; read line < /dev/null; sleep 0.3; head -c {MEGABYTE} | cksum"
    program = guest.at_terminal(script)
    await program.sink.until(b"ready")
    data = bytes(range(1, 101)) * (MEGABYTE // 100)
    program.served.write(data[:500_000])
    assert program.sink.input_paused
    program.served.write(data[500_000:])  # what was on its way
    assert program.sink.pauses == 1
    assert await program.end() == ProgramExited(status=0)
    assert program.sink.out.split(b"\n")[1].split() == cksum(data).split() and not program.sink.input_paused


async def test_who_is_let_go_is_hung_up_on_and_nothing_stays_open(guest: Guest) -> None:
    before = descriptors()
    program = guest.at_terminal("trap '' INT; echo ready; sleep 100")
    await program.sink.until(b"ready")
    program.served.close()
    program.served.write(b"late")
    program.served.resize(SIZE)
    program.served.resume_output()
    await until_no_more_than(before)
    assert program.sink.error is None


async def test_closing_which_can_wait_for_a_programs_disk_is_a_threads(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = guest.at_terminal("echo ready; sleep 100")
    await program.sink.until(b"ready")
    may_close, closed = threading.Event(), threading.Event()
    close = os.close

    def slow(descriptor: int) -> None:
        may_close.wait(10)
        close(descriptor)
        closed.set()

    monkeypatch.setattr("actors.agent.terminal.os.close", slow)
    program.served.close()
    monkeypatch.undo()
    assert not closed.is_set()
    may_close.set()
    assert closed.wait(10)


async def test_the_loss_of_the_agent_is_the_end(guest: Guest) -> None:
    before = descriptors()
    program = guest.at_terminal("echo ready; sleep 100")
    await program.sink.until(b"ready")
    guest.process.kill()
    await guest.until(LinkLost)
    with trio.fail_after(10):
        await program.sink.ended.wait()
    await until_no_more_than(before)


async def test_behind_what_is_still_unsent_the_agent_opens_the_terminal(guest: Guest) -> None:
    """A descriptor goes with the very bytes of its frame, and those are not the next ones here."""
    guest.process.send_signal(signal.SIGSTOP)
    held = Program(guest, ["/bin/cat"])
    for _ in range(20):
        held.served.write(bytes(65536))
    program = guest.at_terminal("stty size; tty")
    assert isinstance(program.served, Relayed)
    guest.process.send_signal(signal.SIGCONT)
    assert await program.end() == ProgramExited(status=0)
    assert program.sink.out.startswith(b"33 101\r\n/dev/pts/")


async def test_where_the_host_may_not_open_one_the_agent_does(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Terminals) -> tuple[int, int]:
        raise PermissionError

    monkeypatch.setattr(Terminals, "open", refused)
    program = guest.at_terminal("tty")
    assert isinstance(program.served, Relayed)
    assert await program.end() == ProgramExited(status=0)


async def test_when_the_socket_takes_no_more_nothing_is_half_sent(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise BlockingIOError

    before = descriptors()
    monkeypatch.setattr(socket, "send_fds", full)
    program = guest.at_terminal("tty")
    assert isinstance(program.served, Relayed) and descriptors() == before
    assert await program.end() == ProgramExited(status=0)


async def test_a_long_order_of_which_a_part_is_sent(guest: Guest) -> None:
    program = Program(
        guest, ["/bin/sh", "-c", "echo ${#LONG}"], tty=True, env={"LONG": "x" * 120_000, "MORE": "y" * 120_000}
    )
    assert isinstance(program.served, AtTerminal)
    assert await program.end() == ProgramExited(status=0)
    assert program.sink.out == b"120000\r\n"


async def test_many_at_once(guest: Guest) -> None:
    programs = [guest.at_terminal(f"read line; echo got $line; exit {nth}") for nth in range(30)]
    for nth, program in enumerate(programs):
        program.served.write(b"%d\n" % nth)
    for nth, program in enumerate(programs):
        assert await program.end() == ProgramExited(status=nth)
        assert b"got %d\r\n" % nth in program.sink.out


@pytest.mark.parametrize("what", ["absent", "link", "link_above", "file", "another_device"])
async def test_what_is_no_ptmx_is_not_opened(tmp_path: Path, what: str) -> None:
    place = tmp_path / "dev" / "pts"
    place.parent.mkdir()
    if what == "link_above":
        place.symlink_to("/dev/pts")
    else:
        place.mkdir()
    match what:
        case "link":
            (place / "ptmx").symlink_to("/dev/pts/ptmx")
        case "file":
            (place / "ptmx").write_text("")
        case "another_device":
            os.mknod(place / "ptmx", 0o666 | 0o020000, os.makedev(1, 3))
    before = descriptors()
    with pytest.raises(OSError):
        Terminals(str(tmp_path), 0)
    assert descriptors() == before


async def test_the_slave_is_the_users_own() -> None:
    terminals = Terminals("/", 1000)
    master, slave = terminals.open()
    assert os.fstat(slave).st_uid == 1000 and os.get_blocking(slave) and not os.get_blocking(master)
    assert not os.get_inheritable(master) and not os.get_inheritable(slave)
    for one in (master, slave):
        os.close(one)
    terminals.close()


def cksum(data: bytes) -> bytes:
    return subprocess.run(["cksum"], input=data, capture_output=True, check=True).stdout


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def until_no_more_than(count: int) -> None:
    """They are closed in a thread."""
    with trio.fail_after(10):
        while descriptors() > count:  # noqa: ASYNC110
            await trio.sleep(0.01)
