"""A whole Moorage on a free port, with clients beside it, and the questions that are asked at its end.

Nothing in it is a double but the engine, where a test wants one that fails on command.
"""

import io
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import trio
from msgspec import Struct

from actors.bridge import aio, open_loop
from actors.reload import Reread
from moorage.daemon import Server, serve
from moorage.replay import replay_command
from moorage.testing import FakeEngine, FakeImage
from protocol.codes import Code
from protocol.container import Link
from protocol.ledger import Scenario, read
from protocol.settings import (
    Auth,
    Docker,
    DockerConnection,
    Execution,
    Pool,
    Record,
    Settings,
    Shutdown,
    Ssh,
    Timeouts,
    User,
)
from tests.e2e import outside
from tests.e2e.terminal import Terminal, open_terminal

USER = "alice"
FAKE_IMAGE = "busybox:1"
SECONDS_MAX = 15.0
# What no run may say, unless it was told to.
NEVER = ("MOORAGE_REFUSED", "MOORAGE_ACTOR_CRASHED", "MOORAGE_CONNECTION_CRASHED", "MOORAGE_SHIM_FAILED",
         "MOORAGE_STOPPED_UNCLEAN", "MOORAGE_RECORD_FAILED")  # fmt: skip


class Done(Struct, frozen=True):
    """How a client ended: its exit status and what it printed."""

    status: int
    out: bytes
    err: bytes


class Keys:
    """A host key and a user's key, as files with neutral names in `folder`."""

    def __init__(self, folder: Path) -> None:
        for name in ("host_key", "user_key"):
            key = asyncssh.generate_private_key("ssh-ed25519", comment=name)
            key.write_private_key(str(folder / name))
            (folder / name).chmod(0o600)
            key.write_public_key(str(folder / f"{name}.pub"))


class Harness:
    """A running server. `said` are the codes it has said, in order, each with its details."""

    def __init__(
        self, server: Server, settings: Settings, said: "Said", fake: FakeEngine | None, folder: Path, engine: str = ""
    ) -> None:
        self.server, self.settings, self.said, self.fake, self.engine = server, settings, said, fake, engine
        self.folder = folder
        self.port = server.port

    # Clients.

    def ssh_args(self, *args: str) -> list[str]:
        """The command line of an OpenSSH client: `args` are options and then the command."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes",
                   "IdentityAgent=none", "IdentitiesOnly=yes")  # fmt: skip
        flags = [flag for option in options for flag in ("-o", option)]
        own = ["-F", "none", "-i", str(self.folder / "user_key"), "-p", str(self.port)]
        return ["ssh", *own, *flags, *args]

    async def ssh(self, command: str | None, *options: str, stdin: bytes | None = b"", **more: Any) -> Done:
        """Run OpenSSH's client to its end. `stdin=None`: closed (/dev/null)."""
        args = self.ssh_args(*options, f"{USER}@127.0.0.1", *([] if command is None else [command]))
        done = await trio.run_process(
            args, stdin=subprocess.DEVNULL if stdin is None else stdin, capture_stdout=True, capture_stderr=True,
            check=False, **more,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    @asynccontextmanager
    async def ssh_process(self, command: str | None, *options: str, **more: Any) -> AsyncIterator[trio.Process]:
        """An OpenSSH client that runs; killed at the end of the block."""
        args = self.ssh_args(*options, f"{USER}@127.0.0.1", *([] if command is None else [command]))
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = await trio.lowlevel.open_process(args, **{**pipes, **more})
        try:
            yield process
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                for pipe in (process.stdin, process.stdout, process.stderr):
                    if pipe is not None:
                        await pipe.aclose()

    @asynccontextmanager
    async def terminal(self, command: str | None, columns: int, rows: int, stty: str = "") -> AsyncIterator[Terminal]:
        """An OpenSSH client at a terminal of this size, as a person has it, who may have set it up with `stty`."""
        args = self.ssh_args("-tt", f"{USER}@127.0.0.1", *([] if command is None else [command]))
        if stty:
            args = ["sh", "-c", f'stty {stty} && exec "$@"', "sh", *args]
        async with open_terminal(args, columns, rows) as terminal:
            yield terminal

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator["Client"]:
        """An asyncssh client, for what OpenSSH's cannot be made to do."""
        key = str(self.folder / "user_key")
        options = {"username": USER, "client_keys": [key], "known_hosts": None, "config": None, **options}
        conn = await aio(partial(asyncssh.connect, "127.0.0.1", self.port, agent_path=None, **options))
        client = Client(conn)
        try:
            yield client
        finally:
            client.kill()
            with trio.CancelScope(shield=True):
                await aio(conn.wait_closed)

    # What became of it.

    def containers(self) -> set[str]:
        """Names of our containers on the engine, running or not."""
        if self.fake is not None:
            return {name for name in self.fake.alive if self._is_ours(name)}
        return outside.names({"moorage.instance": self.instance}, self.engine)

    def _is_ours(self, name: str) -> bool:
        assert self.fake is not None
        return self.fake.labels_of(name).get("moorage.instance") == self.instance

    @property
    def instance(self) -> str:
        return self.server.supervisor.world.instance

    def scenarios(self) -> list[tuple[Path, Scenario]]:
        """The finished recordings, oldest first."""
        paths = sorted((self.folder / self.settings.record.directory).glob("*.jsonl"))
        return [(path, read(path.read_bytes())) for path in paths]

    async def all_gone(self) -> None:
        """Return when no connection, session or container is left."""
        with trio.fail_after(SECONDS_MAX):
            while self.server.supervisor.world.actors:
                await self.said.next()


class Client:
    """An asyncssh client from trio."""

    def __init__(self, conn: asyncssh.SSHClientConnection) -> None:
        self.conn = conn

    def kill(self) -> None:
        """Gone without a word: the socket is reset."""
        self.conn.abort()

    async def closed(self) -> None:
        """Wait for the connection's end."""
        await aio(self.conn.wait_closed)

    async def run(self, command: str | None = None, **options: Any) -> Done:
        done = await aio(partial(self.conn.run, command, encoding=None, **options))
        return Done(done.returncode, done.stdout, done.stderr)

    async def start(self, command: str | None = None, **options: Any) -> "asyncssh.SSHClientProcess[bytes]":
        process: asyncssh.SSHClientProcess[bytes]
        process = await aio(partial(self.conn.create_process, command, encoding=None, **options))
        return process

    async def line(self, process: "asyncssh.SSHClientProcess[bytes]") -> bytes:
        """The next line of its output."""
        line: bytes = await aio(process.stdout.readline)
        return line

    async def wait(self, process: "asyncssh.SSHClientProcess[bytes]") -> Done:
        """Its end."""
        done = await aio(process.wait)
        return Done(done.returncode, done.stdout, done.stderr)


class Said:
    """The codes said so far."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Mapping[str, Any]]] = []
        self._lot = trio.lowlevel.ParkingLot()

    def __call__(self, code: Code, details: Mapping[str, Any]) -> None:
        self.lines.append((code.name, details))
        self._lot.unpark_all()

    def __contains__(self, name: str) -> bool:
        return any(said == name for said, _ in self.lines)

    def count(self, name: str) -> int:
        return sum(said == name for said, _ in self.lines)

    def details(self, name: str) -> list[Mapping[str, Any]]:
        return [details for said, details in self.lines if said == name]

    def told(self) -> list[str]:
        """All of it, for a person."""
        return [f"{name} {' '.join(f'{key}={value}' for key, value in more.items())}" for name, more in self.lines]

    def rows(self) -> set[str]:
        """Ids of the rows that said something."""
        return {details["row"] for _, details in self.lines if "row" in details}

    async def next(self) -> None:
        """Wait until something more is said, or a moment has passed: not every end says something."""
        with trio.move_on_after(0.05):
            await self._lot.park()

    async def until(self, name: str, count: int = 1) -> None:
        with trio.fail_after(SECONDS_MAX):
            while self.count(name) < count:
                await self._lot.park()


SECTIONS = ("security", "limits", "backend", "dockerrun", "docker", "rules", "templates", "configserver")


class Builder:
    """Makes servers in `folder`, the working directory, so that a scenario's header holds relative names only.

    `image` is on the real engine.
    """

    def __init__(self, folder: Path, image: str) -> None:
        self.folder, self.image = folder, image
        self.connection = DockerConnection()  # the engine's address, if it is not the usual one
        self.engine = ""  # and where `outside` finds it
        self.password_hash = ""
        self.scenarios: list[tuple[Path, Scenario]] = []  # of the harnesses that are closed
        self.called: dict[str, str] = {}  # names of this run alone, and what a scenario says instead
        Keys(folder)

    def settings(self, fake: bool = False, **more: Any) -> Settings:
        """`more`: fields of `Execution`, `Timeouts`, `ssh`, `ways`, `shutdown`, and sections. Programs are execs."""
        sections = {name: more.pop(name) for name in SECTIONS if name in more}
        execution: dict[str, Any] = {
            "transport": "exec",
            "container": {"Image": FAKE_IMAGE if fake else self.image},
            "host": {"NetworkMode": "none"},
        }
        ssh, shutdown, state = more.pop("ssh", {}), more.pop("shutdown", {}), more.pop("state", "state")
        ways = more.pop("ways", {})  # of `Settings.auth`
        timeouts = {name: more.pop(name) for name in Timeouts.__struct_fields__ if name in more}
        pool = Pool(size=more.pop("pool", 0))
        if image := more.pop("image", ""):
            execution["container"] = {"Image": image}
        sections.setdefault(
            "docker",
            Docker(
                connection=self.connection,
                execution=Execution(**{**execution, **more}),
                timeouts=Timeouts(**timeouts),
                pool=pool,
            ),
        )
        user = User(authorized_keys=("user_key.pub",), password_hash=self.password_hash)
        return Settings(
            ssh=Ssh(**{"listen": "127.0.0.1:0", "hostkeys": ("host_key",), **ssh}),
            auth=Auth(**{"users": {USER: user}, **ways}),
            shutdown=Shutdown(**{"grace": 0.2, "kill": 1.0, **shutdown}),
            record=Record(directory="recordings"),
            state=state,
            **sections,
        )

    @asynccontextmanager
    async def harness(
        self,
        *,
        fake: FakeEngine | None = None,
        allow: tuple[str, ...] = (),
        seconds_max: float = SECONDS_MAX * 2,
        links: Sequence[Link] | None = None,
        reread: Reread | None = None,
        **more: Any,
    ) -> AsyncIterator[Harness]:
        """Open it, and at the end see that nothing was left, nothing crashed and every recording replays.

        `links`: those to the guest agent that are tried. `reread`: what a reload finds.
        """
        settings, said = self.settings(fake is not None, **more), Said()
        if fake is not None:
            fake.images.setdefault(FAKE_IMAGE, FakeImage())
        try:
            with trio.fail_after(seconds_max):
                loop = open_loop(lambda context: None)
                async with loop, serve(settings, say=said, engine=fake, links=links, reread=reread) as server:
                    harness = Harness(server, settings, said, fake, self.folder, self.engine)
                    yield harness
        except BaseException as error:
            error.add_note("the daemon said:\n" + "\n".join(said.told()))
            raise
        self.check(harness, allow)
        self.scenarios += harness.scenarios()

    def check(self, harness: Harness, allow: tuple[str, ...]) -> None:
        bad = [(name, details) for name, details in harness.said.lines if name in NEVER and name not in allow]
        assert not bad, bad
        assert not harness.containers(), "containers were left behind"
        folder = self.folder / harness.settings.record.directory
        assert not list(folder.glob("*.part")), "a recording is not finished"
        out = io.StringIO()
        paths = [str(path) for path, _ in harness.scenarios()]
        assert replay_command(paths, False, False, out) == 0, out.getvalue()

    @asynccontextmanager
    async def fake_harness(self, *failpoints: str, http_s: float = 15.0, **more: Any) -> AsyncIterator[Harness]:
        async with (
            FakeEngine.open(seed=1, failpoints=failpoints, http_s=http_s) as engine,
            self.harness(fake=engine, **more) as harness,
        ):
            yield harness
