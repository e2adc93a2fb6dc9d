"""The control socket, and the composition of an upgrade: a daemon that can be succeeded, one that succeeds another."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from actors.control import Answers, Talks, serve_control
from actors.instance import Instance
from actors.ssh.listener import Listener
from actors.supervisor import Supervisor
from actors.takeover import Predecessor, Refused, find_predecessor
from actors.upgrade import Upgrades
from actors.world import Say
from moorage.cannot_serve import CannotServe, alone
from moorage.version import VERSION
from protocol import codes
from protocol.control import TAKE_OVER, UPGRADE, Successor


class Port(Upgrades):
    """Implements `ports.ServerPort`: what the server actor can do to the daemon around it."""

    def __init__(self, supervisor: Supervisor, listener: Listener) -> None:
        super().__init__(supervisor.world.boot, supervisor.world.start, listener.listen, lambda: listener.sockets)
        self.supervisor, self.listener = supervisor, listener
        self.talks: Talks = {UPGRADE: self.wanted, TAKE_OVER: self.came}

    def stop_accepting(self) -> None:
        self.listener.stop_accepting()
        self.supervisor.pool.drain()

    def refuse_sessions(self) -> None:
        self.supervisor.draining = True

    def is_arriving(self) -> bool:
        return self.listener.is_arriving


@asynccontextmanager
async def predecessor_of(instance: Instance, take_over: str | None) -> AsyncIterator[Predecessor | None]:
    """Who serves until we are ready. What keeps us from serving is told to it."""
    if take_over is None:
        yield None
        return
    us = Successor(boot=instance.boot, pid=os.getpid(), version=VERSION, attempt=take_over)
    try:
        found = await find_predecessor(instance.control.parent, us)
    except Refused as error:
        raise CannotServe(f"{codes.MOORAGE_UPGRADE_FAILED.name}: {error}") from error
    try:
        yield found
    except BaseException as error:
        if found is not None:
            await found.decline(str(alone(error)))
        raise
    finally:
        if found is not None:
            await found.close()


async def replace_it(predecessor: Predecessor | None, listener: Listener) -> None:
    """We are ready: from here on there is no way back for it."""
    if predecessor is not None:
        try:
            await predecessor.replace()
        except Refused as error:
            listener.close()
            raise CannotServe(f"{codes.MOORAGE_UPGRADE_FAILED.name}: {error}") from error


async def control(path: Path, answers: Answers, talks: Talks, log: Say, *, task_status: trio.TaskStatus[None]) -> None:
    """Without it the daemon serves all the same; a path that is too long for a socket is the usual reason."""
    try:
        await serve_control(path, answers, talks, task_status=task_status)
    except OSError as error:
        log(codes.MOORAGE_CONTROL_FAILED, {"why": f"{path}: {error.strerror or error}"})
        with suppress(RuntimeError):  # it may have served for a while
            task_status.started()
