"""The daemon as a process: log, signals and service manager around `moorage.daemon`, until it is stopped."""

from collections.abc import Callable, Iterable

import trio
from msgspec.structs import replace

from actors.reload import Reread
from moorage import memory, process
from moorage.cannot_serve import CannotServe
from moorage.daemon import Server, serve
from moorage.logs import Log, LogUnavailable
from moorage.service_manager import ServiceManager, inherited_sockets
from moorage.signals import HEEDED, follow, heed, note_foreground
from protocol import codes
from protocol.settings import Settings
from protocol.settings_problem import Problem
from protocol.settings_read import Reading


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
                memory.keep_what_is_there()
                on_ready(server.addresses)
                await server.wait_stopped()
                watching.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
        if server is not None:
            await follow(signals, server)
