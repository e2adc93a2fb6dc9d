"""The signals of a daemon, and a terminal whose daemon has been replaced: what is asked there is asked of both."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import trio

from actors.upgrade import Replaced
from moorage.daemon import Server
from moorage.logs import Log
from moorage.service_manager import ServiceManager

HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Inherited by those who take our place: they have no terminal, and their own successors belong to this one too.
FOREGROUND_ENV = "MOORAGE_FOREGROUND"
STAYS = "moorage: the daemon was replaced by process {pid}, which serves on; Ctrl-C here ends that\n"


def note_foreground() -> None:
    """Remember, for all who take our place, that Ctrl-C at a terminal reaches us. Not so in the background."""
    with suppress(OSError):  # no terminal
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        try:
            if os.tcgetpgrp(terminal) == os.getpgrp():
                os.environ[FOREGROUND_ENV] = "1"
        finally:
            os.close(terminal)


async def heed(
    signals: AsyncIterator[int],
    serving: Callable[[], Server | None],
    give_up: Callable[[], None],
    log: Log,
    manager: ServiceManager,
) -> None:
    """INT and TERM end the server, a second one makes haste; HUP reopens the log and reads the configuration again.

    As long as there is no server, INT and TERM give up the start.
    """
    async for number in signals:
        server = serving()
        if server is not None:
            _pass_on(server, number)
        if number == signal.SIGHUP:
            log.reopen()
            if server is not None:
                manager.reloading()
                server.reloads.want(signal.Signals(number).name)
        elif server is not None:
            server.shutdown(signal.Signals(number).name)
        else:
            give_up()


async def follow(signals: AsyncIterator[int], server: Server) -> None:
    """In the foreground: wait for the end of the process that has taken our place, and pass on what it should hear."""
    successor = _follows(server)
    if successor is None:
        return
    sys.stderr.write(STAYS.format(pid=successor.pid))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pass_all_on, signals, server)
        await trio.lowlevel.wait_readable(successor.descriptor)
        nursery.cancel_scope.cancel()


async def _pass_all_on(signals: AsyncIterator[int], server: Server) -> None:
    async for number in signals:
        _pass_on(server, number)


def _pass_on(server: Server, number: int) -> None:
    if (successor := _follows(server)) is not None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(successor.descriptor, number)


def _follows(server: Server) -> Replaced | None:
    return server.replaced_by if os.environ.get(FOREGROUND_ENV) else None
