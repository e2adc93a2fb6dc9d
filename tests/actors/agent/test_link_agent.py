"""The link and the real agent, without an engine."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.agent.relayed import OUTPUT_BYTES_MAX
from actors.ports import SpawnOrder
from moorage.agent_binary import AgentBinary
from protocol.base import Event, Size
from protocol.container import LinkLost
from protocol.frame_types import SIGNALS
from protocol.session import ProgramExited, ProgramSpawned, SpawnFailed
from tests.actors.agent.conftest import Agent
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio
SECONDS_MAX = 20.0
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern").read_text()


def runs(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


class Program:
    """One program, what it said and what was heard of it."""

    def __init__(self, agent: Agent, argv: Sequence[str], keep: bool = True, **order: Any) -> None:
        self.sink, self.heard = RecordingSink(keep), list[Event]()
        self._news = trio.Event()
        self.served = agent.link.spawn(SpawnOrder(argv=argv, **order), self.sink, self.hear)

    def hear(self, event: Event) -> None:
        self.heard.append(event)
        self._news.set()
        self._news = trio.Event()

    async def until(self, kind: type[Event]) -> Any:
        with trio.fail_after(SECONDS_MAX):
            while True:
                for event in self.heard:
                    if isinstance(event, kind):
                        return event
                await self._news.wait()

    async def end(self) -> ProgramExited:
        with trio.fail_after(SECONDS_MAX):
            await self.sink.ended.wait()
        end: ProgramExited = await self.until(ProgramExited)
        return end


def shell(agent: Agent, script: str, **order: Any) -> Program:
    return Program(agent, ["/bin/sh", "-c", script], **order)


async def test_output_status_and_environment(agent: Agent) -> None:
    program = shell(agent, "echo $OWN $MORE $MOORAGE_TOKEN; echo err >&2; exit 7", env={"MORE": "too"})
    assert await program.end() == ProgramExited(status=7)
    assert (program.sink.out, program.sink.err, program.sink.error) == (b"yes too\n", b"err\n", "")
    assert isinstance(program.heard[0], ProgramSpawned)


async def test_many_programs_at_once(agent: Agent) -> None:
    programs = [shell(agent, f"read line; echo $line; exit {nth}") for nth in range(50)]
    for nth, program in enumerate(programs):
        program.served.write(b"%d\n" % nth)
    for nth, program in enumerate(programs):
        assert await program.end() == ProgramExited(status=nth)
        assert program.sink.out == b"%d\n" % nth


async def test_ten_megabytes_there_and_back(agent: Agent) -> None:
    program = Program(agent, ["/bin/cat"], keep=False)
    piece = bytes(range(256)) * 256
    for _ in range(160):
        await program.sink.until_input_flows()
        program.served.write(piece)
    program.served.write_eof()
    assert await program.end() == ProgramExited()
    assert program.sink.size == 160 * len(piece)


async def test_a_slow_reader_stops_the_program_and_no_other(agent: Agent) -> None:
    slow = Program(agent, ["/bin/sh", "-c", "head -c 8000000 /dev/zero; echo done >&2"], keep=False)
    slow.served.pause_output()
    await slow.until(ProgramSpawned)
    assert (await shell(agent, "exit 3").end()).status == 3  # its bytes do not stand in the other's way
    assert slow.sink.size <= OUTPUT_BYTES_MAX and slow.sink.err == b""
    slow.served.resume_output()
    assert await slow.end() == ProgramExited()
    assert slow.sink.size == 8_000_000 + len(b"done\n")


async def test_a_program_that_does_not_read_pauses_its_client(agent: Agent) -> None:
    program = shell(agent, "read line; exec 0<&-; echo closed; sleep 60")
    program.served.write(bytes(4 * 1024 * 1024))
    assert program.sink.input_paused
    program.served.close()


async def test_stdin_that_a_program_closes_is_let_flow(agent: Agent) -> None:
    program = shell(agent, "exec 0<&-; echo closed; sleep 60")
    await program.sink.until(b"closed")
    program.served.write(bytes(4 * 1024 * 1024))
    await program.sink.until_input_flows()
    program.served.close()


async def test_a_program_without_output_still_reads(agent: Agent, tmp_path: Path) -> None:
    program = shell(agent, f"exec >/dev/null 2>&1; cat > {tmp_path}/copy")
    with trio.fail_after(SECONDS_MAX):
        await program.sink.ended.wait()
    program.served.write(b"all of it")
    program.served.write_eof()
    assert await program.until(ProgramExited) == ProgramExited()
    assert (tmp_path / "copy").read_bytes() == b"all of it"


@pytest.mark.parametrize(
    ("argv", "status", "why"),
    [
        (["/nonexistent"], 127, "cannot run /nonexistent: it, or the interpreter that it names, is not in the image"),
        (["no-such-program"], 127,
         "cannot run no-such-program: it, or the interpreter that it names, is not in the image"),
        (["/etc/passwd"], 126, "cannot run /etc/passwd: permission denied"),
        (["/etc/passwd/sh"], 127, "cannot run /etc/passwd/sh: not a directory"),
        (["/tmp"], 126, "cannot run /tmp: permission denied"),
        (["/bin/true", "x" * 200_000], 126, "cannot run /bin/true: argument list too long"),
    ],
)  # fmt: skip
async def test_what_cannot_be_started(agent: Agent, argv: list[str], status: int, why: str) -> None:
    program = Program(agent, argv)
    failed = await program.until(SpawnFailed)
    assert (failed.status, failed.why) == (status, why)
    with trio.fail_after(SECONDS_MAX):
        await program.sink.ended.wait()
    assert (await shell(agent, "exit 4").end()).status == 4


async def test_an_empty_file_is_no_program(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\0\1\2\3")
    path.chmod(0o755)
    failed = await Program(agent, [str(path)]).until(SpawnFailed)
    assert (failed.fault, failed.status) == ("invalid", 126)


@pytest.mark.parametrize("name", SIGNALS)
async def test_every_signal_ends_a_program_and_is_named(agent: Agent, name: str) -> None:
    program = shell(agent, "ulimit -c 0; echo ready; exec sleep 60")
    await program.sink.until(b"ready")
    program.served.signal(name)
    assert await program.end() == ProgramExited(signal=name)


async def test_a_core_dump_is_told(agent: Agent, tmp_path: Path) -> None:
    program = shell(agent, f"cd {tmp_path}; ulimit -c unlimited && echo ready; exec sleep 60")
    await program.sink.until(b"ready")
    program.served.signal("SEGV")
    end = await program.end()
    assert end.signal == "SEGV"
    assert end.core == (CORE_PATTERN.startswith("|") or any("core" in name for name in os.listdir(tmp_path)))


async def test_a_signal_without_a_name_is_a_status(agent: Agent) -> None:
    assert await shell(agent, "kill -SYS $$").end() in (ProgramExited(status=159), ProgramExited(status=128 + 31))


async def test_a_signal_that_comes_first_waits_for_the_program(agent: Agent) -> None:
    program = shell(agent, "sleep 60")
    program.served.signal("TERM")
    assert await program.end() == ProgramExited(signal="TERM")


async def test_a_terminal_has_its_size_and_modes_before_the_program_runs(agent: Agent) -> None:
    modes = bytes([53, 0, 0, 0, 0, 3, 0, 0, 0, 8, 0])  # no ECHO, VERASE is ^H
    program = shell(agent, "stty -a", tty=True, size=Size(columns=91, rows=37), modes=modes)
    assert await program.end() == ProgramExited()
    said = program.sink.out
    assert b"rows 37" in said and b"columns 91" in said and b"-echo " in said and b"erase = ^H" in said


async def test_a_terminal_is_resized_and_interrupted(agent: Agent) -> None:
    program = shell(agent, "trap 'stty size' WINCH; trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done",
                    tty=True, size=Size(columns=80, rows=24))  # fmt: skip
    await program.sink.until(b"ready")
    program.served.resize(Size(columns=132, rows=43))
    await program.sink.until(b"43 132")
    program.served.write(b"\x03")
    assert await program.end() == ProgramExited(status=5)


async def test_close_kills_the_program_and_its_children(agent: Agent, tmp_path: Path) -> None:
    program = shell(agent, "sleep 61 & echo $! $$; wait")
    await program.sink.until(b"\n")
    pids = [int(word) for word in program.sink.out.split()]
    program.served.close()
    with trio.fail_after(SECONDS_MAX):
        while any(runs(pid) for pid in pids):  # noqa: ASYNC110 (nothing tells of it)
            await trio.sleep(0.01)


async def test_the_agent_killed_is_a_lost_link(agent: Agent) -> None:
    program = shell(agent, "echo ready; sleep 3")
    await program.sink.until(b"ready")
    agent.end()
    assert await agent.until(LinkLost) == LinkLost(why="its connection ended")
    assert program.sink.error == "the link to the container is lost: its connection ended"
    assert not [event for event in program.heard if isinstance(event, ProgramExited)]


async def test_a_token_that_is_not_ours(built: AgentBinary, tmp_path: Path) -> None:
    path = tmp_path / "agent"
    path.write_bytes(built.content)
    path.chmod(0o755)
    agent = Agent(path, token="theirs", expects="ours")
    try:
        with trio.fail_after(SECONDS_MAX):
            await agent.run()
        assert agent.heard == [LinkLost(why="its agent does not know the token")]
    finally:
        agent.end()


async def test_garbage_ends_the_agent_with_a_word(agent: Agent) -> None:
    agent.write(b"\xff" * 64)
    lost = await agent.until(LinkLost)
    assert isinstance(lost, LinkLost) and lost.why == "the agent gave up (Protocol error)"
    with trio.fail_after(SECONDS_MAX):
        assert await trio.to_thread.run_sync(agent.process.wait) == 5
