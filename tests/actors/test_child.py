"""What we have started ends with the block that it was started in, and with us."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from actors.child import process_group

pytestmark = pytest.mark.trio
HOME = Path(__file__).resolve().parents[2]
PROGRAM = 'sleep 1000 & echo $! > grandchild; echo $$ > child; trap "" TERM; wait'
DOOMED = """
import sys, trio
from actors.child import process_group
async def main():
    async with process_group() as group:
        await trio.run_process(["sh", "-c", sys.argv[1]], process_group=group)
trio.run(main)
"""


def lives(number: int) -> bool:
    """Running, and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def started(folder: Path) -> list[int]:
    """The program and its child."""
    paths = [folder / "child", folder / "grandchild"]
    with trio.fail_after(20):
        while not all(path.exists() and path.read_text().strip() for path in paths):  # noqa: ASYNC110
            await trio.sleep(0.01)
    return [int(path.read_text()) for path in paths]


async def ended(numbers: list[int]) -> None:
    with trio.fail_after(5):
        while any(lives(number) for number in numbers):  # noqa: ASYNC110 (they are not our children)
            await trio.sleep(0.01)


async def test_the_end_of_the_block(tmp_path: Path) -> None:
    async with process_group() as group:
        program = await trio.lowlevel.open_process(["sh", "-c", PROGRAM], cwd=tmp_path, process_group=group)
        numbers = await started(tmp_path)
        assert all(lives(number) for number in (*numbers, group))
    assert await program.wait() == -signal.SIGKILL
    await ended([*numbers, group])


async def test_what_has_ended_leaves_nobody(tmp_path: Path) -> None:
    async with process_group() as group:
        done = await trio.run_process(["sh", "-c", "exit 7"], check=False, process_group=group)
        assert done.returncode == 7 and lives(group)
    await ended([group])


async def test_who_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        async with process_group() as group:
            await trio.run_process(["/no/such/program"], process_group=group)
    await ended([group])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_our_own_death(tmp_path: Path, number: signal.Signals) -> None:
    us = await trio.lowlevel.open_process(
        [sys.executable, "-c", DOOMED, PROGRAM], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HOME)},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    numbers = await started(tmp_path)
    group = os.getpgid(numbers[0])
    assert os.getpgid(numbers[1]) == group != os.getpgid(us.pid)
    us.send_signal(number)
    assert await us.wait() == -number
    await ended([*numbers, group])
