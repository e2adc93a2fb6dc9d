"""`moorage serve` as a process of its own, as an operator runs it."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from tests.codes_heard import hear
from tests.e2e import outside
from tests.e2e.harness import USER

HOME = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 30.0


class Served:
    """The running process. `said` are its log lines so far, read by a task in the background."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self.port = 0
        self._news = trio.Event()

    async def read(self) -> None:
        """Read its log until it ends."""
        assert self.process.stdout is not None
        rest = b""
        async for piece in self.process.stdout:
            *lines, rest = (rest + piece).split(b"\n")
            self.said += [json.loads(line) for line in lines]
            hear((b"\n".join(lines)).decode())
            self._news.set()
            self._news = trio.Event()

    async def until(self, code: str) -> dict[str, Any]:
        """Wait for a line with this code; its details."""
        with trio.fail_after(READY_SECONDS_MAX):
            while not (found := [line for line in self.said if line["code"] == code]):
                await self._news.wait()
        details: dict[str, Any] = found[0]["details"]
        return details


@asynccontextmanager
async def served(*place: Any, **options: Any) -> AsyncIterator[Served]:
    """As `started`, and ready."""
    async with started(*place, **options) as it:
        ready = await it.until("MOORAGE_READY")
        it.port = int(ready["listen"][0].rpartition(":")[2])
        yield it


@asynccontextmanager
async def started(
    folder: Path,
    image: str,
    more: Mapping[str, Any] = {},
    ssh: Mapping[str, Any] = {},
    within: Sequence[str] = (),
    **shutdown: float,
) -> AsyncIterator[Served]:
    """Its state in `folder`; killed at the end of the block if it still runs.

    `within`: a command that runs another, before its own.
    """
    execution = {"container": {"Image": image}, "host": {"NetworkMode": "none"}, "imagePullPolicy": "Never", **more}
    settings = {
        "ssh": {"listen": "127.0.0.1:0", "hostkeys": ["host_key"], **ssh},
        "log": {"level": "debug"},
        "docker": {"execution": execution},
        "auth": {"users": {USER: {"authorizedKeys": ["user_key.pub"]}}},
        "shutdown": {name: f"{seconds}s" for name, seconds in shutdown.items()},
        "state": "state",
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    process = await trio.lowlevel.open_process(
        [*within, sys.executable, "-m", "moorage", "serve", "--config", str(folder / "config.yaml")],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    it = Served(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.read)
            yield it
            nursery.cancel_scope.cancel()
    finally:
        runs_still = process.returncode is None
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            if runs_still:
                await trio.to_thread.run_sync(_tidy, folder / "state" / "instance")


def _tidy(instance: Path) -> None:
    """One that is killed as its last session ends may leave that one's container, and nobody starts again."""
    if instance.exists():
        for name in outside.names({"moorage.instance": instance.read_text().strip()}):
            outside.remove(name)
