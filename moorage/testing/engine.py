"""A container engine in memory, for tests and simulations: the same promises as the real one, in trio alone.

Everything it does is decided by its seed and its failpoints, and it waits by `trio.sleep` only, so that a `MockClock`
can jump over it. It passes the same contract suite as the real engine.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import trio
from msgspec.structs import replace

from actors.ports import ContainerOrder, EngineFault, ExecOrder, Exit, FoundContainer, ImageCommand, Sink, Stream
from moorage.testing.fake_agent import is_agent
from moorage.testing.fake_container import FakeContainer, FakeExec, FakeImage, FakeRun
from moorage.testing.fake_host import FakeHost
from moorage.testing.programs import SIGNALS, knows
from protocol.base import Size

T = TypeVar("T")
TOKEN_LABEL = "moorage.token"
NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class FakeEngine(FakeHost):
    """The calls of `actors.ports.Engine`, and those that bring the guest agent."""

    # Images.

    async def inspect_image(self, reference: str) -> str:
        return await self._control("inspect_image", lambda: self._inspect_image(reference))

    def _inspect_image(self, reference: str) -> str:
        if reference not in self.images:
            raise EngineFault("not_found", f"No such image: {reference}")
        return f"sha256:{Random(reference).getrandbits(256):064x}"

    async def image_command(self, reference: str) -> ImageCommand:
        return await self._control("image_command", lambda: self._image_command(reference))

    def _image_command(self, reference: str) -> ImageCommand:
        self._inspect_image(reference)
        image = self.images[reference]
        return ImageCommand(entrypoint=image.entrypoint, command=image.command)

    async def architecture(self) -> str:
        return await self._control("architecture", lambda: "amd64")

    async def image_exists(self, reference: str) -> bool:
        return await self._control("image_exists", lambda: reference in self.images)

    async def import_image(self, tar: Path, reference: str, changes: Sequence[str] = ()) -> str:
        """Of `changes` ENTRYPOINT and CMD count, as JSON lists."""
        return await self._control("import_image", lambda: self._import(reference, changes))

    def _import(self, reference: str, changes: Sequence[str]) -> str:
        words = {name: json.loads(text) for name, _, text in (line.partition(" ") for line in changes)}
        self.images[reference] = FakeImage(entrypoint=words.get("ENTRYPOINT", ()), command=words.get("CMD", ()))
        return self._inspect_image(reference)

    async def pull_image(
        self, reference: str, platform: Mapping[str, Any], auth: Mapping[str, str], progress: Callable[[str], None]
    ) -> None:
        async with self._breakable("pull_image"):
            found = self.registry.get(reference, "not_found")
            if not isinstance(found, FakeImage):
                raise EngineFault(found, f"manifest for {reference}: {found}")
            if found.login not in (None, (auth.get("username"), auth.get("password"))):
                raise EngineFault("denied", f"pull access denied for {reference}")
            total = found.size_bytes / 1e6
            for step in range(4):
                done = f"{total * step / 4:.1f} of {total:.1f} MB"
                progress(f"{reference}: downloading {found.layers} layers, {done}")
                await trio.sleep(found.pull_seconds / 4)
            progress(f"{reference}: pulled {found.layers} layers, {total:.1f} MB")
            self.images[reference] = found

    # Containers.

    async def create_container(self, order: ContainerOrder) -> str:
        return await self._control("create_container", lambda: self._create(order))

    def _create(self, order: ContainerOrder) -> str:
        if not order.name.strip("_.-") or not NAME_CHARS.issuperset(order.name):
            raise EngineFault("invalid", f"not a container name: {order.name!r}")
        image = self.images.get(order.image)
        if image is None:
            raise EngineFault("not_found", f"No such image: {order.image}")
        for one in self._containers.values():
            if one.order.name == order.name:
                if one.labels.get(TOKEN_LABEL) == order.token:
                    return one.id
                raise EngineFault("conflict", f"the container name {order.name!r} is in use by {one.id}")
        entrypoint = image.entrypoint if order.entrypoint is None else order.entrypoint
        command = (image.command if order.entrypoint is None else ()) if order.command is None else order.command
        if not (*entrypoint, *command):
            raise EngineFault("invalid", "No command specified")
        env = {**image.env, **order.env}
        run = FakeRun([*entrypoint, *command], env, order.tty, order.stdin, is_first=True, whim=self.agent_whim())
        if order.size is not None and self.api >= (1, 42):
            run.resize(order.size)
        labels = {**(order.container.get("Labels") or {}), **order.labels, TOKEN_LABEL: order.token}
        made = FakeContainer(self._new_id(), order, run, labels)
        run.on_exit = lambda: self._kill_all(made)  # nothing outlives PID 1
        self._containers[made.id] = made
        return made.id

    async def attach_container(self, container: str, tty: bool, sink: Sink) -> Stream:
        return await self._control("attach_container", lambda: self._find(container).run.attach(sink))

    async def start_container(self, container: str) -> None:
        await self._control("start_container", lambda: self._start(self._find(container).run))

    def _start(self, run: FakeRun) -> None:
        if run.running:
            return
        if not knows(run.argv) and not is_agent(run.argv):
            raise EngineFault("invalid", f'exec: "{run.argv[0]}": no such file or directory')
        if run.status is not None:
            raise EngineFault("internal", "the fake engine starts a program once")
        run.started = True
        self._nursery.start_soon(run.run)

    async def has_been_started(self, container: str) -> bool:
        return await self._control("has_been_started", lambda: self._find(container).run.started)

    async def wait_container(self, container: str) -> Exit:
        async with self._breakable("wait_container"):
            run = self._find(container).run
            if run.started:
                await run.ended.wait()
        return Exit(status=run.status or 0, oom=run.oom)

    async def kill_container(self, container: str, signal: str) -> None:
        await self._control("kill_container", lambda: self._kill(container, signal))

    def _kill(self, container: str, signal: str) -> None:
        number = SIGNALS.get(signal.removeprefix("SIG"))
        if number is None:
            raise EngineFault("invalid", f"Invalid signal: {signal}")
        one = self._running(container)
        one.run.signal(number)
        if number == SIGNALS["KILL"]:
            self._kill_all(one)

    async def resize_container(self, container: str, size: Size) -> None:
        await self._control("resize_container", lambda: self._running(container).run.resize(size))

    async def rename_container(self, container: str, name: str) -> None:
        await self._control("rename_container", lambda: self._rename(container, name))

    def _rename(self, container: str, name: str) -> None:
        one = self._find(container)
        if name in self.alive:
            raise EngineFault("conflict", f"the container name {name!r} is in use")
        one.order = replace(one.order, name=name)

    async def write_files(self, container: str, files: Mapping[str, bytes]) -> None:
        await self._control("write_files", lambda: self._find(container).files.update(files))

    async def container_image(self, container: str) -> str:
        return await self._control("container_image", lambda: self._inspect_image(self._find(container).order.image))

    async def remove_container(self, name: str, token: str) -> None:
        await self._control("remove_container", lambda: self._remove(name, token))

    async def list_containers(self, labels: Mapping[str, str]) -> list[FoundContainer]:
        return await self._control("list_containers", lambda: self._list(labels))

    def _list(self, labels: Mapping[str, str]) -> list[FoundContainer]:
        return [
            FoundContainer(id=one.id, name=one.order.name, labels=one.labels)
            for one in self._containers.values()
            if labels.items() <= one.labels.items()
        ]

    # Execs.

    async def create_exec(self, order: ExecOrder) -> str:
        return await self._control("create_exec", lambda: self._create_exec(order))

    def _create_exec(self, order: ExecOrder) -> str:
        if not order.command:
            raise EngineFault("invalid", "No exec command specified")
        one = self._running(order.container)
        env = {**self.images[one.order.image].env, **one.order.env, **order.env}
        exec_id = self._new_id()
        one.execs[exec_id] = FakeExec(one, order, FakeRun(order.command, env, order.tty, True, is_first=False))
        return exec_id

    async def start_exec(self, exec_id: str, tty: bool, size: Size | None, sink: Sink) -> Stream:
        return await self._control("start_exec", lambda: self._start_exec(exec_id, size, sink))

    def _start_exec(self, exec_id: str, size: Size | None, sink: Sink) -> Stream:
        found = self._exec(exec_id)
        self._running(found.container.id)
        if found.run.started:
            raise EngineFault("conflict", f"exec {exec_id} has run already")
        if size is not None and self.api >= (1, 42):
            found.run.resize(size)
        stream = found.run.attach(sink)
        found.run.started = True
        self._nursery.start_soon(found.run.run)  # a program that is not there ends with 127, as the shell says it
        return stream

    async def inspect_exec(self, exec_id: str) -> Exit | None:
        return await self._control("inspect_exec", lambda: self._inspect_exec(exec_id))

    def _inspect_exec(self, exec_id: str) -> Exit | None:
        run = self._exec(exec_id).run
        return None if run.status is None else Exit(status=run.status, oom=run.oom)

    async def resize_exec(self, exec_id: str, size: Size) -> None:
        await self._control("resize_exec", lambda: self._exec(exec_id).run.resize(size))

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
