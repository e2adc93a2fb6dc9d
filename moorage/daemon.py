"""The composition: engine, world, listener and server actor, put together and taken apart in order.

`async with serve(settings) as server:` from a trio program; `run_serve` is the command. Nothing is decided here.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast

import trio
from anyio.abc import SocketStream
from msgspec.structs import replace

from actors.agent.bring import ORDER, BroughtAgents, Carrier
from actors.bridge import aio, loop_turn, open_loop
from actors.control import say as tell
from actors.engine.docker import DockerEngine
from actors.instance import Instance
from actors.orders import may_be_served
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
from moorage.agent_binary import agent_binary
from moorage.cannot_serve import CannotServe, alone
from moorage.checks import refusals
from moorage.logs import Log, LogUnavailable
from moorage.recording import open_recorder
from moorage.reloading import Adopted, reloads_of
from moorage.service_manager import ServiceManager, inherited_sockets
from moorage.signals import HEEDED, follow, heed, note_foreground
from moorage.succession import Port, control, predecessor_of, replace_it
from moorage.version import VERSION
from protocol import codes
from protocol.codes import Code
from protocol.container import Link as LinkKind
from protocol.control import STATUS
from protocol.server import Listening, ShutdownWanted
from protocol.settings import Settings
from protocol.settings_part import with_each_part
from protocol.settings_problem import Problem
from protocol.settings_read import Reading

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
            agents = await _agents(settings, world, instance, links)
            life.shield = True
            handle = error_handler(supervisor)
            api = "{}.{}".format(*found.api)
            log(codes.MOORAGE_ENGINE_FOUND, {"api": api, "url": getattr(found, "url", "")})
            listener = await _listener(supervisor, settings, predecessor, sockets)
            port = Port(supervisor, listener)

            async def bring(new: Settings) -> BroughtAgents | None:
                return await _agents(new, world, instance, links)

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


async def _agents(
    settings: Settings, world: World, instance: Instance, links: Sequence[LinkKind] | None
) -> BroughtAgents | None:
    """The guest agent, if it may be used, is built and links with this engine; None: the engine's exec it is."""
    executions = [one.docker.execution for one in with_each_part(settings)]
    is_must = any(execution.transport == "served" for execution in executions)
    links = links or (ORDER if isinstance(world.engine, DockerEngine) else ())
    if not any(may_be_served(execution) for execution in executions):
        return None
    why, agents = await _brought(world, instance, links) if links else ("no link is to be tried", None)
    if not why and agents is not None:
        found = {"link": agents.kind, "terminals": agents.terminals, "volume": agents.volume}
        world.say(codes.MOORAGE_AGENT_READY, found)
        return agents
    world.agents, world.why_no_agents = None, why
    if is_must:
        raise CannotServe(f"{codes.MOORAGE_AGENT_UNAVAILABLE.name}: docker.execution.transport is served, and {why}")
    if links:
        world.say(codes.MOORAGE_AGENT_UNAVAILABLE, {"why": why})
    return None


async def _brought(world: World, instance: Instance, links: Sequence[LinkKind]) -> tuple[str, BroughtAgents | None]:
    """Why the agent cannot be brought, or the empty string and how it is. While it is tried, its probes are ours."""
    engine = cast(Carrier, world.engine)
    try:
        binary = agent_binary(await engine.architecture())
        if binary is None:
            return "it is not built for the engine's architecture (`make install` builds it with musl-tools)", None
        world.agents = agents = BroughtAgents(binary.content, binary.digest, instance.links)
        labels = {"moorage.instance": instance.id, "moorage.boot": instance.boot}
        return await agents.probe(engine, labels, links), agents
    except EngineFault as fault:
        return fault.why, None


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


def run_serve(
    settings: Settings,
    *,
    record: str | None = None,
    on_ready: Callable[[list[tuple[str, int]]], None] = lambda addresses: None,
    warnings: Iterable[Problem] = (),
    reread: Callable[[], Reading] | None = None,
    take_over: str | None = None,
) -> int:
    """`moorage serve`: until INT or TERM. `record` replaces `record.directory`. Returns the exit code.

    Raises `CannotServe` with one sentence.
    """

    def told(reading: Reading) -> Settings:
        """Its settings as they are to hold, when its remarks are in the log."""
        for warning in reading.warnings:
            log.write(codes.ALL.get(warning.code, codes.MOORAGE_CONFIG_WARNING), {"warning": str(warning)})
        used = reading.settings
        return used if record is None else replace(used, record=replace(used.record, directory=record))

    try:
        log = Log(settings.log)
    except LogUnavailable as error:
        raise CannotServe(str(error)) from error
    settings = told(Reading(settings, tuple(warnings)))
    if settings.docker.execution.disable_agent and settings.backend == "docker":
        log.write(codes.DOCKER_GUEST_AGENT_DISABLED)
    process.allow_files()
    try:
        told_again = None if reread is None else lambda: told(reread())
        trio.run(_serve_until_stopped, settings, log, on_ready, told_again, take_over)
    finally:
        log.close()
    return 0


async def _serve_until_stopped(
    settings: Settings,
    log: Log,
    on_ready: Callable[[list[tuple[str, int]]], None],
    reread: Reread | None,
    take_over: str | None,
) -> None:
    def adopted(settings: Settings) -> None:
        log.follow(settings.log)

    manager = ServiceManager()
    say, sockets = manager.told(log.write), inherited_sockets()
    served = serve(settings, say=say, reread=reread, adopted=adopted, sockets=sockets, take_over=take_over)
    note_foreground()
    server: Server | None = None
    with trio.open_signal_receiver(*HEEDED) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heed, signals, lambda: server, nursery.cancel_scope.cancel, log, manager)
            async with served as server, trio.open_nursery() as watching:
                watching.start_soon(manager.watch, server.prove_alive)
                on_ready(server.addresses)
                await server.wait_stopped()
                watching.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
        if server is not None:
            await follow(signals, server)
