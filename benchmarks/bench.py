"""One run's surroundings: folder, keys, image, engine, clients, and how much is to be measured."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from random import Random
from secrets import token_hex
from urllib.parse import quote

from msgspec import Struct

from actors.engine.find import find_engine
from benchmarks import servers
from benchmarks.asyncssh_process import AsyncsshClient, asyncssh_client
from benchmarks.engine import IDLE, Engine
from benchmarks.openssh import OpenSSH
from benchmarks.servers import Server
from moorage.debian import Missing
from moorage.guest_image import CHANGES, make_guest
from protocol.settings import GUEST_IMAGE

MIB = 1024**2


class Scale(Struct, frozen=True):
    """How much: rounds of a series, bytes and rounds of a transfer, connections held (idle: over the engine in memory),
    logins in one reading of the CPU clock and seconds before the first, blocks of logins in a row and their size,
    keystrokes, bursts.
    """

    rounds: int
    transfer_bytes: int
    transfers: int
    held: int
    idle: int
    logins: int
    watch_s: float
    blocks: int
    block: int
    keystrokes: int
    sessions: int
    bursts: int


FULL = Scale(
    rounds=30, transfer_bytes=256 * MIB, transfers=20, held=300, idle=1000, logins=10, watch_s=125.0, blocks=10,
    block=50, keystrokes=500, sessions=100, bursts=5,
)  # fmt: skip
QUICK = Scale(
    rounds=5, transfer_bytes=64 * MIB, transfers=5, held=20, idle=200, logins=5, watch_s=0.0, blocks=2, block=20,
    keystrokes=100, sessions=10, bursts=2,
)  # fmt: skip


class Bench(Struct, frozen=True):
    """What every measurement is given."""

    folder: Path
    scale: Scale
    dice: Random
    image: str
    engine: Engine
    ssh: OpenSSH
    asyncssh: AsyncsshClient

    def say(self, text: str) -> None:
        """Progress goes to stderr; stdout has the table."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def moorage(self, mode: str) -> AbstractContextManager[Server]:
        """A fresh daemon."""
        return servers.moorage(self.folder, mode, self.image, self.engine.label)

    def warm(self, pool: int = 3) -> AbstractContextManager[Server]:
        """One with containers kept ready; their label is their own: nobody waits for them to be gone."""
        return servers.moorage(self.folder, "connection", self.image, f"{self.engine.label}-warm", pool)

    def fake(self) -> AbstractContextManager[Server]:
        """One over the engine in memory."""
        return servers.moorage(self.folder, "connection", GUEST_IMAGE, self.engine.label, fake=True)

    def sshd(self) -> AbstractContextManager[Server]:
        return servers.sshd(self.folder, "sshd")

    def sshd_run(self) -> AbstractContextManager[Server]:
        force = servers.docker_run(self.engine.socket_path, self.image, self.engine.label)
        return servers.sshd(self.folder, "sshd-docker-run", force)

    @contextmanager
    def sshd_exec(self) -> Iterator[Server]:
        """With the running container that its ForceCommand enters; its label is its own: nobody waits for it."""
        base = self.engine.create(self.image, IDLE, label=f"{self.engine.label}-base")
        try:
            self.engine.start(base)
            with servers.sshd(
                self.folder, "sshd-docker-exec", servers.docker_exec(self.engine.socket_path, base)
            ) as server:
                yield server
        finally:
            self.engine.remove(base)


def engine_socket() -> str:
    """The path of the engine's unix socket. Raises `Missing`, `EngineFault`."""
    url = find_engine()
    if not url.startswith("unix://"):
        raise Missing(f"the benchmarks need the engine's unix socket; DOCKER_HOST is {url}: unset it, and try again")
    return url.removeprefix("unix://")


@contextmanager
def open_bench(scale: Scale, seed: int) -> Iterator[Bench]:
    """Make keys, image and clients; leave nothing behind. Raises `Missing`."""
    label = f"moorage.benchmark=bench-{token_hex(4)}"
    image = f"bench-moorage/guest:{label[-8:]}"
    engine = Engine(engine_socket(), label)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moorage-bench-")))
        servers.make_keys(folder)
        changes = "".join(f"&changes={quote(line)}" for line in CHANGES)
        repository, _, tag = image.partition(":")
        create = f"/images/create?fromSrc=-&repo={quote(repository)}&tag={tag}{changes}"
        engine.call("POST", create, make_guest().tar, "application/x-tar")
        stack.callback(engine.call, "DELETE", f"/images/{image}?force=1")
        stack.callback(_sweep, engine)
        client = stack.enter_context(asyncssh_client(folder))
        yield Bench(folder, scale, Random(seed), image, engine, OpenSSH(folder), client)


def _sweep(engine: Engine) -> None:
    """What an interrupted measurement has left."""
    for container in engine.containers():
        engine.remove(container)
