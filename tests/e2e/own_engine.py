"""Engines that a test may break: a way to the real one that can be cut, and a dockerd of its own."""

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

import trio

from actors.engine.find import find_engine
from moorage.debian import SYSTEM_PATH, program
from tests.listening import listening, reset

START_SECONDS_MAX = 60.0


class Way:
    """TCP connections to the real engine. `cut` resets those that carry a program's stream."""

    def __init__(self) -> None:
        self.url = ""
        self._streams: list[trio.SocketStream] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Way"]:
        async with listening(self._serve) as address:
            self.url = f"tcp://{address}"
            yield self

    def cut(self) -> None:
        for stream in self._streams:
            reset(stream)

    async def _serve(self, client: trio.SocketStream) -> None:
        engine = await trio.open_unix_socket(urlsplit(find_engine()).path)
        async with engine, client, trio.open_nursery() as nursery:
            nursery.start_soon(self._up, client, engine)
            try:
                async for data in engine:
                    if data.startswith(b"HTTP/1.1 101"):
                        self._streams.append(client)
                    await client.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            nursery.cancel_scope.cancel()

    async def _up(self, client: trio.SocketStream, engine: trio.SocketStream) -> None:
        try:
            async for data in client:
                await engine.send_all(data)
            await engine.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


class OwnDockerd:
    """A dockerd of the test's own, which it may kill. `host` stays the same over restarts."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.options = options
        self.folder = Path(mkdtemp(prefix="moorage-dockerd-"))  # short: a socket's path has 107 bytes at most
        self.host = f"unix://{self.folder}/engine.sock"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Return when it answers."""
        folder = self.folder
        command = [
            # In a network of its own: with --bridge none a dockerd deletes the bridge of the machine's.
            "unshare", "--net", str(program("dockerd")), "--host", self.host, "--data-root", f"{folder}/data",
            "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid",
            "--bridge", "none", "--iptables=false", "--ip6tables=false", *self.options,
        ]  # fmt: skip
        environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":" + SYSTEM_PATH}
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (it outlives any scope of ours)
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        with trio.fail_after(START_SECONDS_MAX):
            while not await self._answers():
                assert self._process.poll() is None, (folder / "log").read_text()[-2000:]
                await trio.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def _answers(self) -> bool:
        try:
            async with await trio.open_unix_socket(f"{self.folder}/engine.sock") as plug:
                await plug.send_all(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
                return b" 200 " in await plug.receive_some(64)
        except (OSError, trio.BrokenResourceError):
            return False

    async def kill(self) -> None:
        """As in a crash: dockerd and with it its containerd. The containers go on."""
        assert self._process is not None
        self._process.kill()
        await trio.to_thread.run_sync(self._process.wait)
        # Where nobody reaps orphans, a dead containerd looks alive to the next dockerd.
        for left in ("engine.sock", "exec/containerd/containerd.pid"):
            (self.folder / left).unlink(missing_ok=True)

    def close(self) -> None:
        """End it and all that it started."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            self._process.kill()  # it may have locked itself up
            self._process.wait()
        for shim in self._shims():  # of containers that a killed dockerd has left
            children = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
            for pid in (*map(int, children), shim):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with open("/proc/self/mounts") as mounts:
            points = [line.split()[1] for line in mounts]
        for point in sorted((one for one in points if one.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", point], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _shims(self) -> list[int]:
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = place.read_bytes()
                if words.split(b"\0")[0].endswith(b"shim-runc-v2") and str(self.folder).encode() in words:
                    found.append(int(place.parent.name))
        return found


@asynccontextmanager
async def own_dockerd(options: Sequence[str] = ()) -> AsyncIterator[OwnDockerd]:
    """Started, with more options; ended at the end of the block with all that it left."""
    dockerd = OwnDockerd(options)
    try:
        await dockerd.start()
        yield dockerd
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(dockerd.close)
