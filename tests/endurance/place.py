"""Where it runs: an engine of its own that may be broken, and a daemon in each mode, as processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from actors.bridge import open_loop
from actors.control import ask
from actors.engine.docker import DockerEngine
from moorage.guest_image import ensure_guest_image
from moorage.status import sockets
from protocol.settings import GUEST_IMAGE, DockerConnection
from tests.e2e import outside
from tests.e2e.harness import NEVER, USER
from tests.e2e.own_engine import OwnDockerd
from tests.e2e.process import READY_SECONDS_MAX, Served

HOME = Path(__file__).resolve().parents[2]
POOL = 2
ALIVE_S = 5.0


class Daemon:
    """One `moorage serve`. `log` has its lines."""

    def __init__(self, mode: str, folder: Path, log: Served, host: str) -> None:
        self.mode, self.folder, self.log, self.host = mode, folder, log, host
        self.port = 0

    async def status(self) -> dict[str, Any]:
        """What it says of itself through its control socket."""
        (path,) = sockets(self.folder / "state")
        answer: dict[str, Any] = await ask(path, "status")
        return answer

    def containers(self) -> set[str]:
        """Those of its own that the engine knows."""
        instance = (self.folder / "state" / "instance").read_text().strip()
        return outside.names({"moorage.instance": instance}, self.host)

    def bad(self) -> list[str]:
        """What it never should have said."""
        return [json.dumps(line) for line in self.log.said if line["code"] in NEVER]


@asynccontextmanager
async def daemon(folder: Path, mode: str, host: str) -> AsyncIterator[Daemon]:
    """Started and ready; ended by TERM, and asked whether it ended in order."""
    own = folder / mode
    own.mkdir()
    settings = {
        "ssh": {
            "listen": "127.0.0.1:0", "hostkeys": [str(folder / "host_key")],
            "clientAliveInterval": f"{ALIVE_S / 2}s", "clientAliveCountMax": 2, "loginGrace": "5s",
        },
        "docker": {
            "connection": {"host": host},
            "execution": {
                "mode": mode, "imagePullPolicy": "Never",
                "container": {"Image": GUEST_IMAGE}, "host": {"NetworkMode": "none"},
            },
            "pool": {"size": POOL if mode == "connection" else 0},
        },
        "log": {"level": "notice"},
        "auth": {"users": {USER: {"authorizedKeys": [str(folder / "user_key.pub")]}}},
        "state": str(own / "state"),
    }  # fmt: skip
    (own / "config.json").write_text(json.dumps(settings))
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "moorage", "serve", "--config", str(own / "config.json")],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=own, env={**os.environ, "PYTHONPATH": str(HOME)},
    )  # fmt: skip
    it = Daemon(mode, own, Served(process), host)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.log.read)
            with trio.fail_after(2 * READY_SECONDS_MAX):
                ready = await it.log.until("MOORAGE_READY")
            it.port = int(ready["listen"][0].rpartition(":")[2])
            yield it
            process.send_signal(signal.SIGTERM)
            with trio.move_on_after(60):
                await process.wait()
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def guest_image(host: str) -> None:
    async with open_loop(lambda context: None), DockerEngine.open(DockerConnection(host=host), 30.0) as engine:
        await ensure_guest_image(engine, GUEST_IMAGE)


async def freeze(dockerd: OwnDockerd, seconds: float) -> None:
    """It answers nobody, and then it goes on as if nothing had been."""
    assert dockerd._process is not None
    dockerd._process.send_signal(signal.SIGSTOP)
    await trio.sleep(seconds)
    dockerd._process.send_signal(signal.SIGCONT)
