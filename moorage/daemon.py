"""The composition: engine, world, listener and server actor, put together and taken apart in order.

`async with serve(settings) as server:` from a trio program; the command is `moorage.serving`. Nothing is decided here.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import trio
from anyio.abc import SocketStream

from actors.agent.bring import BroughtAgents
from actors.bridge import aio, loop_turn, open_loop
from actors.control import say as tell
from actors.engine.docker import DockerEngine
from actors.instance import Instance
from actors.ports import Engine, EngineFault
from actors.reload import Reloaded, Reloads, Reread
from actors.server import ServerActor
from actors.ssh.listener import Listener, error_handler, open_listener
from actors.supervisor import Supervisor
from actors.sweep import Sweeper
from actors.takeover import Predecessor
from actors.upgrade import Replaced
from actors.world import Say, World
from moorage import process
from moorage.agents import agents_of
from moorage.cannot_serve import CannotServe, alone
from moorage.checks import refusals
from moorage.recording import open_recorder
from moorage.reloading import Adopted, reloads_of
from moorage.succession import Port, control, predecessor_of, replace_it
from moorage.version import VERSION
from protocol import codes
from protocol.codes import Code
from protocol.container import Link as LinkKind
from protocol.control import STATUS
from protocol.server import Listening, ShutdownWanted
from protocol.settings import Settings

GONE_S = 20.0  # how long the last removals may take at the end
UPGRADE_S = 60.0  # until a new process is ready to take this one's place


def _say_nothing(code: Code, details: Mapping[str, Any]) -> None: ...


class Server:
    """A running daemon. `addresses` are (host, port) pairs as bound."""

    def __init__(self, actor: ServerActor, port: Port, sweeper: Sweeper, reloads: Reloads) -> None:
        self.addresses = port.listener.addresses
        self.supervisor, self.sweeper, self.reloads = port.supervisor, sweeper, reloads
        self._actor, self._port = actor, port
        self._stopped = trio.Event()
        self._turn = loop_turn()

    async def run(self) -> None:
        """The server actor's life."""
        await self._actor.run()
        self.reloads.end()
        self._stopped.set()

    async def wait_stopped(self) -> None:
        """Return when the daemon has ended, whoever asked it to."""
        await self._stopped.wait()

    async def stop(self) -> None:
        """End in order, if that is not done or under way already."""
        if not self._stopped.is_set():
            if self._actor.may_be_stopped:
                self.shutdown("the program that serves is ending")
            await self.wait_stopped()

    @property
    def port(self) -> int:
        """The first address's port."""
        return self.addresses[0][1]

    @property
    def replaced_by(self) -> Replaced | None:
        """The process that was started to take this one's place, and has taken it."""
        return self._port.replaced_by

    def shutdown(self, why: str) -> None:
        """Begin to end: stop accepting, let sessions end within the grace. A second call makes haste."""
        self._actor.post(ShutdownWanted(why=why))

    async def reload(self, by: str = "the program that serves") -> Reloaded:
        """Read the settings again; connections from now on have them. What could not be used changes nothing."""
        return await self.reloads.reload(by)

    async def answer_reload(self, stream: SocketStream, argument: bytes) -> None:
        """The same, for the control socket."""
        await tell(stream, await self.reload("moorage reload"))

    async def prove_alive(self) -> None:
        """Return after a turn of both loops: in a daemon that hangs it does not."""
        await self._turn()

    def statistics(self) -> dict[str, Any]:
        """What `moorage status` shows: the daemon's state, its listener's counts, and every actor."""
        world = self.supervisor.world
        return {
            "boot": world.boot,
            "pid": os.getpid(),
            "version": VERSION,
            "state": self._actor.cell.state,
            "listen": [f"{host}:{port}" for host, port in self.addresses],
            "api": "{}.{}".format(*world.engine.api),
            **self._port.listener.statistics(),
            "pool": self.supervisor.pool.statistics(),
            "orphans": self.sweeper.statistics(),
            "process": process.figures(),
            "actors": [actor.statistics() for actor in dict.fromkeys(world.actors.values())],
        }


@asynccontextmanager
async def serve(
    settings: Settings,
    *,
    say: Say = _say_nothing,
    engine: Engine | None = None,
    dice: Random | None = None,
    links: Sequence[LinkKind] | None = None,
    sockets: Sequence[socket.socket] = (),
    take_over: str | None = None,
    reread: Reread | None = None,
    adopted: Adopted = lambda settings: None,
) -> AsyncIterator[Server]:
    """Serve until the block is left; then shut down in order and leave nothing behind, cancelled or not.

    `say` gets each message code with its details (default: nothing is logged). `engine` replaces the one that the
    settings name. `links` to the guest agent are tried in this order; with an `engine` of yours the default is none.
    `sockets` that listen are used instead of `ssh.listen`. With `take_over` those of the daemon that serves on this
    state folder are; it is the attempt that started this process, or empty.
    `reread` gives the settings for `Server.reload`, in a thread of its own; `adopted` is told of those in force.
    Raises `CannotServe`, for settings that a file could not have either; what the block raises comes out as it is.
    """
    refused = await trio.to_thread.run_sync(refusals, settings)
    if refused:
        raise CannotServe(f"{codes.DOCKER_CONFIG_ERROR.name}: {'; '.join(map(str, refused))}")
    leaving = trio.Event()
    try:
        async with trio.open_nursery() as nursery:
            born = Born()
            live = partial(_live, sockets=sockets, take_over=take_over)
            nursery.start_soon(live, settings, say, engine, dice, links, reread, adopted, born, leaving)
            try:
                yield await born.wait()
            finally:
                leaving.set()
    except BaseExceptionGroup as group:
        raise alone(group) from None


class Born:
    """The server, once it is there. A nursery's `start` would not let go of one whose beginning is cancelled late."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._there = trio.Event()

    def set(self, server: Server) -> None:
        self._server = server
        self._there.set()

    async def wait(self) -> Server:
        await self._there.wait()
        assert self._server is not None
        return self._server


async def _live(
    settings: Settings,
    log: Say,
    engine: Engine | None,
    dice: Random | None,
    links: Sequence[LinkKind] | None,
    reread: Reread | None,
    adopted: Adopted,
    born: Born,
    leaving: trio.Event,
    *,
    sockets: Sequence[socket.socket] = (),
    take_over: str | None = None,
) -> None:
    """The daemon's life in a task of its own, because it has to outlive a block that is cancelled.

    Until the agent has been tried it is cancelled with the block; from then on, and for its end, it is not.
    """

    def on_error(context: Mapping[str, Any]) -> None:
        """Before there is a supervisor, an error of the loop belongs to no connection."""
        error = context.get("exception") or context.get("message")
        if handle is None:
            log(codes.MOORAGE_SHIM_FAILED, {"error": str(error)})
        else:
            handle(context)

    handle: Callable[[Mapping[str, Any]], None] | None = None
    with trio.CancelScope() as life:
        async with (
            open_loop(on_error),
            _instance(settings) as instance,
            predecessor_of(instance, take_over) as predecessor,
            _engine(settings, engine) as found,
            open_recorder(settings, log) as recorder,
            trio.open_nursery() as nursery,
        ):
            world = World(found, nursery, recorder, log, instance.id, instance.boot, dice)
            supervisor = Supervisor(world, settings)
            sweeper = Sweeper(supervisor, instance)
            nursery.start_soon(sweeper.run)  # what a crash left does not wait for the agent
            agents = await agents_of(settings, world, instance, links)
            life.shield = True
            handle = error_handler(supervisor)
            api = "{}.{}".format(*found.api)
            log(codes.MOORAGE_ENGINE_FOUND, {"api": api, "url": getattr(found, "url", "")})
            listener = await _listener(supervisor, settings, predecessor, sockets)
            port = Port(supervisor, listener)

            async def bring(new: Settings) -> BroughtAgents | None:
                return await agents_of(new, world, instance, links)

            reloads = reloads_of(settings, supervisor, listener, reread, bring, adopted)
            server = _server(settings, port, sweeper, reloads)
            await replace_it(predecessor, listener)
            listener.accept()
            nursery.start_soon(supervisor.pool.run)
            if agents is not None:
                nursery.start_soon(agents.run)
            talks = {**port.talks, "reload": server.answer_reload}
            await nursery.start(control, instance.control, {STATUS: server.statistics}, talks, log)
            nursery.start_soon(server.run)
            born.set(server)
            await leaving.wait()
            await server.stop()
            await port.settled()
            listener.close()
            await supervisor.sources.close()
            nursery.cancel_scope.cancel()


def _server(settings: Settings, port: Port, sweeper: Sweeper, reloads: Reloads) -> Server:
    world, listener = port.supervisor.world, port.listener
    actor = ServerActor(world, world.recorder.share(), {}, port, reloads)
    port.post, reloads.post, listener.on_settled = actor.post, actor.post, actor.look_who_is_left
    listen = tuple(f"{host}:{number}" for host, number in listener.addresses)
    shutdown = settings.shutdown
    seconds = {"grace": shutdown.grace, "kill": shutdown.kill, "gone": GONE_S, "upgrade": UPGRADE_S}
    actor.post(Listening(listen=listen, seconds=seconds))
    return Server(actor, port, sweeper, reloads)


@asynccontextmanager
async def _engine(settings: Settings, engine: Engine | None) -> AsyncIterator[Engine]:
    if engine is not None:
        yield engine
        return
    docker = settings.docker
    opened = DockerEngine.open(docker.connection, docker.timeouts.http)
    try:
        found = await opened.__aenter__()
    except EngineFault as fault:
        raise CannotServe(f"{codes.MOORAGE_ENGINE_UNREACHABLE.name}: {fault.why}") from fault
    try:
        yield found
    finally:
        with trio.CancelScope(shield=True):
            await opened.__aexit__(None, None, None)


@asynccontextmanager
async def _instance(settings: Settings) -> AsyncIterator[Instance]:
    try:
        instance = Instance(Path(settings.state))
    except OSError as error:
        raise CannotServe(f"cannot keep state in {settings.state}: {error.strerror} (see `state`)") from error
    with closing(instance):
        yield instance


async def _listener(
    supervisor: Supervisor, settings: Settings, predecessor: Predecessor | None, sockets: Sequence[socket.socket]
) -> Listener:
    """A predecessor's sockets are of no use where the configuration names another address than its own did."""
    if predecessor is not None:
        sockets = predecessor.take(settings.ssh.listen)
    try:
        return await aio(open_listener, supervisor, settings, sockets)
    except OSError as error:
        why = f"cannot listen on {settings.ssh.listen}: {error.strerror or error}"
        raise CannotServe(f"{codes.SSH_START_FAILED.name}: {why}") from error
    except ValueError as error:
        raise CannotServe(f"{codes.SSH_START_FAILED.name}: {error}") from error
