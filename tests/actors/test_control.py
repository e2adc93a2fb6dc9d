"""One question, one answer, over a socket that only the owner may open."""

import stat
from pathlib import Path

import anyio
import pytest
import trio

from actors.control import QUESTION_BYTES_MAX, Answers, ask, serve_control


async def _served(nursery: trio.Nursery, path: Path, answers: Answers) -> None:
    await nursery.start(serve_control, path, answers)


@pytest.mark.trio
async def test_a_question_is_answered_and_the_socket_is_private(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with trio.open_nursery() as nursery:
        await _served(nursery, path, {"status": lambda: {"state": "SERVING", "actors": [1, 2]}})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await ask(path, "status") == {"state": "SERVING", "actors": [1, 2]}
        assert await ask(path, "weather") == {"error": "unknown question"}
        nursery.cancel_scope.cancel()
    assert not path.exists()


@pytest.mark.trio
async def test_an_endless_or_broken_question_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with trio.open_nursery() as nursery:
        await _served(nursery, path, {"status": lambda: "fine"})
        async with await anyio.connect_unix(path) as stream:
            await stream.send(b"x" * (QUESTION_BYTES_MAX + 1))
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        async with await anyio.connect_unix(path):
            pass  # says nothing and goes
        assert await ask(path, "status") == "fine"
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_nobody_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await ask(tmp_path / "none.sock", "status")
