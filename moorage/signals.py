"""The signals of a daemon, and a terminal whose daemon has been replaced: what is asked there is asked of both."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from actors.upgrade import Replaced
from moorage.logs import Log
from moorage.service_manager import ServiceManager

if TYPE_CHECKING:
    from moorage.daemon import Server

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


async def heed(signals: AsyncIterator[int], server: "Server", log: Log, manager: ServiceManager) -> None:
    """INT and TERM end the server, a second one makes haste; HUP reopens the log and reads the configuration again."""
    async for number in signals:
        _pass_on(server, number)
        if number == signal.SIGHUP:
            log.reopen()
            manager.reloading()
            server.reloads.want(signal.Signals(number).name)
        else:
            server.shutdown(signal.Signals(number).name)


async def follow(signals: AsyncIterator[int], server: "Server") -> None:
    """In the foreground: wait for the end of the process that has taken our place, and pass on what it should hear."""
    successor = _follows(server)
    if successor is None:
        return
    sys.stderr.write(STAYS.format(pid=successor.pid))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pass_all_on, signals, server)
        await trio.lowlevel.wait_readable(successor.descriptor)
        nursery.cancel_scope.cancel()


async def _pass_all_on(signals: AsyncIterator[int], server: "Server") -> None:
    async for number in signals:
        _pass_on(server, number)


def _pass_on(server: "Server", number: int) -> None:
    if (successor := _follows(server)) is not None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(successor.descriptor, number)


def _follows(server: "Server") -> Replaced | None:
    return server.replaced_by if os.environ.get(FOREGROUND_ENV) else None
