"""A daemon that is served in a terminal, and is upgraded: the terminal's Ctrl-C ends what serves then."""

import json
import os
import signal
import sys

import pytest
import trio

from tests.crash.test_real import EXEC, Client, configure
from tests.e2e.process import HOME
from tests.e2e.runs import Setup
from tests.e2e.terminal import Terminal, open_terminal
from tests.e2e.test_upgrade import ending, moorage, serving, status

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
SECONDS_MAX = 60.0
STAYS = b"was replaced by process "


async def upgraded(setup: Setup) -> int:
    """The pid of the new one."""
    done = await moorage(setup, "upgrade")
    assert done.status == 0, done.err
    return await serving(setup)


@pytest.fixture
def words(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line, with a terminal of its own as a shell would give it."""
    monkeypatch.setenv("PYTHONPATH", str(HOME))
    configure(setup.folder, setup.image, EXEC, 0)
    serve = [sys.executable, "-m", "moorage", "serve", "--config", str(setup.folder / "config.yaml")]
    return ["setsid", "--ctty", "--wait", *serve]


async def ready(terminal: Terminal, count: int = 1) -> None:
    while terminal.shown.count(b"MOORAGE_READY") < count:
        assert await terminal._more()


@pytest.mark.parametrize("upgrades", [1, 2])
async def test_ctrl_c_reaches_who_serves(setup: Setup, words: list[str], upgrades: int) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with open_terminal(words, 80, 24) as terminal:
            await ready(terminal)
            async with ending(setup):
                for number in range(upgrades):
                    pid = await upgraded(setup)
                    await terminal.until(STAYS + str(pid).encode())
                    assert terminal.shown.count(STAYS) == number + 1
                assert list(await status(setup)) == [pid]
                await terminal.type(b"\x03")
                assert await terminal.end() == 0
                assert await status(setup) == {}


async def test_the_end_of_who_serves_is_the_end_here(setup: Setup, words: list[str]) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with open_terminal(words, 80, 24) as terminal:
            await ready(terminal)
            async with ending(setup):
                os.kill(await upgraded(setup), signal.SIGKILL)
                assert await terminal.end() == 0


async def test_ctrl_c_while_it_serves_its_last_connections(setup: Setup, words: list[str]) -> None:
    """It is asked of both: the new one has nothing to do and ends, the old one lets its session end."""
    with trio.fail_after(SECONDS_MAX):
        async with open_terminal(words, 80, 24) as terminal, ending(setup):
            await ready(terminal)
            said = next(line for line in terminal.shown.splitlines() if b"MOORAGE_READY" in line)
            port = int(json.loads(said)["details"]["listen"][0].rpartition(":")[2])
            client = Client(setup.folder / "said", port, False, setup.folder / "user_key")
            try:
                while not client.is_ready():  # noqa: ASYNC110 (a file is looked at)
                    await trio.sleep(0.02)
                pid = await upgraded(setup)
                assert STAYS not in terminal.shown
                await terminal.type(b"\x03")
                while pid in await status(setup):  # noqa: ASYNC110 (it is no child of ours)
                    await trio.sleep(0.02)
                assert [one["state"] for one in (await status(setup)).values()] == ["DRAINING"]
                client.go_on()
                assert await trio.to_thread.run_sync(client.process.wait) == 3
                assert await terminal.end() == 0
            finally:
                client.close()
