"""How the guest agent gets into containers: a volume filled once, mounted read-only, its program the container's first.

Which link works with this engine is found out once, at the start, by a container that does nothing but link.
"""

import io
import secrets
import tarfile
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import trio
from msgspec.structs import replace

from actors.agent.link import HEARTBEAT_S, Link
from actors.agent.socket import LinkSocket, fresh_folder
from actors.ports import ContainerOrder, EngineFault, Exit, Sink, Stream
from protocol.base import Event
from protocol.container import Link as LinkKind
from protocol.container import LinkLost, TerminalOpener

FOLDER = "/.moorage"  # in every container that is served
PROGRAM = f"{FOLDER}/agent"
SOCKET_FOLDER = "/.moorage.link"
TOKEN_ENV = "MOORAGE_TOKEN"
PROBE_SECONDS_MAX = 15.0
LAST_WORDS_S = 0.2
REMOVAL_PAUSES_S = (0.05, 0.2, 0.5)
ORDER: tuple[LinkKind, ...] = ("socket", "attach")  # the faster first


class Carrier(Protocol):
    """The calls of an engine that bringing the agent needs."""

    async def architecture(self) -> str: ...
    async def image_exists(self, reference: str) -> bool: ...
    async def import_image(self, tar: Path, reference: str, changes: Sequence[str] = ()) -> str: ...
    async def create_container(self, order: ContainerOrder) -> str: ...
    async def attach_container(self, container: str, tty: bool, sink: Sink) -> Stream: ...
    async def start_container(self, container: str) -> None: ...
    async def wait_container(self, container: str) -> Exit: ...
    async def remove_container(self, name: str, token: str) -> None: ...


class BroughtAgents:
    """Implements `ports.Agents`. `program` is the agent, `digest` names its volume and image."""

    def __init__(self, program: bytes, digest: str, sockets: Path) -> None:
        self.kind: LinkKind = "none"
        self.terminals: TerminalOpener = "agent"
        self.probes: set[str] = set()
        self.volume = f"moorage-agent-{digest[:16]}"
        self.image = f"moorage/agent:{digest[:16]}"
        self._program, self._sockets = program, sockets
        self._mounted = sockets.resolve()  # the engine wants it whole, a socket's name may have 107 bytes
        self._links: set[Link] = set()
        self._labels: Mapping[str, str] = {}  # of containers of ours that are no login's

    async def open(self, order: ContainerOrder) -> Link:
        """A link for the container that is made from `order`; the order is laid out for the agent."""
        return await self._open(order, self.kind, no_copy=True)

    async def run(self) -> None:
        """For ever: let the agents that cannot see it know that we live."""
        while True:
            await trio.sleep(HEARTBEAT_S)
            for link in tuple(self._links):
                link.beat()

    async def probe(self, engine: Carrier, labels: Mapping[str, str], only: Sequence[LinkKind] = ORDER) -> str:
        """Bring the agent, find the link that works, set `kind` and `terminals`. Why none does, or the empty string."""
        self._labels = labels
        why = []
        for kind in only:
            try:
                self.terminals = await self._try(engine, kind)
            except EngineFault as fault:
                why.append(f"{kind} link: {fault.why}")
            else:
                self.kind = kind
                return ""
        return "; ".join(why)

    async def mend(self, engine: Carrier, why: str) -> bool:
        """A container did not start. If that is because somebody has removed the volume: fill it again.

        Docker fills it when a container is made, Podman when one starts.
        """
        if PROGRAM not in why:
            return False
        try:
            await self._try(engine, "attach")
        except EngineFault:
            return False
        return True

    async def _try(self, engine: Carrier, kind: LinkKind) -> TerminalOpener:
        """Let an agent say hello over this kind of link: who opens terminals there. Raises `EngineFault`."""
        answer = Answer()
        async with self._container(engine, kind) as link:
            if kind == "attach":
                link.join(await engine.attach_container(link.container, False, link.sink))
            link.report(answer.hear)
            await engine.start_container(link.container)
            await answer.wait(engine, link.container)
            opener = link.terminals
        if answer.why:
            raise EngineFault("unavailable", answer.why)
        return opener

    @asynccontextmanager
    async def _container(self, engine: Carrier, kind: LinkKind) -> AsyncIterator[Link]:
        """A container of the agent and nothing else, not started. That it is made fills the volume."""
        if not await engine.image_exists(self.image):
            await _import(engine, self.image, self._program)
        name = f"moorage-probe-{secrets.token_hex(6)}"
        token = f"{self._labels.get('moorage.boot', '')}.{name}"  # as the sweep knows it, should we not come to the end
        host = {"NetworkMode": "none"}
        plain = ContainerOrder(name=name, token=token, image=self.image, host=host, labels=self._labels)
        link = await self._open(plain, kind, no_copy=False)
        self.probes.add(token)
        try:
            link.made(await engine.create_container(link.order))
            yield link
        finally:
            link.close()
            with trio.CancelScope(shield=True):
                await _remove(engine, name, token)
            self.probes.discard(token)

    async def _open(self, order: ContainerOrder, kind: LinkKind, no_copy: bool) -> Link:
        token = secrets.token_hex(16)
        folder = fresh_folder(self._sockets)
        mounts = [_volume(self.volume, no_copy)]
        argv = [PROGRAM, "serve"]
        if kind == "socket":
            mounts.append(_bind(self._mounted / folder.name))
            argv += ["--socket", f"{SOCKET_FOLDER}/s"]
        host = {**order.host, "Mounts": [*(order.host.get("Mounts") or ()), *mounts]}
        served = replace(
            order,
            host=host,
            entrypoint=argv,
            command=(),
            env={**order.env, TOKEN_ENV: token},
            tty=False,
            stdin=kind == "attach",
        )
        link = Link(served, token, beats=kind == "attach")
        if kind == "socket":
            try:
                self._sockets.mkdir(mode=0o700, exist_ok=True)
                LinkSocket(link, folder).listen()
            except OSError as error:
                link.close()
                raise EngineFault("unavailable", f"cannot listen in {folder}: {error.strerror or error}") from error
        self._links.add(link)
        tidy = link.when_closed

        def closed() -> None:
            self._links.discard(link)
            tidy()

        link.when_closed = closed
        return link


async def _remove(engine: Carrier, name: str, token: str) -> None:
    """An agent ends with its link, and the engine refuses to remove what ends in that very moment. What is left after
    all these tries is the sweep's."""
    for pause_s in REMOVAL_PAUSES_S:
        try:
            await engine.remove_container(name, token)
        except EngineFault as fault:
            if fault.fault in ("timeout", "unavailable"):  # it does not answer, and we may be on our way out
                return
            await trio.sleep(pause_s)
        else:
            return


class Answer:
    """What becomes of one agent that is only to say hello."""

    def __init__(self) -> None:
        self.why = "it did not say hello"
        self._heard = trio.Event()

    def hear(self, event: Event) -> None:
        if not self._heard.is_set():
            self.why = event.why if isinstance(event, LinkLost) else ""
            self._heard.set()

    async def wait(self, engine: Carrier, container: str) -> None:
        """Until it has said hello, its link or its container has ended, or it had time enough."""
        with trio.move_on_after(PROBE_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._await_end, engine, container)
                await self._heard.wait()
                nursery.cancel_scope.cancel()

    async def _await_end(self, engine: Carrier, container: str) -> None:
        try:
            status = (await engine.wait_container(container)).status
        except EngineFault as fault:
            why = fault.why
        else:
            why = f"its container ended with status {status}"
        await trio.sleep(LAST_WORDS_S)  # what it said before is heard by then
        self.hear(LinkLost(why=why))


async def _import(engine: Carrier, reference: str, program: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.tar"
        path.write_bytes(agent_tar(program))
        await engine.import_image(path, reference, (f'ENTRYPOINT ["{PROGRAM}"]',))


def agent_tar(program: bytes) -> bytes:
    """A root file system of one program; the same bytes for the same program."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folder = tarfile.TarInfo(FOLDER.lstrip("/"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        file = tarfile.TarInfo(PROGRAM.lstrip("/"))
        file.size, file.mode = len(program), 0o755
        tar.addfile(file, io.BytesIO(program))
    return out.getvalue()


def _volume(name: str, no_copy: bool) -> dict[str, Any]:
    """Created with the first container that names it, and filled from its image when that is the agent's own."""
    labels = {"moorage.agent": name}
    options: dict[str, Any] = {"NoCopy": no_copy, "Labels": labels}
    return {"Type": "volume", "Source": name, "Target": FOLDER, "ReadOnly": no_copy, "VolumeOptions": options}


def _bind(folder: Path) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(folder), "Target": SOCKET_FOLDER, "ReadOnly": True}
